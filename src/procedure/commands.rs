//! What the manager that runs procedures can be asked for, and what it answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::state::ProcedureState;
use crate::macros::{Command, Schema};
use crate::remote::Declination;
use crate::wire::{DecodeError, Progress, TypeSchema, codec};

/// The name of a procedure: its kind and a number, as in `focus_sweep-12`. No other of the same store ever has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Schema)]
#[serde(transparent)]
pub struct ProcedureId(pub String);

impl ProcedureId {
    pub(super) fn new(kind: &str, number: i64) -> Self {
        Self(format!("{kind}-{number}"))
    }

    /// The number in it.
    pub(super) fn number(&self) -> Option<i64> {
        self.0.rsplit('-').next()?.parse().ok()
    }
}

impl fmt::Display for ProcedureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for ProcedureId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Makes a procedure, and has it begin unless it is to be held. Answered when there is a record of it.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = ProcedureId, name = "LaunchProcedure")]
#[serde(default)]
pub struct LaunchProcedure {
    /// Its kind.
    pub kind: String,
    /// Its inputs as a JSON object; what is not given has its default.
    pub inputs: String,
    /// Where relative paths in its inputs start from; the working folder of the process that runs it when empty.
    pub folder: String,
    /// Whether it waits to be played before it begins.
    pub is_held: bool,
    /// Who launches it.
    pub by: String,
    /// How long it may take in all, waits and pauses included, in ms; 0 for ever.
    pub deadline_ms: u64,
    /// How long each step may take, in ms; 0 for ever.
    pub step_deadline_ms: u64,
}

/// Goes on with a procedure: with itself when it can still go on and no checkpoint is named, else with a new one that
/// begins where that checkpoint was made. What is final stays so. Answered with the id of the one that goes on.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = ProcedureId, name = "ContinueProcedure")]
#[serde(default)]
pub struct ContinueProcedure {
    /// Which procedure.
    pub id: String,
    /// Which of its checkpoints, by tag or by the number of its step; the last when empty.
    pub checkpoint: String,
    /// Who asks.
    pub by: String,
}

/// Pauses a procedure: at once when it waits, else when its step has ended. Answered then.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = Answered, name = "PauseProcedure", idempotent)]
#[serde(default)]
pub struct PauseProcedure {
    /// Which procedure.
    pub id: String,
    /// Why.
    pub text: String,
    /// Who asks.
    pub by: String,
}

/// Has a paused procedure go on, and one that was held begin.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = Answered, name = "PlayProcedure", idempotent)]
#[serde(default)]
pub struct PlayProcedure {
    /// Which procedure.
    pub id: String,
    /// Why.
    pub text: String,
    /// Who asks.
    pub by: String,
}

/// Kills a procedure and all its children. Answered when that is done.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = Answered, name = "KillProcedure", idempotent)]
#[serde(default)]
pub struct KillProcedure {
    /// Which procedure.
    pub id: String,
    /// Why.
    pub text: String,
    /// How soon.
    pub level: KillLevel,
    /// Who asks.
    pub by: String,
}

/// How soon a procedure is killed.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum KillLevel {
    /// When its step has ended.
    #[default]
    NextStep,
    /// When its step looks whether it is to stop: in `context.sleep`, `context.check` or `context.progress`.
    NextYield,
    /// Now: the process that runs it is ended, and its record says so. Others that ran there are continued.
    Force,
}

/// Pauses, plays or kills all procedures that are not final.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<Answered>, name = "SteerAllProcedures", idempotent)]
pub struct SteerAll {
    /// What is done with each.
    pub deed: Deed,
    /// Why.
    #[serde(default)]
    pub text: String,
    /// Who asks.
    #[serde(default)]
    pub by: String,
}

/// What is done with all procedures.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// They are paused.
    Pause,
    /// They are played.
    Play,
    /// They are killed, when their steps have ended.
    Kill,
}

/// What became of a pause, a play or a kill; given when it has taken effect.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Which procedure.
    pub id: ProcedureId,
    /// What became of it.
    pub outcome: Outcome,
    /// Where the procedure stands now, when there is one.
    pub state: Option<ProcedureState>,
}

impl Answered {
    /// What a handler returns that has put its answer off: it is not sent.
    pub(crate) fn later() -> Self {
        Self { id: ProcedureId(String::new()), outcome: Outcome::TooLate, state: None }
    }
}

/// What became of a pause, a play or a kill.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It has taken effect.
    Done,
    /// It was so before.
    Already,
    /// Something else came before it took effect: what was to be paused or killed has ended by itself, or the procedure
    /// was told otherwise.
    TooLate,
    /// There is no such procedure.
    NotFound,
    /// The procedure's state does not allow it, however early it comes: what has ended is not played. Every other state
    /// allows every order.
    NotInThisState,
}

/// Asks for the record of a procedure.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = ProcedureRecord, name = "ProcedureStatus", idempotent)]
pub struct ProcedureStatus {
    /// Which procedure.
    pub id: String,
}

/// Asks for the records of all procedures, newest first.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = Vec<ProcedureRecord>, name = "ListProcedures", idempotent)]
#[serde(default)]
pub struct ListProcedures {
    /// Only those that are not final.
    pub is_active: bool,
    /// Only children of that one; of everybody when empty.
    pub parent: String,
}

/// Waits until a procedure has ended; answered with its record then, and told of its progress meanwhile.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = ProcedureRecord, name = "AwaitProcedure", idempotent)]
pub struct AwaitProcedure {
    /// Which procedure.
    pub id: String,
}

