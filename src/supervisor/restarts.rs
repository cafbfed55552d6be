//! The restart policy: whether a manager is started again, and after how long.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::config::{RestartPolicy, Supervision};

/// Counts the restarts of one manager within a sliding span.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: RestartPolicy,
    most: u32,
    window: Duration,
    delay: Duration,
    max_delay: Duration,
    /// When those within the window began.
    begun: VecDeque<Instant>,
}

/// What becomes of a manager that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is started again after so long; `number` counts within the window.
    Restart { after: Duration, number: u32 },
    /// It stays down.
    Failed(GivenUp),
}

/// Why a manager is not started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Its policy says so.
    Policy,
    /// It was started again too often.
    Budget { restarts: u32, window: Duration },
    /// It was killed and is still there.
    Unkillable,
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => write!(f, "its `restart_policy` says that it stays down"),
            Self::Budget { restarts, window } => {
                write!(f, "it was started again {restarts} times within {window:?}")
            }
            Self::Unkillable => write!(f, "it was killed and its process is still there"),
        }
    }
}

impl Restarts {
    pub(crate) fn new(rules: &Supervision) -> Self {
        Self {
            policy: rules.policy,
            most: rules.max_restarts,
            window: rules.window,
            delay: rules.delay,
            max_delay: rules.max_delay,
            begun: VecDeque::new(),
        }
    }

    /// Decides about a manager that has ended: was it a failure, or did it end in good order without being told?
    pub(crate) fn decide(&mut self, is_failure: bool, now: Instant) -> Decision {
        let may = match self.policy {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => is_failure,
            RestartPolicy::Always => true,
        };
        if !may {
            return Decision::Failed(GivenUp::Policy);
        }
        while self.begun.front().is_some_and(|at| now.saturating_duration_since(*at) >= self.window) {
            self.begun.pop_front();
        }
        let restarts = u32::try_from(self.begun.len()).unwrap_or(u32::MAX);
        if restarts >= self.most {
            return Decision::Failed(GivenUp::Budget { restarts, window: self.window });
        }
        let after = self.delay.saturating_mul(1 << restarts.min(30)).min(self.max_delay.max(self.delay));
        self.begun.push_back(now + after);
        Decision::Restart { after, number: restarts + 1 }
    }

    /// Somebody has looked into it: the budget is fresh.
    pub(crate) fn renew(&mut self) {
        self.begun.clear();
    }
}
