//! Tasks: procedures that are offered to runners, until one takes them, and are run once.
//!
//! Whoever has a task asks the coordinator to place it, which offers it to the managers that run procedures. To take one is
//! to record it under its name, which no other procedure of that store has: an offer that is repeated is answered with
//! the procedure that it has made. An offer that meets the end of its runner is repeated to the runner's next life, and is
//! passed on only if it is certain that it was not taken.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::macros::{Command, Schema};
use crate::wire::Refusal;

/// A procedure that somebody is to run.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default, PartialEq)]
#[serde(default)]
pub struct Task {
    /// By what it is known: whoever offers a task of the same name again, in whichever life of the rig, is told who has
    /// taken it. When empty, it gets a name that no other task ever has.
    pub name: String,
    /// The kind of procedure.
    pub kind: String,
    /// Its inputs as a JSON object; what is not given has its default.
    pub inputs: String,
    /// Where relative paths in its inputs start from; the working folder of the process that runs it when empty.
    pub folder: String,
    /// Who has it done.
    pub by: String,
    /// How long it may take in all, waits and pauses included, in ms; 0 for ever.
    pub deadline_ms: u64,
    /// How long each step may take, in ms; 0 for ever.
    pub step_deadline_ms: u64,
}

impl Task {
    /// The same task by a name that its sender has chosen: for a step that may be run again, the text of a key of that step.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// Who is to run a task.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// One of all runners: they are asked one after the other until one takes it, each time beginning with another.
    #[default]
    Any,
    /// Every runner that takes it.
    All,
    /// That one.
    One(String),
}

/// Offers a task to those who run procedures. Answered when it is known who has taken it.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = Placement, name = "PlaceTask", deadline_ms = 60_000)]
#[serde(default)]
pub struct PlaceTask {
    /// What is to be done.
    pub task: Task,
    /// By whom.
    pub whom: Whom,
}

/// Who has taken a task.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default, PartialEq)]
pub struct Placement {
    /// The task's name.
    pub task: String,
    /// Those who have recorded it: one, unless it was for all.
    pub taken: Vec<Taken>,
    /// Those who have not, in the order in which they were asked.
    pub declined: Vec<Declined>,
    /// Those of whom it is not known. Of a task for one of them, they could not be asked whether they have it too.
    pub in_doubt: Vec<InDoubt>,
}

/// A runner has a task.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its manager.
    pub runner: String,
    /// The procedure that the task is there.
    pub id: String,
}

/// A runner has not taken a task, and will not.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Declined {
    /// Its manager.
    pub runner: String,
    /// Why.
    pub why: Declination,
}

/// It is not known whether a runner has taken a task.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// Its manager.
    pub runner: String,
    /// What has happened.
    pub why: String,
}

/// Why a runner does not take a task.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Declination {
    /// The kind is none of those that its config has it take.
    #[error("it takes only {takes:?}")]
    NotItsKind {
        /// Those that it takes.
        takes: Vec<String>,
    },
    /// Its program has no procedure of that kind.
    #[error("its program knows only {known:?}")]
    UnknownKind {
        /// Those that it has.
        known: Vec<String>,
    },
    /// As many procedures wait for their turn as its config allows.
    #[error("its queue is full ({waiting} waiting)")]
    QueueFull {
        /// How many.
        waiting: u64,
    },
    /// It is told to end.
    #[error("it is ending")]
    Ending,
    /// The inputs are not what the kind takes.
    #[error("the inputs do not fit: {}", .faults.join("; "))]
    BadInputs {
        /// Each fault.
        faults: Vec<String>,
    },
    /// No manager of that name runs procedures.
    #[error("it runs no procedures; {known:?} do")]
    NoRunner {
        /// Those who do.
        known: Vec<String>,
    },
    /// The offer did not reach it.
    #[error("{0}")]
    Refused(Refusal),
    /// It died before it had the offer.
    #[error("it died before it had the offer")]
    Lost,
}

/// Why a task is with nobody, as far as is known.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum TaskError {
    /// Nobody has taken it: it does not run. There is no record of it.
    #[error("nobody takes `{task}`{}", listed(.declined))]
    NoTaker {
        /// The task's name.
        task: String,
        /// Each runner that there is, with its reason.
        declined: Vec<Declined>,
    },
    /// Its inputs are wrong: it was offered to nobody else, and does not run.
    #[error("the inputs of `{task}` do not fit, by `{runner}`: {}", .faults.join("; "))]
    BadInputs {
        /// The task's name.
        task: String,
        /// Who has looked at them.
        runner: String,
        /// Each fault.
        faults: Vec<String>,
    },
    /// It may run, and was offered to nobody else. Offered again under its name, it is never run twice.
    #[error("it is not known whether `{task}` runs{}", listed(.in_doubt))]
    NotKnown {
        /// The task's name.
        task: String,
        /// Where it may run.
        in_doubt: Vec<InDoubt>,
    },
}

fn listed<T: fmt::Display>(each: &[T]) -> String {
    match each {
        [] => ": nobody runs procedures".to_owned(),
        each => format!(": {}", each.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.runner, self.why)
    }
}

impl fmt::Display for InDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.runner, self.why)
    }
}

/// What the coordinator offers a runner. The same offer may come again: it makes one procedure at most.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(reply = TaskAnswer, name = "OfferTask", idempotent)]
#[serde(default)]
pub struct OfferTask {
    /// The task, which has a name.
    pub task: Task,
    /// Whether nothing is to be done: the runner says only whether it has the task.
    pub only_asks: bool,
}

/// What a runner says to an offer.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum TaskAnswer {
    /// It has recorded the task, now or before: as the procedure of that id.
    Taken(String),
    /// It has never taken the task, and was only asked.
    HasNot,
    /// It does not take the task.
    Declined(Declination),
}
