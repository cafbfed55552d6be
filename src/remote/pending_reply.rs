//! A reply that is awaited: by sleeping for it, by looking now and then, by a callback, or by a task.
//!
//! All four may be mixed. The answer stays where it came in, so that everyone who asks is told the same; each
//! time it is read anew.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::call_error::{CallError, CallFacts};
use super::callbacks::{self, Job};
use super::chain::Chain;
use super::port::Waited;
use super::slot::Answer;
use super::waiting::{Course, End, Waiting, moment_after};
use crate::wire::{CodecId, CommandSpec, DecodeError, Ending, Parcel, Progress, Refusal, codec};

/// The reply of a command that one manager, or the scope, was asked to do.
///
/// It can be waited for, asked, given a callback, or awaited as a future, which needs no runtime. Dropping it
/// does not take the command back, unless [`cancel_on_drop`](Self::cancel_on_drop) says so.
#[must_use = "the reply is lost unless it is waited for; use `scope.send` for a command without a reply"]
pub struct PendingReply<R> {
    source: Source<R>,
    cancels_on_drop: bool,
}

/// How a plain answer is read.
pub(super) type Read<R> = fn(&Waiting, &Answer) -> Result<R, CallError>;

/// The value, when what it is made of has ended.
type Value<R> = Arc<dyn Fn() -> Option<Result<R, CallError>> + Send + Sync>;

/// What a reply comes from: a call, as nearly always, or something made of calls.
enum Source<R> {
    Call(Waiting, Read<R>),
    Made(Arc<dyn Course>, Value<R>),
}

impl<R> Source<R> {
    fn course(&self) -> &dyn Course {
        match self {
            Self::Call(waiting, _) => waiting,
            Self::Made(course, _) => &**course,
        }
    }

    /// The same course for one more owner.
    fn shared(&self) -> Arc<dyn Course> {
        match self {
            Self::Call(waiting, _) => Arc::new(waiting.clone()),
            Self::Made(course, _) => Arc::clone(course),
        }
    }

    fn value(&self) -> Option<Result<R, CallError>> {
        match self {
            Self::Call(waiting, read) => waiting.slot.answer().map(|answer| read(waiting, &answer)),
            Self::Made(_, value) => value(),
        }
    }
}

impl<R> Clone for Source<R> {
    fn clone(&self) -> Self {
        match self {
            Self::Call(waiting, read) => Self::Call(waiting.clone(), *read),
            Self::Made(course, value) => Self::Made(Arc::clone(course), Arc::clone(value)),
        }
    }
}

impl<R> PendingReply<R> {
    pub(super) fn new(waiting: Waiting, read: Read<R>) -> Self {
        Self { source: Source::Call(waiting, read), cancels_on_drop: false }
    }

    /// What it is the reply of.
    pub(super) fn course(&self) -> &dyn Course {
        self.source.course()
    }

    /// What it comes to, when its call has ended.
    pub(super) fn value(&self) -> Option<Result<R, CallError>> {
        self.source.value()
    }

    /// Waits for the reply, for at most `patience`. Time queued in the coordinator counts.
    ///
    /// When it gives up, callbacks are told all the same.
    ///
    /// # Errors
    /// - [`CallError::NoAnswerYet`]: patience ended first; the manager may still carry out the command.
    /// - [`CallError::Failed`]: the handler returned an error or panicked.
    /// - [`CallError::Cancelled`]: the call was cancelled; also when the handler that waits here was, for that
    ///   takes the call back with it.
    /// - any other [`CallError`]: the ending it names.
    pub fn wait(mut self, patience: Duration) -> Result<R, CallError> {
        let waited = self.course().sleep(moment_after(patience));
        match self.value() {
            Some(value) => value,
            None => Err(self.give_up(waited, patience)),
        }
    }

