//! The exact shape of a config file.
//!
//! These types are the manual: names, units, bounds and defaults are read from here by the checker, and
//! `config/README.md` explains them in the same order.
//! Not every field is read as a field: what needs a line of its own is read from the tree instead.
#![expect(dead_code, reason = "fields that are only shape: they are checked, and then read from the tree")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::macros::Schema;
use crate::wire::{Node, Schema as Described, SchemaBuilder};

/// The only version of the schema there is.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// A whole file.
#[derive(Deserialize, Schema, Debug)]
pub(super) struct RawFile {
    /// The version of the config's schema: 1.
    pub(super) schema: u32,
    /// What holds for the whole rig.
    #[serde(default)]
    pub(super) rig: RawRig,
    /// The managers, by name.
    #[serde(default)]
    pub(super) managers: BTreeMap<String, RawManager>,
    /// The streams of frames, by name.
    #[serde(default)]
    pub(super) streams: BTreeMap<String, RawStream>,
}

/// `[rig]`.
#[derive(Deserialize, Schema, Debug)]
#[serde(default)]
pub(super) struct RawRig {
    /// The rig's name, which its run folders carry.
    pub(super) name: Option<String>,
    /// How long a call may take when it does not say so itself.
    #[schema(unit = "ms", min = 1, max = 86_400_000)]
    pub(super) default_deadline_ms: u64,
    /// How long all managers together may take to quit before they are ended.
    #[schema(unit = "ms", min = 1, max = 3_600_000)]
    pub(super) quit_deadline_ms: u64,
    /// How long each manager may take from its start until it is ready.
    #[schema(unit = "ms", min = 1, max = 3_600_000)]
    pub(super) start_deadline_ms: u64,
    /// Whether a failure says where in the source it happened, and by which way.
    pub(super) send_traces: bool,
    /// Whether small envelopes go through shared memory while the other side is awake.
    pub(super) fast_lane: bool,
    /// Whether the end of every call is written to `trace.csv` in the run's folder.
    pub(super) trace: bool,
    /// For how long each lease vouches for the coordinator; managers with hazardous commands that are out of
    /// their safe state notice a frozen coordinator by it.
    #[schema(unit = "ms", min = 50, max = 60_000)]
    pub(super) lease_ms: u64,
}

impl Default for RawRig {
    fn default() -> Self {
        Self {
            name: None,
            default_deadline_ms: 5_000,
            quit_deadline_ms: 5_000,
            start_deadline_ms: 10_000,
            send_traces: true,
            fast_lane: true,
            trace: false,
            lease_ms: 250,
        }
    }
}

