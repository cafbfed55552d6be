//! Why a call was not done, one variant per ending.
//!
//! | Ending | Has it run? | What a caller can do |
//! |---|---|---|
//! | failed | yes, unless its bytes were not the command's | heed the handler's own error |
//! | cancelled | not at all, or up to where its handler gave up | nothing: somebody wanted that |
//! | expired | perhaps; its handler may still be at it | ask what became of it |
//! | refused | no | what the refusal says |
//! | lost | no | send it again |
//! | indeterminate | at most once, perhaps in part | ask the device, not the command |
//! | deadlock | perhaps; nobody waits for it | ask without waiting |
//! | no answer yet | perhaps; it has not ended | wait longer, or let it be |
//! | unreadable answer | yes | build both programs from the same types |

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::wire::{DecodeError, Failure, NotDone, Refusal, Schema, Site};

/// Who was asked what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFacts {
    /// The command's name.
    pub command: String,
    /// The manager that was to do it; empty when that was never decided.
    pub manager: String,
    /// Which life of it; 0 when unknown.
    pub generation: u32,
    /// The handlers that called one another until one of them made this call, outermost first, as
    /// `motor: MoveTo`; `scope` alone for a thread of the coordinator.
    pub chain: Vec<String>,
}

impl CallFacts {
    /// The way here, for an error's text, when it is longer than the caller knows anyway.
    fn way(&self) -> String {
        match self.chain.len() {
            0 | 1 => String::new(),
            _ => format!(" (called by `{}`)", self.chain.join("` → `")),
        }
    }
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
    #[error("{} failed: {}{}", .0.facts, .0.failure, .0.facts.way())]
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

/// Which ending a [`CallError`] is, without its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// The handler returned an error or panicked.
    Failed,
    /// The call was cancelled.
    Cancelled,
    /// Its deadline passed.
    Expired,
    /// It was refused: it did not run.
    Refused,
    /// Its manager died before taking it: it did not run.
    Lost,
    /// Its manager died while at it.
    Indeterminate,
    /// To wait for it would have been for ever.
    Deadlock,
    /// The caller's patience ended first.
    NoAnswerYet,
    /// The answer is not the reply's type.
    UnreadableAnswer,
    /// It was refused because the value behind its handle is gone: it did not run.
    StaleHandle,
}

impl fmt::Display for CallErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Indeterminate => "indeterminate",
            Self::Deadlock => "deadlock",
            Self::NoAnswerYet => "no-answer-yet",
            Self::UnreadableAnswer => "unreadable-answer",
            Self::StaleHandle => "stale-handle",
        })
    }
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

    /// Which ending it is.
    pub fn kind(&self) -> CallErrorKind {
        match self {
            Self::Failed(_) => CallErrorKind::Failed,
            Self::Cancelled(_) => CallErrorKind::Cancelled,
            Self::Expired(_) => CallErrorKind::Expired,
            Self::Refused(Refusal::StaleHandle { .. }) => CallErrorKind::StaleHandle,
            Self::Refused(_) => CallErrorKind::Refused,
            Self::Lost(_) => CallErrorKind::Lost,
            Self::Indeterminate(_) => CallErrorKind::Indeterminate,
            Self::Deadlock { .. } => CallErrorKind::Deadlock,
            Self::NoAnswerYet { .. } => CallErrorKind::NoAnswerYet,
            Self::UnreadableAnswer { .. } => CallErrorKind::UnreadableAnswer,
        }
    }

    /// Who was asked what; a refusal says that in its own way.
    pub fn facts(&self) -> Option<&CallFacts> {
        match self {
            Self::Failed(remote) => Some(&remote.facts),
            Self::Refused(_) => None,
            Self::Cancelled(facts)
            | Self::Expired(facts)
            | Self::Lost(facts)
            | Self::Indeterminate(facts)
            | Self::Deadlock { facts, .. }
            | Self::NoAnswerYet { facts, .. }
            | Self::UnreadableAnswer { facts, .. } => Some(facts),
        }
    }

    /// The command's name; nothing when an ended rig refused it.
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.command(),
            _ => self.facts().map(|facts| facts.command.as_str()),
        }
    }

    /// The manager that was to do it, as far as that was decided.
    pub fn manager(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.manager(),
            _ => self.facts().map(|facts| facts.manager.as_str()).filter(|name| !name.is_empty()),
        }
    }

    /// Which life of that manager, as far as it is known.
    pub fn generation(&self) -> Option<u32> {
        self.facts().map(|facts| facts.generation).filter(|generation| *generation > 0)
    }

    /// The managers whose handlers called one another until one of them made the call, outermost first.
    pub fn chain(&self) -> &[String] {
        self.facts().map_or(&[], |facts| &facts.chain)
    }

    /// What went wrong: the text of the handler's error or its panic's message; for any other ending, all
    /// that there is to say.
    pub fn message(&self) -> String {
        self.failure().map_or_else(|| self.to_string(), |failure| failure.text.clone())
    }

    /// Where the handler panicked, when it did.
    pub fn location(&self) -> Option<&Site> {
        self.failure()?.location.as_ref()
    }

    /// The backtrace of the handler's panic, when backtraces are enabled in its process.
    pub fn backtrace(&self) -> Option<&str> {
        self.failure()?.backtrace.as_deref()
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(remote) => Some(&remote.failure),
            _ => None,
        }
    }

    /// Whether the call was taken back, by whomever.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }

    /// Whether it was refused because the rig quits or has ended.
    pub fn is_shutdown(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_shutdown())
    }

    /// Whether the command certainly has not run, so that sending it again does not do it twice: it was lost or
    /// refused. Not so when the rig has ended, for it takes nothing any more, and what a manager had asked of
    /// another then may have run; nor when the value behind a handle is gone, which does not come back.
    pub fn is_safe_to_retry(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Refused(refusal) => !matches!(refusal, Refusal::Closed | Refusal::StaleHandle { .. }),
            _ => false,
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
