//! Safe states: why a manager is to enter one, and what it says when it has.

use serde::{Deserialize, Serialize};

/// Why a manager is told to enter its safe state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, labrig::Schema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SafeReason {
    /// The rig quits in good order.
    Quit,
    /// The coordinator is gone.
    CoordinatorLost,
    /// The process was told to end by a signal.
    Terminated,
    /// Everything is to stop, and goes on when it is told to.
    StopOrdered,
    /// The coordinator is frozen: it has not renewed its lease. The manager goes on when it is told to.
    CoordinatorFrozen,
    /// The manager hangs, or is to be started again.
    Restarting,
    /// A handler has panicked, and the config says that the manager is to be started again then.
    Panicked,
}

impl SafeReason {
    /// Every reason, in the order of their codes.
    const ALL: [Self; 7] = [
        Self::Quit,
        Self::CoordinatorLost,
        Self::Terminated,
        Self::StopOrdered,
        Self::CoordinatorFrozen,
        Self::Restarting,
        Self::Panicked,
    ];

    /// Which argument of a status page says up to which command an order for the safe state holds.
    pub const BARRIER_WORD: usize = 0;
    /// Which one says why.
    pub const REASON_WORD: usize = 1;
    /// In which one a stop leaves its number, after its barrier: who has read it does not begin with what it calls off.
    pub const STOP_WORD: usize = 2;

    /// The reason as a number that fits a word of a status page: 1 or more.
    pub fn code(self) -> u64 {
        self as u64 + 1
    }

    /// The reason with that code.
    pub fn of_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Whether the manager's process ends after it, rather than waiting for what it is told next.
    pub fn is_end(self) -> bool {
        !matches!(self, Self::StopOrdered | Self::CoordinatorFrozen)
    }
}

impl std::fmt::Display for SafeReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Quit => "the rig quits",
            Self::CoordinatorLost => "the coordinator is gone",
            Self::Terminated => "a signal ended the process",
            Self::StopOrdered => "a stop was ordered",
            Self::CoordinatorFrozen => "the coordinator is frozen",
            Self::Restarting => "it hangs, or is to be started again",
            Self::Panicked => "a handler panicked",
        })
    }
}

/// A manager has entered its safe state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub struct SafeEntry {
    /// Why it was told to.
    pub reason: SafeReason,
    /// How long it took from the order, as the manager heard it, in µs.
    pub took_us: u64,
    /// How many commands it had taken then: a later one may have left the safe state again.
    pub taken: u64,
    /// Whether its emergency handle did it, because its worker was stuck.
    pub by_emergency_handle: bool,
    /// The number of the last stop that it knew of when it began with it; 0 before the first. Those that were
    /// ordered later are not answered by it.
    pub stop: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        for reason in SafeReason::ALL {
            assert_eq!(SafeReason::of_code(reason.code()), Some(reason));
        }
        assert_eq!((SafeReason::of_code(0), SafeReason::of_code(8)), (None, None));
    }
}
