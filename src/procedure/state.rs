//! The states of a procedure and the moves between them: a table, and nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::macros::Schema;

/// Where a procedure stands. The last three are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcedureState {
    /// There is a record of it; it has not begun. It waits for its turn, or to be played.
    Created,
    /// It is at a step, or waits for its turn to go on.
    Running,
    /// It sleeps, waits for a signal, or for a child.
    Waiting,
    /// It goes on when it is played.
    Paused,
    /// It has come to its end, and has an output.
    Finished,
    /// A step has failed, or its time was up.
    Excepted,
    /// It was killed.
    Killed,
}

/// What moves a procedure from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// It begins.
    Begin,
    /// A step has said that something is to be waited for.
    Wait,
    /// What was waited for has come.
    Wake,
    /// It is paused.
    Pause,
    /// It is played.
    Play,
    /// Its last step is done.
    Finish,
    /// It cannot go on.
    Except,
    /// It is killed.
    Kill,
}

/// A move that a state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a procedure that is {from} cannot {wanted:?}")]
pub struct IllegalMove {
    /// Where it stands.
    pub from: ProcedureState,
    /// What was to be done.
    pub wanted: Move,
}

impl ProcedureState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Waiting,
        Self::Paused,
        Self::Finished,
        Self::Excepted,
        Self::Killed,
    ];

    /// Whether nothing becomes of it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Excepted | Self::Killed)
    }

    /// The state that a move leads to.
    ///
    /// # Errors
    /// [`IllegalMove`], when this state does not allow it.
    pub fn after(self, wanted: Move) -> Result<Self, IllegalMove> {
        use ProcedureState::{Created, Excepted, Finished, Killed, Paused, Running, Waiting};
        match (self, wanted) {
            (Created, Move::Begin) | (Waiting, Move::Wake) | (Paused, Move::Play) => Ok(Running),
            (Running, Move::Wait) => Ok(Waiting),
            (Created | Running | Waiting, Move::Pause) => Ok(Paused),
            (Running, Move::Finish) => Ok(Finished),
            (Created | Running | Waiting | Paused, Move::Except) => Ok(Excepted),
            (Created | Running | Waiting | Paused, Move::Kill) => Ok(Killed),
            (from, wanted) => Err(IllegalMove { from, wanted }),
        }
    }

    /// Its name, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Excepted => "excepted",
            Self::Killed => "killed",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for ProcedureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOVES: [Move; 8] = [
        Move::Begin,
        Move::Wait,
        Move::Wake,
        Move::Pause,
        Move::Play,
        Move::Finish,
        Move::Except,
        Move::Kill,
    ];

    #[test]
    fn final_states_allow_no_move_and_all_others_can_be_killed() {
        for state in ProcedureState::ALL {
            let allowed = MOVES.iter().filter(|wanted| state.after(**wanted).is_ok()).count();
            assert_eq!(allowed == 0, state.is_final(), "{state}");
            assert_eq!(state.after(Move::Kill).is_ok(), !state.is_final(), "{state}");
        }
    }

    #[test]
    fn a_state_is_found_by_its_name() {
        for state in ProcedureState::ALL {
            assert_eq!(ProcedureState::named(state.name()), Some(state));
        }
        assert_eq!(ProcedureState::named("asleep"), None);
    }

    #[test]
    fn what_a_state_does_not_allow_is_said() {
        let refused = ProcedureState::Finished.after(Move::Pause).expect_err("it is over");
        assert_eq!(refused.to_string(), "a procedure that is finished cannot Pause");
    }
}
