//! A call under way, as its caller sees it, whatever it is answered with.
//!
//! A caller can sleep until it has ended, be told of it, take it back, or lose interest. Nothing here reads
//! an answer: that is the pending reply's part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::call_error::CallFacts;
use super::callbacks::Job;
use super::claim::Claim;
use super::port::{Port, Wait, Waited};
use super::reply_stream::holds_stream;
use super::slot::{Answer, Need, Slot};
use crate::wire::{CommandSpec, Ending, Generation, Hop, NotDone, Progress};

/// The longest that anybody waits. A clock cannot hold every moment that a `Duration` can ask for.
pub(super) const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// When somebody's patience ends.
pub(super) fn moment_after(patience: Duration) -> Instant {
    Instant::now() + patience.min(LONGEST)
}

/// How a call has ended, as far as that can be said without reading its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Expired,
    Otherwise,
}

/// A call under way; or several, of which one begins when the other has ended.
pub(super) trait Course: Send + Sync {
    /// Sleeps until it has ended or `until` has passed, or the handler that sleeps is to give up.
    fn sleep(&self, until: Instant) -> Waited;

    /// Somebody looks for news without sleeping for them; they are to come in all the same.
    fn attend(&self);

    /// How it has ended, when it has.
    fn end(&self) -> Option<End>;

    /// How far the call that is under way has come.
    fn progress(&self) -> Option<Progress>;

    /// Takes it back.
    fn cancel(&self);

    /// From now on the call that is under way expires in that time; without one, never.
    fn set_expiry(&self, time_left: Option<Duration>);

    /// Its owner waits no longer; whoever else wants to be told of its end still is.
    fn abandon(&self);

    /// Has the job run when it has ended, by the thread for callbacks; gives it back when it has.
    fn when_ended(&self, job: Job) -> Option<Job>;

    /// Has the task woken when it has ended; says whether it has.
    fn poll(&self, waker: &Waker) -> bool;

    /// Who is asked what, as long as nobody has answered.
    fn facts(&self) -> CallFacts;
}

/// One call: the ordinary course.
pub(super) struct Waiting {
    pub(super) port: Arc<dyn Port>,
    pub(super) slot: Arc<Slot>,
    /// The number that the port gave it.
    pub(super) call: u64,
    pub(super) spec: &'static CommandSpec,
    /// Whether the command itself said that its sender waits.
    pub(super) is_announced: bool,
    /// For a reply that is followed by a stream.
    pub(super) stream: Option<Arc<Claim>>,
    /// Whether the port knows that somebody looks for news.
    is_attended: AtomicBool,
    /// Whether somebody else than its owner is to be told of its end.
    has_callbacks: AtomicBool,
}

impl Waiting {
    pub(super) fn new(port: Arc<dyn Port>, slot: Arc<Slot>, call: u64, spec: &'static CommandSpec) -> Self {
        let claim = || Claim::new(Arc::clone(&port), Arc::clone(&slot), call);
        let stream = holds_stream(&spec.reply).then(claim);
        let (is_attended, has_callbacks) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { port, slot, call, spec, is_announced: false, stream, is_attended, has_callbacks }
    }

    /// The command itself says that its sender does nothing but wait.
    pub(super) fn announced(self) -> Self {
        Self { is_announced: true, ..self }
    }

    /// Who was asked what, and who answered.
    pub(super) fn facts_of(&self, manager: &str, generation: Generation, chain: &[Hop]) -> CallFacts {
        let chain = chain.iter().map(|hop| self.port.name_of(*hop)).collect();
        let (command, manager) = (self.spec.name.clone(), manager.to_owned());
        CallFacts { command, manager, generation: generation.0, chain }
    }
}

impl Clone for Waiting {
    fn clone(&self) -> Self {
        Self {
            port: Arc::clone(&self.port),
            slot: Arc::clone(&self.slot),
            stream: self.stream.clone(),
            is_attended: AtomicBool::new(self.is_attended.load(Ordering::Relaxed)),
            has_callbacks: AtomicBool::new(self.has_callbacks.load(Ordering::Relaxed)),
            ..*self
        }
    }
}

impl Course for Waiting {
    fn sleep(&self, until: Instant) -> Waited {
        let (call, slot, is_announced) = (self.call, &self.slot, self.is_announced);
        match slot.has(Need::Answer) {
            true => Waited::Over,
            false => self.port.wait(Wait { call, slot, need: Need::Answer, until, is_announced }),
        }
    }

    fn attend(&self) {
        if !self.is_attended.swap(true, Ordering::Relaxed) {
            self.port.attend(self.call);
        }
    }

    fn end(&self) -> Option<End> {
        self.slot.answer().map(|answer| match &*answer {
            Answer::One { ending: Ending::Done(_), .. } => End::Done,
            Answer::One { ending: Ending::NotDone(NotDone::Expired), .. } => End::Expired,
            Answer::One { .. } => End::Otherwise,
            Answer::Many(all) => match all.iter().any(|one| matches!(one.outcome, Err(NotDone::Expired))) {
                true => End::Expired,
                false => End::Done,
            },
        })
    }

    fn progress(&self) -> Option<Progress> {
        self.slot.progress()
    }

    fn cancel(&self) {
        self.port.cancel(self.call);
    }

    fn set_expiry(&self, time_left: Option<Duration>) {
        self.port.set_expiry(self.call, time_left.map(|left| left.min(LONGEST)));
    }

    fn abandon(&self) {
        // Whether there is a stream to be ended is known when the call is answered.
        if !self.has_callbacks.load(Ordering::Relaxed) && self.stream.is_none() {
            self.port.abandon(self.call);
        }
    }

    fn when_ended(&self, job: Job) -> Option<Job> {
        let given_back = self.slot.on_answer(Box::new(move |_| job()));
        if given_back.is_none() {
            self.has_callbacks.store(true, Ordering::Relaxed);
            self.attend();
        }
        given_back.map(|(callback, answer)| -> Job { Box::new(move || callback(&answer)) })
    }

    fn poll(&self, waker: &Waker) -> bool {
        let is_over = self.slot.poll(waker).is_some();
        if !is_over {
            self.attend();
        }
        is_over
    }

    fn facts(&self) -> CallFacts {
        self.facts_of("", Generation(0), &[])
    }
}