    fn give_up(&mut self, waited: Waited, patience: Duration) -> CallError {
        let (course, facts) = (self.source.course(), self.source.course().facts());
        let (takes_back, why) = match waited {
            Waited::Cancelled => (true, CallError::Cancelled(facts)),
            Waited::Over => (self.cancels_on_drop, CallError::NoAnswerYet { facts, patience }),
        };
        if takes_back {
            course.cancel();
        }
        course.abandon();
        self.cancels_on_drop = false;
        why
    }

    /// Waits until the call has ended, for at most `patience`, and says whether it has; the reply is still to
    /// be asked for. When the handler that waits here is cancelled, it waits no longer.
    pub fn ready_within(&self, patience: Duration) -> bool {
        let _: Waited = self.course().sleep(moment_after(patience));
        self.course().end().is_some()
    }

    /// The reply, or why there is none; nothing as long as the call has not ended. It may be asked again.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), but for `NoAnswerYet`.
    pub fn try_value(&self) -> Option<Result<R, CallError>> {
        let value = self.value();
        if value.is_none() {
            self.course().attend();
        }
        value
    }

    /// Whether the call has ended, in whichever way. Asking runs nothing, here as in the other questions.
    pub fn is_ready(&self) -> bool {
        self.end().is_some()
    }

    /// Whether the call has ended otherwise than done.
    pub fn is_error(&self) -> bool {
        self.end().is_some_and(|end| end != End::Done)
    }

    /// Whether the call was ended by its deadline.
    pub fn is_expired(&self) -> bool {
        self.end() == Some(End::Expired)
    }

    /// How the call has ended. Somebody who asks does not sleep, so that another has to listen for the news.
    fn end(&self) -> Option<End> {
        let end = self.course().end();
        if end.is_none() {
            self.course().attend();
        }
        end
    }

    /// How far the handler has come, by its own newest word; nothing as long as it has said nothing.
    pub fn progress(&self) -> Option<Progress> {
        let _: Option<End> = self.end();
        self.course().progress()
    }

    /// Takes the call back, and returns at once. The call still ends once: as cancelled, or as its handler ends
    /// it, which may be at it already and need not heed the cancellation.
    pub fn cancel(&self) {
        self.course().cancel();
    }

    /// From now on the call expires in that time, whatever its deadline was; without one, never.
    pub fn set_expiry(&self, time_left: Option<Duration>) {
        self.course().set_expiry(time_left);
    }

    /// Has the callback told how the call has ended: at once and by this thread when it has, else by the thread
    /// for callbacks, which runs all of a process one after the other. Any number may be added. A callback that
    /// panics is logged, and touches nothing else.
    pub fn on_complete(&self, callback: impl FnOnce(Result<R, CallError>) + Send + 'static)
    where
        R: 'static,
    {
        let source = self.source.clone();
        let job: Job = Box::new(move || {
            if let Some(value) = source.value() {
                callback(value);
            }
        });
        if let Some(job) = self.course().when_ended(job) {
            callbacks::guarded("a callback", job);
        }
    }

    /// From now on, dropping it before the call has ended takes the call back; so does a [`wait`](Self::wait)
    /// that gives up.
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels_on_drop = true;
        self
    }

