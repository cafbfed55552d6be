//! The ways a command can end other than done.

use serde::{Deserialize, Serialize};

use super::attached::{Attached, Parcel};
use super::codec::{self, CodecId, DecodeError};
use super::envelope::{Kind, MAX_PAYLOAD_BYTES};
use super::failure::{Failure, FailureKind};
use super::refusal::Refusal;
use super::schema::TypeSchema;

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
    /// The handler that asked was to wait for it while others, directly or not, waited for that handler. It
    /// may run, but nobody waits for it.
    Deadlock {
        /// Who would wait for whom: it begins and ends with the same name.
        cycle: Vec<String>,
    },
}

impl NotDone {
    /// The handler's own error, when it crosses whole: handles and buffers may travel beside it.
    pub(crate) fn error_mut(&mut self) -> Option<&mut Parcel> {
        match self {
            Self::Failed(Failure { kind: FailureKind::Typed { value, .. }, .. }) => Some(value),
            _ => None,
        }
    }
}

/// How a command ended: the reply, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The handler's reply, as encoded by the codec of the request, and what travels beside it.
    Done(Parcel),
    /// Everything else.
    NotDone(NotDone),
}

/// What an envelope says of a handler's end. An answer that does not fit is not sent: its caller is told of
/// its size instead, for whoever reads an envelope that is too large believes nothing more from its sender.
pub fn answer(end: Result<Parcel, NotDone>) -> (Kind, Parcel) {
    let (kind, payload) = match end {
        Ok(reply) => (Kind::Done, reply),
        Err(why) => (Kind::Ended, write_not_done(&why)),
    };
    match payload.len() {
        0..=MAX_PAYLOAD_BYTES => (kind, payload),
        bytes => {
            let text =
                format!("the handler has run, but its answer of {bytes} bytes exceeds {MAX_PAYLOAD_BYTES}");
            (Kind::Ended, write_not_done(&NotDone::Failed(Failure::text(text))))
        }
    }
}

/// Why a command was not done, as it travels. An error that carries more than one envelope can is left out.
pub fn write_not_done(why: &NotDone) -> Parcel {
    codec::pack(why, CodecId::Postcard).unwrap_or_else(|error| {
        let failure = Failure::text(format!("its error cannot travel: {}", error.reason));
        let bytes = codec::to_postcard(&NotDone::Failed(failure));
        bytes.expect("a failure that is text holds only plain values, which postcard writes").into()
    })
}

/// Reads why a command was not done, with what came beside that.
///
/// # Errors
/// [`DecodeError`], when the bytes do not say so.
pub fn read_not_done(bytes: &[u8], attached: Option<&Attached>) -> Result<NotDone, DecodeError> {
    codec::unpack(bytes, attached, CodecId::Postcard, TypeSchema::known::<NotDone>())
}

/// How far a handler has come with a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct Progress {
    /// How much is done, in whatever unit `total` has.
    pub done: f64,
    /// How much there is to do; 0 when that is unknown.
    pub total: f64,
    /// What it is at, in words.
    pub note: String,
}

/// A one-way command that was accepted and does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub struct Undelivered {
    /// The command's name.
    pub command: String,
    /// Where it was to go.
    pub to: String,
    /// Why it does not run.
    pub reason: UndeliveredReason,
    /// How many more did not run of which nobody is told one by one, because too many came at once.
    pub untold: u64,
}

/// Why a one-way command that was accepted does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, labrig::Schema)]
#[non_exhaustive]
pub enum UndeliveredReason {
    /// A newer one took its place in the queue, as its type asks for.
    #[error("a newer one took its place")]
    Displaced,
    /// Its manager died before taking it: it did not run.
    #[error("its manager died before taking it")]
    Lost,
    /// Its manager died while at it: it ran at most once.
    #[error("its manager died while at it")]
    Indeterminate,
    /// The rig quit before it was taken, or its manager was told to end, to be started again: it did not run.
    #[error("the rig, or its manager, was told to end before taking it")]
    Quitting,
    /// The rig has ended: it did not run.
    #[error("the rig has ended")]
    Closed,
    /// A manager sent it, and only the coordinator could know that it was to be refused: it did not run.
    #[error("{0}")]
    Refused(Refusal),
    /// Everything was stopped before it was taken: it did not run.
    #[error("everything was stopped")]
    Stopped,
    /// It moves or emits something, and its manager was in its safe state because the coordinator was frozen: it did
    /// not run.
    #[error("the coordinator was frozen, and its manager in its safe state")]
    Frozen,
}

/// The outcome of a broadcast at one manager, as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct BroadcastOutcome {
    /// The manager's name.
    pub manager: String,
    /// Which life of it answered; 0 when it was not alive.
    pub generation: u32,
    /// The reply, or why there is none.
    pub outcome: Result<Parcel, NotDone>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TypeSchema;

    fn check_answer(end: Result<Parcel, NotDone>, expected: Kind, text: &str) {
        let (kind, payload) = answer(end);
        assert_eq!(kind, expected);
        assert!(payload.len() <= MAX_PAYLOAD_BYTES, "{} bytes", payload.len());
        if kind == Kind::Ended {
            let why = codec::from_postcard(&payload, &TypeSchema::of::<NotDone>()).expect("an ending");
            assert!(matches!(&why, NotDone::Failed(failure) if failure.text.contains(text)), "{why:?}");
        }
    }

    #[test]
    fn an_answer_that_fits_is_sent_as_it_is() {
        check_answer(Ok(vec![7; MAX_PAYLOAD_BYTES].into()), Kind::Done, "");
        check_answer(Err(NotDone::Failed(Failure::text("jammed"))), Kind::Ended, "jammed");
    }

    #[test]
    fn an_answer_that_is_too_large_becomes_a_failure_that_says_so() {
        check_answer(Ok(vec![7; MAX_PAYLOAD_BYTES + 1].into()), Kind::Ended, "exceeds 130048");
        let wordy = Failure::text("x".repeat(MAX_PAYLOAD_BYTES));
        check_answer(Err(NotDone::Failed(wordy)), Kind::Ended, "exceeds 130048");
    }
}
