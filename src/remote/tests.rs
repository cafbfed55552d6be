//! Calls whose other side is played by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::call_error::CallFacts;
use super::port::{OnUndelivered, Outgoing, Port, Wait, Waited};
use super::scope::Scope;
use super::signal::SignalPort;
use super::slot::{Answer, Slot};
use super::stream::{StreamError, StreamParts};
use crate::shm::ReadMode;
use crate::wire::{Ending, Generation, Header, Hop, Hops, NotDone, Progress, Refusal, codec};

mod awaiting;
mod broadcasts;
mod chaining;
mod deadlines;
mod errors;
mod streams;

/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Too short for anything that takes time.
const MOMENT: Duration = Duration::from_millis(1);

/// Answered by a number.
#[derive(crate::Command, crate::Schema, serde::Serialize, serde::Deserialize, Debug, Clone)]
#[command(reply = u32)]
struct Count {}

/// Answered by a number, everywhere.
#[derive(crate::Command, crate::Schema, serde::Serialize, serde::Deserialize, Debug, Clone)]
#[command(broadcast, reply = u32)]
struct CountAll {}

/// A port that keeps what it is told; answers are put into the slots by hand.
#[derive(Default)]
struct ByHand {
    sent: Mutex<Vec<(Header, Option<Arc<Slot>>)>>,
    told: Mutex<Vec<Told>>,
    on_undelivered: Mutex<Vec<OnUndelivered>>,
    /// Whether the handler that waits is to give up.
    gives_up: AtomicBool,
}

#[derive(Debug, Clone, PartialEq)]
enum Told {
    Attend(u64),
    Cancel(u64),
    Abandon(u64),
    Expire(u64, Option<Duration>),
    Grant(u64, u32),
}

impl ByHand {
    fn tell(&self, told: Told) {
        self.told.lock().push(told);
    }

    fn scope(self: &Arc<Self>) -> Scope {
        Scope::new(Arc::clone(self) as Arc<dyn Port>)
    }

    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock())
    }

    fn header(&self, call: u64) -> Header {
        self.sent.lock()[call as usize - 1].0.clone()
    }

    fn slot(&self, call: u64) -> Arc<Slot> {
        let slot = self.sent.lock()[call as usize - 1].1.clone();
        slot.expect("a call that is answered")
    }

    fn end(&self, call: u64, ending: Ending) {
        let (by, generation) = ("motor".into(), Generation(1));
        let answer = Answer::One { ending, by, generation, chain: Hops::new() };
        self.slot(call).fill(answer).expect("the first answer");
    }

    /// Answers a call with a number.
    fn done(&self, call: u64, count: u32) {
        self.end(call, Ending::Done(codec::to_postcard(&count).expect("a number").into()));
    }

    fn not_done(&self, call: u64, why: NotDone) {
        self.end(call, Ending::NotDone(why));
    }
}

impl SignalPort for ByHand {}

impl Port for ByHand {
    fn submit(&self, outgoing: Outgoing) -> Result<u64, Refusal> {
        let mut sent = self.sent.lock();
        sent.push((outgoing.header, outgoing.slot));
        Ok(sent.len() as u64)
    }

    fn wait(&self, wait: Wait<'_>) -> Waited {
        let gives_up = || self.gives_up.load(Ordering::Relaxed);
        let is_there = wait.slot.wait_until(wait.need, wait.until, &gives_up);
        if gives_up() && !is_there { Waited::Cancelled } else { Waited::Over }
    }

    fn attend(&self, call: u64) {
        self.tell(Told::Attend(call));
    }

    fn cancel(&self, call: u64) {
        self.tell(Told::Cancel(call));
    }

    fn set_expiry(&self, call: u64, time_left: Option<Duration>) {
        self.tell(Told::Expire(call, time_left));
    }

    fn abandon(&self, call: u64) {
        self.tell(Told::Abandon(call));
    }

    fn grant(&self, call: u64, chunks: u32) {
        self.tell(Told::Grant(call, chunks));
    }

    fn report_progress(&self, _: u64, _: Progress) {}

    fn on_undelivered(&self, callback: OnUndelivered) {
        self.on_undelivered.lock().push(callback);
    }

    fn quit(&self, _: &str) {}

    fn report_loss(&self, _: &str, _: &str) {}

    fn find_stream(&self, _: &str) -> Result<(), StreamError> {
        Err(StreamError::Closed)
    }

    fn open_stream(&self, _: &str, _: ReadMode) -> Result<StreamParts, StreamError> {
        Err(StreamError::Closed)
    }

    fn default_deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn name_of(&self, hop: Hop) -> String {
        format!("#{}", hop.who)
    }
}

/// Who was asked to count, and has answered.
fn counted(command: &str) -> CallFacts {
    CallFacts { command: command.into(), manager: "motor".into(), generation: 1, chain: Vec::new() }
}

/// Who was asked to count, and has not answered.
fn unanswered(command: &str) -> CallFacts {
    CallFacts { command: command.into(), ..CallFacts::default() }
}

/// A task that counts how often it is woken.
#[derive(Default)]
struct Task {
    woken: AtomicUsize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

impl Task {
    fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        std::pin::Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.woken.load(Ordering::SeqCst)
    }
}
