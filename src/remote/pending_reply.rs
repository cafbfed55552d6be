//! Replies that are awaited.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call_error::{CallError, CallFacts};
use super::port::{Port, Wait, Waited};
use super::report::{BroadcastReport, ManagerOutcome};
use super::slot::{Answer, Need, Slot};
use crate::wire::{BroadcastOutcome, CodecId, Command, CommandSpec, Ending, Generation, Hop, NotDone, codec};

/// The longest that anybody waits. A clock cannot hold every moment that a `Duration` can ask for.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What both kinds of pending answers are made of.
pub(super) struct Waiting {
    pub(super) port: Arc<dyn Port>,
    pub(super) slot: Arc<Slot>,
    pub(super) correlation: u64,
    pub(super) spec: &'static CommandSpec,
    /// Whether the command itself said that its sender waits.
    pub(super) is_announced: bool,
}

impl Waiting {
    /// The answer, or none when patience ended first; then the call is abandoned.
    fn answer(&self, patience: Duration) -> Option<Answer> {
        let until = Instant::now() + patience.min(LONGEST);
        let (call, slot, is_announced) = (self.correlation, &self.slot, self.is_announced);
        let _: Waited = self.port.wait(Wait { call, slot, need: Need::Answer, until, is_announced });
        let answer = self.slot.answer();
        if answer.is_none() {
            self.port.abandon(self.correlation);
        }
        answer.map(|answer| (*answer).clone())
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
        self.waiting.slot.has(Need::Answer)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::port::Outgoing;
    use crate::remote::scope::Ping;
    use crate::remote::stream::{StreamError, StreamParts};
    use crate::shm::ReadMode;
    use crate::wire::Refusal;

    /// A port whose answers are put into the slots by hand.
    struct ByHand;

    impl Port for ByHand {
        fn submit(&self, _: Outgoing) -> Result<u64, Refusal> {
            Err(Refusal::Closed)
        }

        fn wait(&self, wait: Wait<'_>) -> Waited {
            wait.slot.wait_until(wait.need, wait.until, &|| false);
            Waited::Over
        }

        fn attend(&self, _: u64) {}

        fn cancel(&self, _: u64) {}

        fn set_expiry(&self, _: u64, _: Option<Duration>) {}

        fn abandon(&self, _: u64) {}

        fn grant(&self, _: u64, _: u32) {}

        fn report_progress(&self, _: u64, _: crate::wire::Progress) {}

        fn on_undelivered(&self, _: crate::remote::OnUndelivered) {}

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

        fn name_of(&self, who: u16) -> String {
            format!("#{who}")
        }
    }

    /// A call that ended before it was waited for, or did not, is waited for with this patience.
    fn check_wait(ending: Option<Ending>, patience: Duration, expected: Result<(), CallError>) {
        let slot = Arc::new(Slot::default());
        if let Some(ending) = ending {
            let answer =
                Answer::One { ending, by: "motor".to_owned(), generation: Generation(1), chain: Vec::new() };
            slot.fill(answer).expect("the first answer");
        }
        let waiting =
            Waiting { port: Arc::new(ByHand), slot, correlation: 1, spec: Ping::spec(), is_announced: false };
        assert_eq!(PendingReply::<()>::new(waiting).wait(patience), expected);
    }

    fn facts(manager: &str, generation: u32) -> CallFacts {
        let (command, manager) = ("Ping".to_owned(), manager.to_owned());
        CallFacts { command, manager, generation, chain: Vec::new() }
    }

    #[test]
    fn a_call_is_waited_for_with_any_patience() {
        for patience in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
            check_wait(Some(Ending::Done(Vec::new())), patience, Ok(()));
            let lost = CallError::Lost(facts("motor", 1));
            check_wait(Some(Ending::NotDone(NotDone::Lost)), patience, Err(lost));
        }
        let patience = Duration::from_millis(1);
        check_wait(None, patience, Err(CallError::NoAnswerYet { facts: facts("", 0), patience }));
    }

    #[test]
    fn an_answer_that_is_not_the_reply_is_an_error_that_says_so() {
        let source = codec::from_postcard::<()>(&[1], &Ping::spec().reply).expect_err("a byte too many");
        let unreadable = CallError::UnreadableAnswer { facts: facts("motor", 1), source: Box::new(source) };
        check_wait(Some(Ending::Done(vec![1])), Duration::ZERO, Err(unreadable));
    }
}
