//! Floor 4: long jobs that survive: made of steps, with a checkpoint after each.
//!
//! A [`Procedure`] is a struct whose fields are its state. After every step the state is committed to a store, before
//! anything else happens; from there it goes on after a pause, a crash of its process, or of the whole rig. `state` is
//! the table of what may become of it, `store` keeps it, `life` is its thread, `runner` all of them and what they are told.
//! A step that was interrupted is run again, and its commands have the same keys again: what a manager knows by them, and
//! what it does not, is said at [`Context::seen_before`]. The manager that owns a runner is
//! [`managers::procedures`](crate::managers::procedures); [`Scope::procedures`] asks it.
//!
//! [`Scope::procedures`]: crate::Scope::procedures
//! [`Context::seen_before`]: crate::registry::Context::seen_before

mod asking;
mod client;
mod commands;
mod context;
mod entry;
mod gauge;
mod life;
mod registration;
mod runner;
mod script;
mod service;
mod state;
mod step;
mod store;
mod taking;
#[cfg(test)]
mod tests;
mod turns;

pub use crate::remote::{Declination, Declined, InDoubt, Placement, Taken, Task, TaskError, Whom};
pub use client::{LaunchRefused, OutputError, Procedures, Watch};
pub use commands::{
    Answered, AwaitProcedure, CheckpointRecord, ContinueProcedure, Deed, DeleteCheckpoint, KillLevel,
    KillProcedure, LaunchProcedure, ListProcedures, Outcome, PauseProcedure, PlayProcedure, ProcedureChanges,
    ProcedureCheckpoints, ProcedureError, ProcedureId, ProcedureRecord, ProcedureStatus, StateChange,
    SteerAll,
};
pub use context::{StepContext, Stopped};
pub use registration::ProcedureRegistration;
pub use script::{
    Act, Score, ScoreStep, Script, ScriptInputs, ScriptReport, ScriptSource, Spot, Values, check_script,
};
pub use service::{Kind, Resume, Service, ServiceConfig};
pub use state::{IllegalMove, Move, ProcedureState};
pub use step::{ChildLaunch, Comparison, Condition, Procedure, Step, StepError};
