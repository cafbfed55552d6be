//! The ways a command can end other than done.

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::refusal::Refusal;

/// Why a command that was accepted, or offered, was not done.
///
/// Variants are only ever appended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
#[non_exhaustive]
pub enum NotDone {
    /// Its handler returned an error or panicked.
    Failed(Failure),
    /// The caller, or someone for it, took it back.
    Cancelled,
    /// Its deadline passed; the handler may still be at it.
    Expired,
    /// It was not accepted, or the rig quit before it was taken; it did not run.
    Refused(Refusal),
    /// Its manager died before taking it, or a newer command displaced it; it did not run.
    Lost,
    /// Its manager died after taking it and before replying; it ran at most once.
    Indeterminate,
}

/// How a command ended: the reply's bytes, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The handler's reply, as encoded by the codec of the request.
    Done(Vec<u8>),
    /// Everything else.
    NotDone(NotDone),
}

/// The outcome of a broadcast at one manager, as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct BroadcastOutcome {
    /// The manager's name.
    pub manager: String,
    /// Which life of it answered; 0 when it was not alive.
    pub generation: u32,
    /// The reply's bytes, or why there is none.
    pub outcome: Result<Vec<u8>, NotDone>,
}
