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
    answer: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    Filled(Answer),
    Taken,
}

impl Slot {
    /// Puts the answer in. A second answer is given back: a call ends once.
    ///
    /// # Errors
    /// The answer, when the slot was filled before.
    pub fn fill(&self, answer: Answer) -> Result<(), Answer> {
        let mut state = self.answer.lock();
        if !matches!(*state, State::Open) {
            return Err(answer);
        }
        *state = State::Filled(answer);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the answer out if it is there.
    pub fn take(&self) -> Option<Answer> {
        let mut state = self.answer.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Filled(answer) => Some(answer),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Whether the call has ended.
    pub fn is_filled(&self) -> bool {
        !matches!(*self.answer.lock(), State::Open)
    }

    /// Sleeps until the answer is there or `until` has passed, and says whether it is.
    pub fn wait_until(&self, until: Instant) -> bool {
        let mut state = self.answer.lock();
        while matches!(*state, State::Open) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        !matches!(*state, State::Open)
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
