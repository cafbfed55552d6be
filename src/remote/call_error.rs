//! Why a call was not done, one variant per ending.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::wire::{DecodeError, Failure, NotDone, Refusal, Schema};

/// Who was asked what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFacts {
    /// The command's name.
    pub command: String,
    /// The manager that was to do it; empty when that was never decided.
    pub manager: String,
    /// Which life of it; 0 when unknown.
    pub generation: u32,
    /// The calls that led here, outermost first, as `manager: Command`.
    pub chain: Vec<String>,
}

impl fmt::Display for CallFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.command)?;
        if !self.manager.is_empty() {
            write!(f, " at `{}`", self.manager)?;
        }
        if self.generation > 1 {
            write!(f, " (generation {})", self.generation)?;
        }
        Ok(())
    }
}

/// A handler's failure with the place where it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteError {
    /// Who was asked what.
    pub facts: CallFacts,
    /// What went wrong.
    pub failure: Failure,
}

/// Why a call was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The handler returned an error or panicked; [`downcast`](Self::downcast) gives its own error.
    #[error("{} failed: {}", .0.facts, .0.failure)]
    Failed(Box<RemoteError>),
    /// The call was cancelled.
    #[error("{0} was cancelled")]
    Cancelled(CallFacts),
    /// Its deadline passed before an answer came; the handler may still be at it.
    #[error("{0} expired: no answer within its deadline")]
    Expired(CallFacts),
    /// It was refused: it did not run and will not.
    #[error(transparent)]
    Refused(Refusal),
    /// Its manager died before taking it, or a newer command took its place: it did not run.
    #[error("{0} was lost: it did not run")]
    Lost(CallFacts),
    /// Its manager died after taking it and before replying: it ran at most once.
    #[error("{0} is indeterminate: its manager died while at it")]
    Indeterminate(CallFacts),
    /// The handler that waits would wait for ever, because what it waits for waits for it. The command may
    /// run, but its reply is awaited by nobody.
    #[error("{facts} is not waited for: it would be for ever ({})", .cycle.join(" → "))]
    Deadlock {
        /// Who was asked what.
        facts: CallFacts,
        /// Who would wait for whom: it begins and ends with the same name.
        cycle: Vec<String>,
    },
    /// The caller's patience ended first; the call is abandoned and the manager may still do it.
    #[error("{facts} has not answered within {patience:?}")]
    NoAnswerYet {
        /// Who was asked what.
        facts: CallFacts,
        /// How long was waited.
        patience: Duration,
    },
    /// An answer came whose bytes are not the reply's type.
    #[error("the answer to {facts} cannot be read: {source}")]
    UnreadableAnswer {
        /// Who was asked what.
        facts: CallFacts,
        /// What is wrong with the bytes.
        source: Box<DecodeError>,
    },
}

impl CallError {
    /// The error of an ending that is not done.
    pub fn from_ending(why: NotDone, facts: CallFacts) -> Self {
        match why {
            NotDone::Failed(failure) => Self::Failed(Box::new(RemoteError { facts, failure })),
            NotDone::Cancelled => Self::Cancelled(facts),
            NotDone::Expired => Self::Expired(facts),
            NotDone::Refused(refusal) => Self::Refused(refusal),
            NotDone::Lost => Self::Lost(facts),
            NotDone::Indeterminate => Self::Indeterminate(facts),
            NotDone::Deadlock { cycle } => Self::Deadlock { facts, cycle },
        }
    }

    /// The handler's own error, when it failed with an `E`.
    pub fn downcast<E: DeserializeOwned + Schema>(&self) -> Option<E> {
        match self {
            Self::Failed(remote) => remote.failure.downcast(),
            _ => None,
        }
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
