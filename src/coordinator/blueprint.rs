//! What is to be started, with every name resolved: drawn once, after the proof and before any process.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::router::Route;
use crate::config::{RateLimits, Supervision};
use crate::shm::ReadMode;
use crate::transport::Child;
use crate::wire::{CommandId, Filter, ManagerName, TypeSchema};

/// A whole rig.
#[derive(Debug)]
pub(crate) struct Blueprint {
    pub(crate) rig: String,
    pub(crate) run_dir: PathBuf,
    pub(crate) state_dir: PathBuf,
    /// What the marks of all processes of this run begin with, but for a dot behind it.
    pub(crate) mark: String,
    /// Where the rig is asked and told from other programs.
    pub(crate) socket: PathBuf,
    pub(crate) default_deadline: Duration,
    pub(crate) start_deadline: Duration,
    pub(crate) quit_deadline: Duration,
    pub(crate) sends_traces: bool,
    pub(crate) has_fast_lanes: bool,
    pub(crate) traces: bool,
    /// Whether managers may end the rig; one that is started alone, to be checked, may not.
    pub(crate) heeds_managers: bool,
    pub(crate) managers: Vec<ManagerBlueprint>,
    pub(crate) streams: Vec<StreamBlueprint>,
    pub(crate) routes: HashMap<CommandId, Route>,
}

/// One manager.
#[derive(Debug)]
pub(crate) struct ManagerBlueprint {
    /// The sets of signals that it publishes.
    pub(crate) signals: Vec<TypeSchema>,
    pub(crate) name: ManagerName,
    /// The pool of which it is one instance.
    pub(crate) pool: Option<ManagerName>,
    pub(crate) kind: String,
    pub(crate) child: Child,
    pub(crate) config_json: String,
    pub(crate) startup: Vec<StartupCommand>,
    pub(crate) depth: u32,
    /// The managers that must be ready, or found absent, before this one is started, by place.
    pub(crate) after: Vec<usize>,
    /// Whether the rig starts without it when it cannot be started.
    pub(crate) is_optional: bool,
    pub(crate) safe_deadline: Duration,
    pub(crate) supervision: Supervision,
    /// Whether its kind has hazardous commands.
    pub(crate) is_hazardous: bool,
    pub(crate) limits: RateLimits,
    pub(crate) hears: Vec<Filter>,
    /// The commands whose fingerprints the program must agree on, by path.
    pub(crate) commands: HashMap<String, CommandId>,
}

/// A command that is given to a manager before its first step.
#[derive(Debug)]
pub(crate) struct StartupCommand {
    pub(crate) name: String,
    pub(crate) command: CommandId,
    pub(crate) json: Vec<u8>,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct StreamBlueprint {
    pub(crate) name: String,
    pub(crate) producer: usize,
    pub(crate) slots: u32,
    pub(crate) max_frame_bytes: u64,
    pub(crate) readers: Vec<ReaderBlueprint>,
}

/// One reader of a stream.
#[derive(Debug)]
pub(crate) struct ReaderBlueprint {
    pub(crate) manager: usize,
    pub(crate) inputs: Vec<String>,
    pub(crate) mode: ReadMode,
}
