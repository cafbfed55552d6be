//! What the coordinator itself is asked for: commands that no manager handles and no queue holds up.
//!
//! They can be sent from every process of the rig, and by the clients of its socket.

use serde::{Deserialize, Serialize};

use super::tasks::PlaceTask;
use crate::macros::{Command, Schema};
use crate::wire::{Command as _, CommandId, CommandSpec, SharedSpec, TypeSchema};

/// Everything to its safe state now, over the urgent lane, without quitting: what was accepted before ends as
/// cancelled.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = StopReport, name = "StopAll")]
pub struct StopAll {}

/// How a stop went; answered when every manager is safe or its safe deadline has passed.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct StopReport {
    /// Each manager that runs, by name.
    pub managers: Vec<StopOutcome>,
}

impl StopReport {
    /// Whether every manager is in its safe state.
    pub fn is_safe(&self) -> bool {
        self.managers.iter().all(|outcome| outcome.is_safe)
    }
}

/// How a stop went at one manager.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct StopOutcome {
    /// Its name.
    pub manager: String,
    /// Whether it has said that it is in its safe state.
    pub is_safe: bool,
    /// How long that took, from the order, in µs; how long was waited, when it did not say so.
    pub took_us: u64,
}

/// An inactive manager may move again. Its start-up commands that were put off are run first.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Armed, name = "Arm")]
pub struct Arm {
    /// The manager's name.
    pub manager: String,
}

/// A manager is armed.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// The manager's name.
    pub manager: String,
    /// Whether it was inactive before.
    pub was_inactive: bool,
}

/// A manager is to be ended in good order and started again; one that has failed is started again.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Restarted, name = "Restart", deadline_ms = 60_000)]
pub struct Restart {
    /// The manager's name.
    pub manager: String,
}

/// A manager has been started again and is ready.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct Restarted {
    /// The manager's name.
    pub manager: String,
    /// Which life of it began.
    pub generation: u32,
}

/// The signals and shared objects of a manager are to be read from another one: the coordinator sends the descriptors of their page, if
/// there is one, before it answers.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = SignalsOpened, name = "OpenSignals")]
pub struct OpenSignals {
    /// The manager's name.
    pub manager: String,
}

/// What there is to be read of a manager's signals.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct SignalsOpened {
    /// Its sets of signals; none when it publishes none, or there is no such manager.
    pub sets: Vec<TypeSchema>,
    /// The managers that publish signals or share anything.
    pub publishers: Vec<String>,
    /// The objects that it shares.
    pub shares: Vec<SharedSpec>,
}

/// A script is to be held against the rig: its commands, signals and procedures.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ScriptChecked, name = "CheckScript", idempotent)]
pub struct CheckScript {
    /// The file's name, by which faults are told.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The folder from which relative paths in it start.
    pub folder: String,
}

/// What is to be said of a script.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct ScriptChecked {
    /// What is played, as JSON; nothing when there are faults.
    pub score: String,
    /// Every fault, as people read it.
    pub faults: Vec<String>,
    /// The report for machines, as JSON.
    pub report: String,
}

/// The orders there are.
pub fn orders() -> [&'static CommandSpec; 6] {
    [
        StopAll::spec(),
        Arm::spec(),
        Restart::spec(),
        OpenSignals::spec(),
        CheckScript::spec(),
        PlaceTask::spec(),
    ]
}

/// The order with that id.
pub fn order(id: CommandId) -> Option<&'static CommandSpec> {
    orders().into_iter().find(|spec| spec.id == id)
}