/// `[managers.<name>]`.
#[derive(Deserialize, Schema, Debug)]
pub(super) struct RawManager {
    /// The kind of manager, as its program registers it. Never left out; the plan asks for it.
    pub(super) kind: Option<String>,
    /// The labrig program that plays it; this one when left out.
    pub(super) program: Option<PathBuf>,
    /// Arguments for the program.
    #[serde(default)]
    pub(super) args: Vec<String>,
    /// How many of it are started, as one pool: a command goes to whichever is free.
    #[schema(min = 1, max = 64)]
    pub(super) instances: Option<u32>,
    /// The managers that must be ready, or optional and found absent, before this one is started.
    #[serde(default)]
    pub(super) after: Vec<String>,
    /// The managers that must have ended, when the rig quits, before this one is told to end.
    #[serde(default)]
    pub(super) outlives: Vec<String>,
    /// Whether the rig starts without it when it cannot be started.
    #[serde(default)]
    pub(super) optional: bool,
    /// The groups it belongs to; a broadcast may demand a handler of each manager of a group.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// The stored environment that completes the keys from here to `startup`, and `program`, `args`, `nice` and
    /// `cpus`; an empty name for none, not even the active one.
    pub(super) environment: Option<String>,
    /// Environment variables it gets.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Environment variables it does not inherit.
    #[serde(default)]
    pub(super) env_remove: Vec<String>,
    /// Folders that are searched first for shared libraries.
    #[serde(default)]
    pub(super) library_path: Vec<PathBuf>,
    /// The folder it runs in; the coordinator's when left out.
    pub(super) working_dir: Option<PathBuf>,
    /// Commands that are applied before its first step.
    #[serde(default)]
    pub(super) startup: Vec<RawStartup>,
    /// Its queue of commands.
    #[serde(default)]
    pub(super) queue: RawQueue,
    /// How many values it keeps for others before that counts as a leak.
    #[serde(default = "default_max_remote_values")]
    #[schema(min = 1, max = 1_048_576)]
    pub(super) max_remote_values: u32,
    /// How much it may send.
    #[serde(default)]
    pub(super) limits: RawLimits,
    /// Which broadcasts it hears; all when left out.
    #[serde(default)]
    pub(super) hears: Vec<RawFilter>,
    /// How long its safe state may take.
    #[serde(default = "default_safe_deadline_ms")]
    #[schema(unit = "ms", min = 1, max = 60_000)]
    pub(super) safe_deadline_ms: u64,
    /// Which stream feeds which input; an input that is left out reads the stream of its own name, one with an
    /// empty name none.
    #[serde(default)]
    pub(super) inputs: BTreeMap<String, String>,
    /// The manager's own table; its kind says what it may hold.
    pub(super) config: Option<Anything>,
    /// When it is started again after its process has ended.
    #[serde(default)]
    pub(super) restart_policy: RestartPolicy,
    /// How often it is started again within `restart_window_s`; one more end and it has failed.
    #[serde(default = "default_max_restarts")]
    #[schema(max = 1000)]
    pub(super) max_restarts: u32,
    /// The span in which restarts are counted.
    #[serde(default = "default_restart_window_s")]
    #[schema(unit = "s", min = 1, max = 86_400)]
    pub(super) restart_window_s: u64,
    /// How long it stays down before its first restart; twice as long before each further one within the span.
    #[serde(default = "default_restart_delay_ms")]
    #[schema(unit = "ms", max = 60_000)]
    pub(super) restart_delay_ms: u64,
    /// The longest that it stays down before a restart.
    #[serde(default = "default_max_restart_delay_ms")]
    #[schema(unit = "ms", max = 3_600_000)]
    pub(super) max_restart_delay_ms: u64,
    /// How often an idempotent command that ended with its manager is given to the manager's next life.
    #[serde(default = "default_max_retries")]
    #[schema(max = 100)]
    pub(super) max_retries: u32,
    /// How long a handler may go without a sign of life before it counts as stuck; 0 for ever.
    #[serde(default = "default_watchdog_ms")]
    #[schema(unit = "ms", max = 3_600_000)]
    pub(super) watchdog_ms: u64,
    /// How long a stuck handler has to heed that it is cancelled.
    #[serde(default = "default_rung_ms")]
    #[schema(unit = "ms", min = 1, max = 60_000)]
    pub(super) cancel_deadline_ms: u64,
    /// How long a manager that was told to end by SIGTERM has to do so.
    #[serde(default = "default_rung_ms")]
    #[schema(unit = "ms", min = 1, max = 60_000)]
    pub(super) terminate_deadline_ms: u64,
    /// How long a killed manager may take to be gone before it counts as failed.
    #[serde(default = "default_kill_deadline_ms")]
    #[schema(unit = "ms", min = 1, max = 60_000)]
    pub(super) kill_deadline_ms: u64,
    /// What brings the hardware into its safe state when the manager is dead or hangs: program and arguments.
    #[serde(default)]
    pub(super) safe_program: Vec<String>,
    /// How long that program may take.
    #[serde(default = "default_safe_program_deadline_ms")]
    #[schema(unit = "ms", min = 1, max = 60_000)]
    pub(super) safe_program_deadline_ms: u64,
    /// How it comes back from an unplanned end; by hand when its kind has hazardous commands.
    pub(super) rearm: Option<Rearm>,
    /// What a handler's panic ends.
    #[serde(default)]
    pub(super) on_panic: OnPanic,
    /// For how long each lease vouches for the coordinator; as the rig says when left out.
    #[schema(unit = "ms", min = 50, max = 60_000)]
    pub(super) lease_ms: Option<u64>,
    /// The priority of its process.
    #[schema(min = -20, max = 19)]
    pub(super) nice: Option<i32>,
    /// The processors it may use; all when left out.
    #[serde(default)]
    pub(super) cpus: Vec<u32>,
}

fn default_max_remote_values() -> u32 {
    65_536
}

fn default_safe_deadline_ms() -> u64 {
    200
}

fn default_max_restarts() -> u32 {
    5
}

fn default_restart_window_s() -> u64 {
    60
}

fn default_restart_delay_ms() -> u64 {
    100
}

fn default_max_restart_delay_ms() -> u64 {
    10_000
}

fn default_max_retries() -> u32 {
    1
}

fn default_watchdog_ms() -> u64 {
    2_000
}

fn default_rung_ms() -> u64 {
    500
}

fn default_kill_deadline_ms() -> u64 {
    2_000
}

fn default_safe_program_deadline_ms() -> u64 {
    1_000
}

/// When a manager is started again after its process has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    Never,
    /// When it ended otherwise than in its safe state with exit code 0, or was ended because it was stuck.
    #[default]
    OnFailure,
    /// Whenever it ended and the rig has not been told to quit.
    Always,
}

/// How a manager comes back from an unplanned end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum Rearm {
    /// Inactive: it refuses hazardous commands until somebody arms it.
    Manual,
    /// As if nothing had happened.
    Auto,
}

/// What a handler's panic ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum OnPanic {
    /// The call alone.
    #[default]
    Fail,
    /// The manager, which enters its safe state and is started again.
    Restart,
}

/// An item of `startup`.
#[derive(Deserialize, Schema, Debug)]
pub(super) struct RawStartup {
    /// The command's name.
    pub(super) command: String,
    /// The command's fields.
    pub(super) args: Option<Anything>,
    /// The manager that takes it; the one whose table this is when left out.
    pub(super) to: Option<String>,
}

