//! What coordinator and manager say about themselves.
//!
//! Postcard encodes by position: variants are only ever appended, and a changed struct bumps
//! [`PROTOCOL_VERSION`](super::envelope::PROTOCOL_VERSION).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codec;
use super::ending::Undelivered;
use super::envelope::{EnvelopeError, Header, Kind};
use super::failure::Failure;
use super::ids::CommandId;
use super::safe::{SafeEntry, SafeReason};
use super::schema::{Schema, TypeSchema};

/// What a coordinator tells a manager. Descriptors that belong to a word come in the same packet, in the
/// order given there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub enum CoordinatorWord {
    /// Who you are; it is in the pipe before the manager's program begins. Descriptors: status page, urgent doorbell,
    /// and the lanes where there are any.
    Configure(Configure),
    /// You produce this stream. Descriptors: ring, space doorbell.
    Produce {
        /// The stream's name.
        stream: String,
    },
    /// Someone reads the stream you produce. Descriptors: cursor, data doorbell.
    AddReader {
        /// The stream's name.
        stream: String,
        /// Who reads.
        reader: String,
    },
    /// You read this stream. Descriptors: ring, cursor, data doorbell, space doorbell.
    Read {
        /// The stream's name.
        stream: String,
        /// Your inputs that are bound to it.
        inputs: Vec<String>,
        /// Whether the producer waits for you.
        is_lossless: bool,
    },
    /// Everyone is ready: begin.
    Start,
    /// End in good order. Sent beside the urgent word, to wake a worker that waits at its pipe.
    Quit,
    /// A one-way command that you sent, and that was accepted, does not run.
    Undelivered(Undelivered),
    /// Whoever reads the stream with which you answer a call takes more of it.
    Grant {
        /// The coordinator's number of the call.
        correlation: u64,
        /// How many chunks more.
        chunks: u32,
    },
    /// You publish these sets of signals. Descriptors: values, bells.
    Publish {
        /// The sets, in the order in which they lie there.
        sets: Vec<PublishedSet>,
    },
    /// What you asked for: the signals of a manager. Descriptors: values, bells.
    Signals {
        /// The manager's name.
        manager: String,
    },
}

/// A set of signals, as its publisher finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub struct PublishedSet {
    /// The path of its type.
    pub path: String,
    /// What its type is made of, as one number.
    pub fingerprint: u64,
    /// How many words it takes.
    pub words: u64,
}

/// Who a manager is, and how it is to behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct Configure {
    /// The coordinator's version of labrig; a manager of another one does nothing.
    pub version: String,
    /// The commands that its kind handles, as the rig was proved with them: path and fingerprint.
    pub agreed: Vec<(String, CommandId)>,
    /// The rig's name.
    pub rig: String,
    /// The manager's name.
    pub manager: String,
    /// Its kind.
    pub kind: String,
    /// Which life of it.
    pub generation: u32,
    /// Its place in the rig's list of managers.
    pub index: u16,
    /// The names of all managers, by place.
    pub roster: Vec<String>,
    /// The commands of the rig, for naming them to people.
    pub commands: Vec<(CommandId, String)>,
    /// Its own table, as JSON.
    pub config_json: String,
    /// The run's folder.
    pub run_dir: String,
    /// How long a call may take that does not say otherwise, in ms.
    pub default_deadline_ms: u64,
    /// How long entering the safe state may take, in ms.
    pub safe_deadline_ms: u64,
    /// The most verbose level of log records wanted: 1 error … 5 trace.
    pub log_level: u8,
    /// Whether failures say where in the source they happened, and by which way.
    pub sends_traces: bool,
    /// How long a handler may go without a sign of life, in ms; 0 for ever.
    pub watchdog_ms: u64,
    /// For how long each lease vouches for the coordinator, in ms.
    pub lease_ms: u64,
    /// Whether the process ends when a handler panics, to be started again.
    pub restarts_on_panic: bool,
    /// The folder in which the rig keeps its state from run to run.
    pub state_dir: String,
}

