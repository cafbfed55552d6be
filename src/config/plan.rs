//! A rig as its config describes it, in types: what is to be started, and how.
//!
//! A plan says nothing about handlers. It is made even from a config with faults, so that the registry can
//! look at it too and all faults come in one go; only a plan without faults is ever acted on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::order;
use super::raw::{OnPanic, ReadMode, Rearm, RestartPolicy, WhenFull};
use super::tree::Tree;
use crate::wire::{Filter, ManagerName, Site};

/// A whole rig.
#[derive(Clone, Debug)]
pub struct RigPlan {
    /// Its name.
    pub name: String,
    /// The file it was read from, if it was one.
    pub source: Option<PathBuf>,
    /// The config as a whole, for reports.
    pub site: Site,
    /// How long a call may take when it does not say so itself.
    pub default_deadline: Duration,
    /// How long all managers together may take to quit before they are ended.
    pub quit_deadline: Duration,
    /// How long each manager may take from its start until it is ready.
    pub start_deadline: Duration,
    /// Whether failures say where in the source they happened, and by which way.
    pub sends_traces: bool,
    /// Whether small envelopes go by shared memory while the other side is awake.
    pub has_fast_lanes: bool,
    /// Whether the end of every call is written to the run's folder.
    pub traces: bool,
    /// The managers, by name.
    pub managers: Vec<ManagerPlan>,
    /// The streams, by name.
    pub streams: Vec<StreamPlan>,
    /// Where state is kept; the user's state folder when not said.
    pub state_dir: Option<PathBuf>,
    /// Where this run writes; a new folder below `runs/` when not said.
    pub run_dir: Option<PathBuf>,
    /// Below which folder the running rig has its socket; the user's runtime folder when not said.
    pub runtime_dir: Option<PathBuf>,
}

/// One manager.
#[derive(Clone, Debug)]
pub struct ManagerPlan {
    /// Its name.
    pub name: ManagerName,
    /// Where its table begins.
    pub site: Site,
    /// The pool of which it is one instance, by the name that the config gives it.
    pub pool: Option<ManagerName>,
    /// Its kind; empty when the config does not say.
    pub kind: String,
    /// Where the kind is said.
    pub kind_site: Site,
    /// The program that plays it; the coordinator's own when none is said.
    pub program: Option<PathBuf>,
    /// Arguments for the program.
    pub args: Vec<String>,
    /// The managers that must be ready, or optional and found absent, before it is started.
    pub after: Vec<ManagerName>,
    /// The managers that must have ended, when the rig quits, before it is told to end.
    pub outlives: Vec<ManagerName>,
    /// Whether the rig starts without it when it cannot be started.
    pub is_optional: bool,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// What its process finds around it.
    pub environment: EnvironmentPlan,
    /// Commands that are applied before its first step, in order.
    pub startup: Vec<Startup>,
    /// How many commands may wait for it.
    pub queue_depth: u32,
    /// What becomes of a command when that many wait.
    pub when_full: WhenFull,
    /// How many values it keeps for others.
    pub max_remote_values: u32,
    /// How much it may send.
    pub limits: RateLimits,
    /// Which broadcasts it hears; all when there is none.
    pub hears: Vec<Filter>,
    /// How long its safe state may take.
    pub safe_deadline: Duration,
    /// What is done when it dies or hangs.
    pub supervision: Supervision,
    /// The inputs that the config binds; others read the stream of their own name.
    pub inputs: Vec<InputPlan>,
    /// Its own table, empty when there is none.
    pub config: Tree,
}

/// What is done when a manager dies or hangs, and how long each step of that may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervision {
    /// When it is started again.
    pub policy: RestartPolicy,
    /// How often it is started again within `window`.
    pub max_restarts: u32,
    /// The span in which restarts are counted.
    pub window: Duration,
    /// How long it stays down before its first restart.
    pub delay: Duration,
    /// The longest that it stays down.
    pub max_delay: Duration,
    /// How often an idempotent command is given to the next life.
    pub max_retries: u32,
    /// How long a handler may go without a sign of life; for ever when none is said.
    pub watchdog: Option<Duration>,
    /// How long a stuck handler has to heed that it is cancelled.
    pub cancel_deadline: Duration,
    /// How long the process has to heed SIGTERM.
    pub terminate_deadline: Duration,
    /// How long the process may take to be gone once it was killed.
    pub kill_deadline: Duration,
    /// The program that brings the hardware into its safe state, absolute, and its arguments.
    pub safe_program: Option<SafeProgram>,
    /// How it comes back from an unplanned end; when not said, its kind decides.
    pub rearm: Option<Rearm>,
    /// What a handler's panic ends.
    pub on_panic: OnPanic,
    /// For how long each lease vouches for the coordinator.
    pub lease: Duration,
}

/// What brings the hardware into its safe state when its manager cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeProgram {
    /// The program; a name without a slash is looked for as a shell would.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// How long it may take.
    pub deadline: Duration,
}

