//! The ladder: what is tried with a manager that hangs, one rung after the other, each with its own deadline.

use std::fmt;
use std::time::{Duration, Instant};

use crate::config::Supervision;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rung {
    /// Its handler is told to give up.
    Cancel,
    /// It is told to enter its safe state.
    Safe,
    /// Its process is told to end.
    Terminate,
    /// Its process and all that it started are killed.
    Kill,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cancel => "cancel",
            Self::Safe => "safe state",
            Self::Terminate => "terminate",
            Self::Kill => "kill",
        })
    }
}

/// How long each rung has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rungs {
    cancel: Duration,
    safe: Duration,
    terminate: Duration,
    kill: Duration,
}

impl Rungs {
    /// Terminated, a manager still enters its safe state: that time comes on top.
    pub(crate) fn new(rules: &Supervision, safe_deadline: Duration) -> Self {
        Self {
            cancel: rules.cancel_deadline,
            safe: safe_deadline,
            terminate: safe_deadline + rules.terminate_deadline,
            kill: rules.kill_deadline,
        }
    }

    pub(crate) fn of(&self, rung: Rung) -> Duration {
        match rung {
            Rung::Cancel => self.cancel,
            Rung::Safe => self.safe,
            Rung::Terminate => self.terminate,
            Rung::Kill => self.kill,
        }
    }
}

/// A manager on the ladder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ladder {
    rung: Rung,
    until: Instant,
}

impl Ladder {
    /// Begins with a rung; what it says is to be done now.
    pub(crate) fn begin(rung: Rung, rungs: &Rungs, now: Instant) -> Self {
        Self { rung, until: now + rungs.of(rung) }
    }

    pub(crate) fn rung(&self) -> Rung {
        self.rung
    }

    /// Until when this rung is given.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// Whether a manager that works again may stay: nobody has told its process to end.
    pub(crate) fn can_recover(&self) -> bool {
        self.rung <= Rung::Safe
    }

    /// The next rung; none after the last.
    pub(crate) fn climb(&self, rungs: &Rungs, now: Instant) -> Option<Self> {
        let next = match self.rung {
            Rung::Cancel => Rung::Safe,
            Rung::Safe => Rung::Terminate,
            Rung::Terminate => Rung::Kill,
            Rung::Kill => return None,
        };
        Some(Self::begin(next, rungs, now))
    }
}