/// What a manager tells its coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub enum ManagerWord {
    /// The first word.
    Hello {
        /// The version of labrig it was built with.
        version: String,
    },
    /// The ring of this stream is mapped: it can be sealed and handed to readers.
    Mapped {
        /// The stream's name.
        stream: String,
    },
    /// The devices are open.
    Ready,
    /// They could not be opened; the process ends.
    SetupFailed(Failure),
    /// A log record.
    Log {
        /// 1 error … 5 trace.
        level: u8,
        /// The record's target.
        target: String,
        /// Its text.
        message: String,
    },
    /// Records that were dropped because the pipe was full.
    LogsDropped(u64),
    /// The rig is to quit.
    Quit {
        /// Why.
        reason: String,
    },
    /// The safe state is entered and the devices are closed; the process ends.
    Stopped {
        /// How long entering the safe state took, in µs.
        safe_state_us: u64,
    },
    /// Something that was to be kept is lost; the run's summary says so.
    Lost {
        /// What, in a word or two: the same word is counted.
        what: String,
        /// Which one, and why.
        detail: String,
    },
    /// A call that this manager made is awaited by nobody.
    Abandon {
        /// Its number.
        correlation: u64,
    },
    /// A call that this manager made is to be cancelled.
    Cancel {
        /// Its number.
        correlation: u64,
    },
    /// A call that this manager made is to expire at another time than it was to.
    SetExpiry {
        /// Its number.
        correlation: u64,
        /// In how long, in µs; none for never.
        time_left_us: Option<u64>,
    },
    /// A handler of this manager does nothing else until a call that it made has ended.
    Wait {
        /// Its number.
        correlation: u64,
    },
    /// It waits no longer, though the call goes on.
    WaitEnded {
        /// Its number.
        correlation: u64,
    },
    /// The stream that answers a call of this manager has been read so far.
    Grant {
        /// Its number.
        correlation: u64,
        /// How many chunks more are wanted.
        chunks: u32,
    },
    /// All cancellations that the status page had room for are taken; there may be more.
    CancelsTaken,
    /// The safe state is entered; the process goes on.
    Safe(SafeEntry),
    /// A timer or frame handler has begun while nobody watched the status page.
    Busy,
    /// A handler has panicked: the process enters its safe state and ends, to be started again.
    GivesUp {
        /// Which handler, and its panic.
        why: String,
    },
    /// The safe state could not be entered: the code for it failed. What state the device is in must be asked.
    NotSafe {
        /// Why it was to be entered.
        reason: SafeReason,
        /// How the code failed.
        why: String,
    },
    /// A command of its kind is another one here than the rig was proved with. Nothing is opened.
    Differs {
        /// The path of the command's type.
        command: String,
        /// Its fingerprint here.
        theirs: CommandId,
    },
    /// A one-way command that moves or emits something was taken and not run: the coordinator was frozen, and the
    /// manager in its safe state.
    NotRun {
        /// Its number among those that this manager was given.
        ordinal: u64,
        /// Which command.
        command: CommandId,
        /// Who sent it, as its envelope said in place of a call's number.
        sender: u64,
    },
    /// The page for its signals is mapped: it can be sealed and handed to readers.
    SignalsMapped,
}

/// The envelope of a word.
pub fn seal<W: Serialize>(word: &W) -> Vec<u8> {
    let payload =
        codec::to_postcard(word).expect("control words hold only plain values, which postcard writes");
    Header::new(Kind::Control).seal(&payload)
}

/// Reads a word of the coordinator, without walking its bytes first: for that the shape of all words would have to be
/// drawn up in each manager while it starts. No word nests, every element of a list in one takes a byte, and serde reserves
/// at most 1 MiB ahead, so that not even a coordinator that lies could do harm by it.
///
/// # Errors
/// [`EnvelopeError::Payload`] when the payload is not one.
pub fn open_coordinators(payload: &[u8]) -> Result<CoordinatorWord, EnvelopeError> {
    let said = |reason: String| EnvelopeError::Payload { reason };
    match postcard::take_from_bytes(payload) {
        Ok((word, [])) => Ok(word),
        Ok((_, rest)) => Err(said(format!("{} bytes left over after a word of the coordinator", rest.len()))),
        Err(error) => Err(said(format!("bytes are not a word of the coordinator: {error}"))),
    }
}

/// Reads a word.
///
/// # Errors
/// [`EnvelopeError::Payload`] when the payload is not one.
pub fn open<W: DeserializeOwned + Schema + 'static>(payload: &[u8]) -> Result<W, EnvelopeError> {
    codec::from_postcard(payload, TypeSchema::known::<W>())
        .map_err(|error| EnvelopeError::Payload { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_coordinator_is_read_as_any_other_without_being_walked_first() {
        let words = [
            CoordinatorWord::Start,
            CoordinatorWord::Produce { stream: "video".to_owned() },
            CoordinatorWord::Read {
                stream: "video".to_owned(),
                inputs: vec!["left".to_owned(); 3],
                is_lossless: true,
            },
            CoordinatorWord::Grant { correlation: 700, chunks: 2 },
        ];
        for word in words {
            let bytes = codec::to_postcard(&word).expect("plain values");
            assert_eq!(open_coordinators(&bytes).as_ref(), Ok(&word));
            for length in 0..bytes.len() {
                let (plain, walked) =
                    (open_coordinators(&bytes[..length]), open::<CoordinatorWord>(&bytes[..length]));
                assert!(plain.is_err() && walked.is_err(), "{length} bytes of {word:?}");
            }
            assert!(open_coordinators(&[&bytes[..], &[0]].concat()).is_err(), "one byte more than {word:?}");
        }
    }

    #[test]
    fn a_length_in_a_word_of_the_coordinator_that_claims_more_than_is_there_is_refused() {
        // A stream's name, and then more inputs than there are bytes in the world.
        let claimed = [&[3, 1, b'v'][..], &[0xff; 9], &[1]].concat();
        assert!(open_coordinators(&claimed).is_err());
    }
}
