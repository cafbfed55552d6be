//! How a broadcast ended, manager by manager.

use std::fmt;

use super::call_error::CallError;

/// How a broadcast ended at one manager.
#[derive(Debug, Clone)]
pub struct ManagerOutcome<R> {
    /// The manager.
    pub manager: String,
    /// Which life of it; 0 when it was not alive.
    pub generation: u32,
    /// Its reply, or why there is none.
    pub outcome: Result<R, CallError>,
}

/// How a broadcast ended, sorted by manager.
#[derive(Debug, Clone)]
pub struct BroadcastReport<R = ()> {
    /// One entry for every manager that has a handler.
    pub outcomes: Vec<ManagerOutcome<R>>,
}

impl<R> BroadcastReport<R> {
    /// Whether every manager has done it.
    pub fn is_all_done(&self) -> bool {
        self.outcomes.iter().all(|one| one.outcome.is_ok())
    }

    /// How it ended at that manager, if it has a handler.
    pub fn of(&self, manager: &str) -> Option<&ManagerOutcome<R>> {
        self.outcomes.iter().find(|one| one.manager == manager)
    }

    /// The managers that have not done it, with the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &CallError)> {
        self.outcomes.iter().filter_map(|one| Some((one.manager.as_str(), one.outcome.as_ref().err()?)))
    }
}

impl<R> fmt::Display for BroadcastReport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.outcomes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            match &one.outcome {
                Ok(_) => write!(f, "{separator}{}: done", one.manager)?,
                Err(error) => write!(f, "{separator}{}: {error}", one.manager)?,
            }
        }
        Ok(())
    }
}