/// What a manager's process finds around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentPlan {
    /// The stored environment that completes what its table says; none when it uses none.
    pub stored: Option<String>,
    /// Variables it gets.
    pub set: BTreeMap<String, String>,
    /// Variables it does not inherit.
    pub remove: Vec<String>,
    /// The priority of its process; the coordinator's when not said.
    pub nice: Option<i32>,
    /// The processors it may use; all when there is none.
    pub cpus: Vec<u32>,
    /// Folders that are searched first for shared libraries; absolute.
    pub library_path: Vec<PathBuf>,
    /// The folder it runs in, absolute; the coordinator's when none is said.
    pub working_dir: Option<PathBuf>,
}

/// A command that is applied before a manager's first step.
#[derive(Clone, Debug)]
pub struct Startup {
    /// The command's name.
    pub command: String,
    /// Its fields; an empty table when none are given.
    pub args: Tree,
    /// The name of the manager that takes it, when it is not the one whose table this is.
    pub to: Option<String>,
    /// Where it stands.
    pub site: Site,
}

/// How much a manager may send in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Envelopes.
    pub envelopes_per_s: u64,
    /// Bytes.
    pub bytes_per_s: u64,
}

/// An input bound by the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPlan {
    /// The input's name.
    pub input: String,
    /// The stream that feeds it.
    pub stream: String,
    /// Where that is said.
    pub site: Site,
}

/// One stream of frames.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Its name.
    pub name: String,
    /// Where its table begins.
    pub site: Site,
    /// The manager that fills it; always there in a plan without faults.
    pub producer: Option<ManagerName>,
    /// How many frames its ring holds.
    pub slots: u32,
    /// Where that is said.
    pub slots_site: Site,
    /// The size of the largest frame, in bytes.
    pub max_frame_bytes: u64,
    /// How those readers read that the config lists; others read the latest frame.
    pub readers: Vec<ReaderPlan>,
}

/// A reader that the config lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderPlan {
    /// Who reads.
    pub manager: ManagerName,
    /// How.
    pub mode: ReadMode,
    /// Where that is said.
    pub site: Site,
}

impl RigPlan {
    /// The index of the manager of that name.
    pub fn manager(&self, name: &str) -> Option<usize> {
        self.managers.binary_search_by(|manager| manager.name.as_str().cmp(name)).ok()
    }

    /// The same rig with nobody but the manager of that name in it: with the streams that it produces, which
    /// nobody reads, and with its start-up commands, by whichever table. `None` when there is no such manager.
    pub fn alone(&self, name: &str) -> Option<Self> {
        let only = &self.managers[self.manager(name)?];
        let is_mine = |of: &ManagerPlan, it: &Startup| it.to.as_deref().unwrap_or(of.name.as_str()) == name;
        let startup = self.managers.iter().flat_map(|it| it.startup.iter().map(move |startup| (it, startup)));
        let startup = startup.filter(|(of, it)| is_mine(of, it));
        let startup = startup.map(|(_, it)| Startup { to: None, ..it.clone() }).collect();
        let only = ManagerPlan {
            after: Vec::new(),
            outlives: Vec::new(),
            is_optional: false,
            startup,
            ..only.clone()
        };
        let produced = self.streams.iter().filter(|it| it.producer.as_ref() == Some(&only.name));
        let streams = produced.map(|it| StreamPlan { readers: Vec::new(), ..it.clone() }).collect();
        Some(Self { managers: vec![only], streams, ..self.clone() })
    }

    /// The index of the stream of that name.
    pub fn stream(&self, name: &str) -> Option<usize> {
        self.streams.iter().position(|stream| stream.name == name)
    }

    /// The managers in an order in which each comes after those it waits for.
    pub fn start_order(&self) -> Vec<usize> {
        order::sort(&self.dependencies()).order
    }

    /// For each manager, the indexes of those it waits for.
    pub fn dependencies(&self) -> Vec<Vec<usize>> {
        let index = |name: &ManagerName| self.manager(name.as_str());
        self.managers.iter().map(|manager| manager.after.iter().filter_map(index).collect()).collect()
    }
}

impl ManagerPlan {
    /// The name under which the config speaks of it: an instance's is that of its pool.
    pub fn name_in_config(&self) -> &ManagerName {
        self.pool.as_ref().unwrap_or(&self.name)
    }
}

impl StreamPlan {
    /// How the manager of that name reads the stream.
    pub fn mode(&self, reader: &ManagerName) -> ReadMode {
        let listed = self.readers.iter().find(|listed| listed.manager == *reader);
        listed.map_or(ReadMode::default(), |listed| listed.mode)
    }

    /// How many slots the ring needs for that many readers: one is being filled, one is the newest, each
    /// reader may hold one, and the coordinator, which shows and records frames, one more.
    pub fn slots_needed(readers: usize) -> u32 {
        u32::try_from(readers).unwrap_or(u32::MAX).saturating_add(3)
    }
}
