//! Replies that are awaited.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call_error::{CallError, CallFacts};
use super::port::Port;
use super::report::{BroadcastReport, ManagerOutcome};
use super::slot::{Answer, Slot};
use crate::wire::{BroadcastOutcome, CodecId, Command, CommandSpec, Ending, Generation, Hop, NotDone, codec};

/// What both kinds of pending answers are made of.
pub(super) struct Waiting {
    pub(super) port: Arc<dyn Port>,
    pub(super) slot: Arc<Slot>,
    pub(super) correlation: u64,
    pub(super) spec: &'static CommandSpec,
}

impl Waiting {
    /// The answer, or none when patience ended first; then the call is abandoned.
    fn answer(&self, patience: Duration) -> Option<Answer> {
        self.port.wait(&self.slot, Instant::now() + patience);
        let answer = self.slot.take();
        if answer.is_none() {
            self.port.abandon(self.correlation);
        }
        answer
    }

    fn facts(&self, manager: String, generation: Generation, chain: &[Hop]) -> CallFacts {
        let chain = chain.iter().map(|hop| self.port.name_of(hop.who)).collect();
        CallFacts { command: self.spec.name.clone(), manager, generation: generation.0, chain }
    }

    fn not_yet(&self, patience: Duration) -> CallError {
        CallError::NoAnswerYet { facts: self.facts(String::new(), Generation(0), &[]), patience }
    }
}

/// The reply of a command that one manager, or the scope, was asked to do.
///
/// Dropping it does not take the command back.
#[must_use = "the reply is lost unless it is waited for; use `scope.send` for a command without a reply"]
pub struct PendingReply<R> {
    waiting: Waiting,
    reply: PhantomData<fn() -> R>,
}

impl<R> PendingReply<R> {
    pub(super) fn new(waiting: Waiting) -> Self {
        Self { waiting, reply: PhantomData }
    }

    /// Whether the call has ended, in whichever way.
    pub fn is_ready(&self) -> bool {
        self.waiting.slot.is_filled()
    }
}

impl<R: serde::de::DeserializeOwned> PendingReply<R> {
    /// Waits for the reply, for at most `patience`. Time queued in the coordinator counts.
    ///
    /// # Errors
    /// - [`CallError::NoAnswerYet`]: patience ended first; the manager may still carry out the command.
    /// - [`CallError::Failed`]: the handler returned an error or panicked.
    /// - any other [`CallError`]: the ending it names.
    pub fn wait(self, patience: Duration) -> Result<R, CallError> {
        match self.waiting.answer(patience) {
            None => Err(self.waiting.not_yet(patience)),
            Some(Answer::One { ending, by, generation, chain }) => {
                read_ending(ending, self.waiting.facts(by, generation, &chain), self.waiting.spec)
            }
            Some(Answer::Many(_)) => unreachable!("a request is never answered by a report"),
        }
    }
}

fn read_ending<R: serde::de::DeserializeOwned>(
    ending: Ending,
    facts: CallFacts,
    spec: &CommandSpec,
) -> Result<R, CallError> {
    match ending {
        Ending::Done(reply) => codec::decode(&reply, CodecId::Postcard, &spec.reply)
            .map_err(|source| CallError::UnreadableAnswer { facts, source: Box::new(source) }),
        Ending::NotDone(why) => Err(CallError::from_ending(why, facts)),
    }
}

/// The outcomes of a broadcast.
///
/// Dropping it does not take the command back.
#[must_use = "the outcomes are lost unless they are waited for"]
pub struct PendingBroadcast<C: Command> {
    waiting: Waiting,
    command: PhantomData<fn() -> C>,
}

impl<C: Command> PendingBroadcast<C> {
    pub(super) fn new(waiting: Waiting) -> Self {
        Self { waiting, command: PhantomData }
    }

    /// Waits until every manager has answered, for at most `patience`.
    ///
    /// # Errors
    /// [`CallError::NoAnswerYet`] when patience ended first. A manager that failed, died or was slow is
    /// no error here: its outcome says so.
    pub fn wait(self, patience: Duration) -> Result<BroadcastReport<C::Reply>, CallError> {
        match self.waiting.answer(patience) {
            None => Err(self.waiting.not_yet(patience)),
            Some(Answer::Many(outcomes)) => {
                Ok(BroadcastReport { outcomes: outcomes.into_iter().map(|one| self.outcome(one)).collect() })
            }
            Some(Answer::One { ending, by, generation, chain }) => {
                let facts = self.waiting.facts(by, generation, &chain);
                Err(CallError::from_ending(refused_whole(ending), facts))
            }
        }
    }

    fn outcome(&self, one: BroadcastOutcome) -> ManagerOutcome<C::Reply> {
        let facts = self.waiting.facts(one.manager.clone(), Generation(one.generation), &[]);
        let ending = one.outcome.map_or_else(Ending::NotDone, Ending::Done);
        let outcome = read_ending(ending, facts, self.waiting.spec);
        ManagerOutcome { manager: one.manager, generation: one.generation, outcome }
    }
}

fn refused_whole(ending: Ending) -> NotDone {
    match ending {
        Ending::NotDone(why) => why,
        Ending::Done(_) => NotDone::Indeterminate,
    }
}