/// Asks for the checkpoints of a procedure, oldest first.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = Vec<CheckpointRecord>, name = "ProcedureCheckpoints", idempotent)]
pub struct ProcedureCheckpoints {
    /// Which procedure.
    pub id: String,
}

/// Removes the checkpoints of a procedure that have a tag.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = bool, name = "DeleteCheckpoint", idempotent)]
pub struct DeleteCheckpoint {
    /// Which procedure.
    pub id: String,
    /// Which tag.
    pub tag: String,
}

/// Asks for changes of state with larger numbers than `after`; answered when there are any.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = Vec<StateChange>, name = "ProcedureChanges", idempotent)]
#[serde(default)]
pub struct ProcedureChanges {
    /// The number of the last change that is known; `None`: only what comes from now on.
    pub after: Option<u64>,
    /// Only of that procedure; of all when empty.
    pub id: String,
}

/// A procedure has changed its state.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The how many-th change of the store it is; they have no gaps.
    pub sequence: u64,
    /// Which procedure.
    pub id: ProcedureId,
    /// Where it stood; nothing when it has just been made.
    pub from: Option<ProcedureState>,
    /// Where it stands.
    pub to: ProcedureState,
    /// Who has had it changed; empty when it was the procedure itself.
    pub sender: String,
    /// Why.
    pub text: String,
    /// When, in ms since 1970.
    pub at_ms: u64,
}

/// All that is known of a procedure.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct ProcedureRecord {
    /// Which procedure.
    pub id: ProcedureId,
    /// Its kind.
    pub kind: String,
    /// Where it stands.
    pub state: ProcedureState,
    /// Why, in words: the note of its last step, the reason of its pause, the error that ended it.
    pub text: String,
    /// The last step that was acknowledged; 0 is its begin, and nothing before that.
    pub step: Option<u64>,
    /// What it waits for, in words.
    pub waits_for: Option<String>,
    /// Whether it waits for its turn: as many run as the limit allows.
    pub is_queued: bool,
    /// How far it is, by its own words.
    pub progress: Option<Progress>,
    /// Its inputs as JSON.
    pub inputs: String,
    /// Its output as JSON, when it has finished.
    pub output: Option<String>,
    /// Who launched it.
    pub launched_by: String,
    /// The procedure whose child it is.
    pub parent: Option<ProcedureId>,
    /// The checkpoint of another procedure at which it began: `id` and step.
    pub origin: Option<String>,
    /// How often it was taken up: once, and once more after each pause or crash.
    pub lives: u64,
    /// Whether the process that ran it was ended to kill it.
    pub is_forced: bool,
    /// When it was made, in ms since 1970.
    pub created_ms: u64,
    /// When it last changed, in ms since 1970.
    pub changed_ms: u64,
}

impl ProcedureRecord {
    /// Its output, when it has finished.
    ///
    /// # Errors
    /// [`DecodeError`], when it is not of that type; a float that is not finite cannot be read back.
    pub fn output<O: serde::de::DeserializeOwned + crate::wire::Schema + 'static>(
        &self,
    ) -> Option<Result<O, DecodeError>> {
        let json = self.output.as_deref()?;
        Some(codec::from_json(json.as_bytes(), TypeSchema::known::<O>()))
    }
}

/// A checkpoint of a procedure.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// The step whose end it keeps; 0 is the begin.
    pub step: u64,
    /// Its tag, if it has one. One without is removed when enough newer ones are there.
    pub tag: Option<String>,
    /// How many bytes of state it holds.
    pub bytes: u64,
    /// When it was made, in ms since 1970.
    pub at_ms: u64,
    /// Why it cannot be continued from, if it cannot.
    pub fault: Option<String>,
}

/// Why the manager that runs procedures did not do what it was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum ProcedureError {
    /// There is no procedure of that id in its store.
    #[error("there is no procedure `{id}`")]
    UnknownId {
        /// The id asked for.
        id: String,
    },
    /// The program that runs procedures knows none of that kind. Nothing was recorded.
    #[error("no procedure is called `{kind}`; known: {known:?}")]
    UnknownKind {
        /// The kind asked for.
        kind: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The inputs are not what the kind takes. Nothing was recorded.
    #[error("the inputs do not fit `{kind}`: {}", faults.join("; "))]
    BadInputs {
        /// The kind.
        kind: String,
        /// Each fault.
        faults: Vec<String>,
    },
    /// There is no such checkpoint.
    #[error("`{id}` has no checkpoint `{checkpoint}`; there are {known:?}")]
    UnknownCheckpoint {
        /// The procedure.
        id: String,
        /// The checkpoint asked for.
        checkpoint: String,
        /// Those that there are: steps, and tags.
        known: Vec<String>,
    },
    /// The checkpoint is damaged, or of another version of the procedure. Nothing goes on from it.
    #[error("the checkpoint of `{id}` after step {step} cannot be used: {why}{}", offer(*usable))]
    UnusableCheckpoint {
        /// The procedure.
        id: String,
        /// Its step.
        step: u64,
        /// Why not.
        why: String,
        /// The newest one before it that can be used.
        usable: Option<u64>,
    },
    /// The store did not take it. What was acknowledged before is kept.
    #[error("the store of procedures failed: {why}")]
    Store {
        /// What it said.
        why: String,
    },
    /// The runner does not take it. Nothing was recorded.
    #[error("it is not launched: {why}")]
    NotTaken {
        /// Why.
        why: Declination,
    },
    /// The procedure is to be killed: it does not go on.
    #[error("`{id}` does not go on: it is to be killed")]
    ToBeKilled {
        /// The procedure.
        id: String,
    },
}

fn offer(usable: Option<u64>) -> String {
    usable.map_or_else(String::new, |step| format!("; the one after step {step} can be"))
}
