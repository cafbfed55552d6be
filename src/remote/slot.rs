//! The place where one answer is awaited. It is filled exactly once.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::wire::{BroadcastOutcome, Ending, Generation, Hop};

/// What a call is answered with.
#[derive(Debug)]
pub enum Answer {
    /// A command that one manager, or the scope, handled.
    One {
        /// How it ended.
        ending: Ending,
        /// Who ended it; empty when it never got to anyone.
        by: String,
        /// Which life of it.
        generation: Generation,
        /// The calls that led there, outermost first.
        chain: Vec<Hop>,
    },
    /// A broadcast.
    Many(Vec<BroadcastOutcome>),
}

/// Where an answer is put and found.
#[derive(Debug, Default)]
pub struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    has_ended: bool,
    answer: Option<Answer>,
}

impl Slot {
    /// Puts the answer in. A second answer is given back: a call ends once.
    ///
    /// # Errors
    /// The answer, when the slot was filled before.
    pub fn fill(&self, answer: Answer) -> Result<(), Answer> {
        let mut state = self.state.lock();
        if state.has_ended {
            return Err(answer);
        }
        *state = State { has_ended: true, answer: Some(answer) };
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the answer out if it is there.
    pub fn take(&self) -> Option<Answer> {
        self.state.lock().answer.take()
    }

    /// Whether the call has ended.
    pub fn is_filled(&self) -> bool {
        self.state.lock().has_ended
    }

    /// Sleeps until the answer is there or `until` has passed, and says whether it is.
    pub fn wait_until(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.has_ended {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(byte: u8) -> Answer {
        Answer::One {
            ending: Ending::Done(vec![byte]),
            by: "motor".into(),
            generation: Generation(1),
            chain: Vec::new(),
        }
    }

    #[test]
    fn a_slot_is_filled_and_taken_once() {
        let slot = Slot::default();
        assert!(slot.take().is_none());
        assert!(slot.fill(answer(1)).is_ok());
        assert!(slot.fill(answer(2)).is_err());
        assert!(matches!(slot.take(), Some(Answer::One { ending: Ending::Done(bytes), .. }) if bytes == [1]));
        assert!(slot.take().is_none());
        assert!(slot.is_filled());
        assert!(slot.fill(answer(3)).is_err());
    }
}