/// `queue`.
#[derive(Deserialize, Schema, Debug)]
#[serde(default)]
pub(super) struct RawQueue {
    /// How many commands may wait.
    #[schema(min = 1, max = 65_536)]
    pub(super) depth: u32,
    /// What becomes of a command when that many wait.
    pub(super) when_full: WhenFull,
}

impl Default for RawQueue {
    fn default() -> Self {
        Self { depth: 1024, when_full: WhenFull::Refuse }
    }
}

/// What becomes of a command when the queue of its manager is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// Its sender is refused with `Busy`, unless the command's type asked to displace an older one.
    Refuse,
}

/// `limits`.
#[derive(Deserialize, Schema, Debug)]
#[serde(default)]
pub(super) struct RawLimits {
    /// How many envelopes a second it may send.
    #[schema(min = 1)]
    pub(super) envelopes_per_s: u64,
    /// How many bytes a second it may send.
    #[schema(unit = "B", min = 1)]
    pub(super) bytes_per_s: u64,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { envelopes_per_s: 1_000_000, bytes_per_s: 1_073_741_824 }
    }
}

/// An item of `hears`.
#[derive(Deserialize, Schema, Debug)]
#[serde(default)]
pub(super) struct RawFilter {
    /// A pattern for the command's name.
    pub(super) subject: String,
    /// A pattern for the name of the manager that broadcasts, or `scope`.
    pub(super) sender: String,
}

impl Default for RawFilter {
    fn default() -> Self {
        Self { subject: "*".to_owned(), sender: "*".to_owned() }
    }
}

/// `[streams.<name>]`.
#[derive(Deserialize, Schema, Debug)]
pub(super) struct RawStream {
    /// The manager that fills it. Never left out; the plan asks for it.
    pub(super) producer: Option<String>,
    /// How many frames the ring holds.
    #[serde(default = "default_slots")]
    #[schema(min = 2, max = 1024)]
    pub(super) slots: u32,
    /// The size of the largest frame.
    #[serde(default = "default_max_frame_bytes")]
    #[schema(unit = "B", min = 1, max = 1_073_741_824)]
    pub(super) max_frame_bytes: u64,
    /// How each reader reads; `latest` for those that are left out.
    #[serde(default)]
    pub(super) readers: BTreeMap<String, ReadMode>,
}

fn default_slots() -> u32 {
    16
}

fn default_max_frame_bytes() -> u64 {
    4 * 1024 * 1024
}

/// How a manager reads a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// Every frame; the producer waits for it.
    Lossless,
    /// The newest frame; older ones are passed over.
    #[default]
    Latest,
}

/// A tree that someone else checks.
#[derive(Debug)]
pub(crate) struct Anything;

impl Described for Anything {
    fn schema(_: &mut SchemaBuilder) -> Node {
        Node::Any
    }
}

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Definition, Shape, TypeSchema};

    /// The line of the manual that explains a key, in the section of its table.
    fn row<'a>(manual: &'a str, table: &str, key: &str) -> Option<&'a str> {
        let heading = match table {
            "RawFile" => "The file",
            "RawRig" => "`[rig]`",
            "RawManager" => "`[managers.<name>]`",
            "RawStartup" => "Items of `startup`",
            "RawQueue" => "`queue`",
            "RawLimits" => "`limits`",
            "RawFilter" => "Items of `hears`",
            "RawStream" => "`[streams.<name>]`",
            _ => return None,
        };
        let section =
            manual.split("\n#").find(|it| it.trim_start_matches(['#', ' ']).starts_with(heading))?;
        let names = [format!("| `{key}` |"), format!("| `[{key}]` |"), format!("| `[{key}.<name>]` |")];
        section.lines().find(|line| names.iter().any(|name| line.starts_with(name)))
    }

    fn check_row(manual: &str, table: &Definition, field: &crate::wire::Field) {
        let name = table.path.rsplit("::").next().expect("a path has a last part");
        let row = row(manual, name, &field.name);
        let row =
            row.unwrap_or_else(|| panic!("config/README.md does not explain `{}` of {name}", field.name));
        let numbers: Vec<_> = row.split(|c: char| !c.is_ascii_digit() && c != '-').collect();
        for bound in field.min.iter().chain(&field.max) {
            assert!(
                numbers.contains(&bound.to_string().as_str()),
                "the manual lacks the bound {bound}: {row}"
            );
        }
        if let Some(default) = field.default.as_deref().filter(|it| it.parse::<u64>().is_ok()) {
            assert!(numbers.contains(&default), "the manual lacks the default {default}: {row}");
        }
    }

    #[test]
    fn the_manual_explains_every_key_with_its_bounds_and_default() {
        let manual = include_str!("../../config/README.md");
        for definition in TypeSchema::of::<RawFile>().definitions.values() {
            let Shape::Struct(fields) = &definition.shape else { continue };
            fields.iter().for_each(|field| check_row(manual, definition, field));
        }
    }
}
