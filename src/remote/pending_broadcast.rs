//! The outcomes of a broadcast, awaited as a reply is.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::call_error::CallError;
use super::pending_reply::{PendingReply, decode};
use super::report::{BroadcastReport, ManagerOutcome};
use super::slot::Answer;
use super::waiting::Waiting;
use crate::wire::{BroadcastOutcome, Command, Ending, Generation, NotDone};

/// The outcomes of a broadcast, manager by manager.
///
/// It can be waited for, asked, given a callback, or awaited as a future, which needs no runtime. Dropping it
/// does not take the command back, unless [`cancel_on_drop`](Self::cancel_on_drop) says so.
#[must_use = "the outcomes are lost unless they are waited for"]
pub struct PendingBroadcast<C: Command> {
    report: PendingReply<BroadcastReport<C::Reply>>,
}

impl<C: Command> PendingBroadcast<C> {
    pub(super) fn new(waiting: Waiting) -> Self {
        Self { report: PendingReply::new(waiting, read_report) }
    }

    /// Waits until every manager has answered, for at most `patience`.
    ///
    /// # Errors
    /// - [`CallError::NoAnswerYet`] when patience ended first.
    /// - [`CallError::Cancelled`] when the handler that waits here was cancelled, which takes the broadcast back.
    ///
    /// A manager that failed, died or was slow is no error here: its outcome says so.
    pub fn wait(self, patience: Duration) -> Result<BroadcastReport<C::Reply>, CallError> {
        self.report.wait(patience)
    }

    /// Waits until every manager has answered, for at most `patience`, and says whether they have; the report
    /// is still to be asked for. When the handler that waits here is cancelled, it waits no longer.
    pub fn ready_within(&self, patience: Duration) -> bool {
        self.report.ready_within(patience)
    }

    /// The report; nothing as long as a manager has not answered. It may be asked again.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), but for `NoAnswerYet`.
    pub fn try_value(&self) -> Option<Result<BroadcastReport<C::Reply>, CallError>> {
        self.report.try_value()
    }

    /// Whether every manager has answered, or will not. Asking runs nothing.
    pub fn is_ready(&self) -> bool {
        self.report.is_ready()
    }

    /// Whether the broadcast's deadline ended it, at one manager or more.
    pub fn is_expired(&self) -> bool {
        self.report.is_expired()
    }

    /// Takes the broadcast back wherever it has not ended. Returns at once.
    pub fn cancel(&self) {
        self.report.cancel();
    }

    /// From now on the broadcast expires in that time, whatever its deadline was; without one, never.
    pub fn set_expiry(&self, time_left: Option<Duration>) {
        self.report.set_expiry(time_left);
    }

    /// As [`PendingReply::on_complete`].
    pub fn on_complete(
        &self,
        callback: impl FnOnce(Result<BroadcastReport<C::Reply>, CallError>) + Send + 'static,
    ) {
        self.report.on_complete(callback);
    }

    /// From now on, dropping it before every manager has answered takes the broadcast back; so does a
    /// [`wait`](Self::wait) that gives up.
    pub fn cancel_on_drop(self) -> Self {
        Self { report: self.report.cancel_on_drop() }
    }
}

impl<C: Command> Future for PendingBroadcast<C> {
    type Output = Result<BroadcastReport<C::Reply>, CallError>;

    /// Polled again after it was ready, it gives the report again.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.report).poll(context)
    }
}

impl<C: Command> fmt::Debug for PendingBroadcast<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PendingBroadcast").field(&self.report).finish()
    }
}

fn read_report<R: DeserializeOwned>(
    waiting: &Waiting,
    answer: &Answer,
) -> Result<BroadcastReport<R>, CallError> {
    match answer {
        Answer::Many(outcomes) => {
            Ok(BroadcastReport { outcomes: outcomes.iter().map(|one| outcome(waiting, one)).collect() })
        }
        Answer::One { ending, by, generation, chain } => {
            let why = match ending {
                Ending::NotDone(why) => why.clone(),
                Ending::Done(_) => NotDone::Indeterminate,
            };
            Err(CallError::from_ending(why, waiting.facts_of(by, *generation, chain)))
        }
    }
}

fn outcome<R: DeserializeOwned>(waiting: &Waiting, one: &BroadcastOutcome) -> ManagerOutcome<R> {
    let facts = || waiting.facts_of(&one.manager, Generation(one.generation), &[]);
    let outcome = match &one.outcome {
        Ok(reply) => decode(reply, waiting.spec, facts),
        Err(why) => Err(CallError::from_ending(why.clone(), facts())),
    };
    ManagerOutcome { manager: one.manager.clone(), generation: one.generation, outcome }
}