    /// The same call with its reply made into something else. An answer can be asked for several times, by
    /// callbacks too, and `f` is run each time, by whoever asks: so it is a plain function of the reply.
    pub fn map<T>(mut self, f: impl Fn(R) -> T + Send + Sync + 'static) -> PendingReply<T>
    where
        R: 'static,
    {
        let (course, source) = (self.source.shared(), self.source.clone());
        let value = Arc::new(move || source.value().map(|reply| reply.map(&f)));
        let cancels_on_drop = mem::take(&mut self.cancels_on_drop);
        PendingReply { source: Source::Made(course, value), cancels_on_drop }
    }

    /// Makes another call out of the reply; the two are one call from here on. What goes wrong with the first
    /// is the error of the whole, as is a refusal of the second. Cancelling, expiry and progress are those of
    /// the call that is under way; taken back before the second has begun, it never begins.
    ///
    /// `next` is run exactly once when the first call is done, and else never: by the thread for callbacks, by
    /// a thread that waits for the whole and is there before it, or right here when the first call is done
    /// already. Dropping the whole does not keep it from being run, unless
    /// [`cancel_on_drop`](Self::cancel_on_drop) was said of either.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use labrig::prelude::*;
    /// # #[derive(Command, Serialize, Deserialize, Schema)]
    /// # #[command(reply = f64)]
    /// # struct FindFocus {}
    /// # #[derive(Command, Serialize, Deserialize, Schema)]
    /// # struct MoveTo { height_um: f64 }
    /// # fn example(scope: Scope) -> Result<(), CallError> {
    /// let in_focus = scope.request(FindFocus {})?.then(move |height_um| scope.request(MoveTo { height_um }));
    /// in_focus.wait(Duration::from_secs(10))
    /// # }
    /// ```
    pub fn then<T: 'static>(
        mut self,
        next: impl FnOnce(R) -> Result<PendingReply<T>, Refusal> + Send + 'static,
    ) -> PendingReply<T>
    where
        R: 'static,
    {
        let cancels_on_drop = mem::take(&mut self.cancels_on_drop);
        let chain = Chain::begin(self, Box::new(next));
        let course = Arc::clone(&chain);
        PendingReply { source: Source::Made(course, Arc::new(move || chain.value())), cancels_on_drop }
    }
}

impl<R: 'static> PendingReply<PendingReply<R>> {
    /// A call whose reply is another call, as one; see [`then`](Self::then).
    pub fn flatten(self) -> PendingReply<R> {
        self.then(Ok)
    }
}

impl<R> Drop for PendingReply<R> {
    fn drop(&mut self) {
        if self.cancels_on_drop && self.course().end().is_none() {
            self.course().cancel();
        }
    }
}

impl<R> Future for PendingReply<R> {
    type Output = Result<R, CallError>;

    /// Polled again after it was ready, it gives the reply again.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.course().poll(context.waker()) {
            true => self.value().map_or(Poll::Pending, Poll::Ready),
            false => Poll::Pending,
        }
    }
}

impl<R> fmt::Debug for PendingReply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PendingReply");
        shown.field("command", &self.course().facts().command).field("end", &self.course().end()).finish()
    }
}

/// Reads the answer of a command that one manager, or the scope, handled.
pub(super) fn read_reply<R: DeserializeOwned>(waiting: &Waiting, answer: &Answer) -> Result<R, CallError> {
    match answer {
        Answer::One { ending: Ending::Done(reply), by, generation, chain } => {
            let facts = || waiting.facts_of(by, *generation, chain);
            match &waiting.stream {
                Some(claim) => claim.while_reading(facts(), || decode(reply, waiting.spec, facts)),
                None => decode(reply, waiting.spec, facts),
            }
        }
        Answer::One { ending: Ending::NotDone(why), by, generation, chain } => {
            Err(CallError::from_ending(why.clone(), waiting.facts_of(by, *generation, chain)))
        }
        Answer::Many(_) => Err(unreadable(waiting.facts(), waiting.spec, "it is a broadcast's report")),
    }
}

/// Reads a reply.
pub(super) fn decode<R: DeserializeOwned>(
    reply: &Parcel,
    spec: &CommandSpec,
    facts: impl FnOnce() -> CallFacts,
) -> Result<R, CallError> {
    codec::unpack(reply, reply.attached.as_deref(), CodecId::Postcard, &spec.reply)
        .map_err(|source| CallError::UnreadableAnswer { facts: facts(), source: Box::new(source) })
}

/// An answer that is none to that command.
pub(super) fn unreadable(facts: CallFacts, spec: &CommandSpec, reason: &str) -> CallError {
    let (expected, reason) = (spec.reply.root.describe(), reason.to_owned());
    CallError::UnreadableAnswer { facts, source: Box::new(DecodeError::Malformed { expected, reason }) }
}
