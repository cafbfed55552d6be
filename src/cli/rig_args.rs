//! The words of the verbs for a running rig.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::wire::EventKind;

/// Which running rig.
#[derive(Args, Debug, Default)]
pub(super) struct RigArgs {
    /// The running rig: its name, or the path of its socket; the only one that runs when not said
    #[arg(long, global = true, value_name = "NAME|PATH")]
    pub(super) rig: Option<String>,
    /// Look for running rigs below this folder instead of the user's runtime folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) runtime_dir: Option<PathBuf>,
    /// Print JSON lines on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Args, Debug, Default)]
pub(super) struct RowsArgs {
    /// Which rows, such as `tracker.tracks`
    #[arg(value_name = "MANAGER.OBJECT")]
    pub(super) name: String,
    /// How many, at most a thousand
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(super) latest: u64,
    /// Go on with new rows as they come, until the rig ends
    #[arg(long)]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

#[derive(Args, Debug, Default)]
pub(super) struct WatchArgs {
    /// Only these kinds of events, separated by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = event_kind)]
    pub(super) only: Vec<EventKind>,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

/// A command with its fields.
#[derive(Args, Debug, Default)]
pub(super) struct CommandArgs {
    /// The command's name
    #[arg(value_name = "COMMAND")]
    pub(super) command: String,
    /// Its fields: `key=value` each, or all in one JSON object
    #[arg(value_name = "FIELDS")]
    pub(super) fields: Vec<String>,
    /// How long it may take, such as `5s` or `2m`; `0` for ever
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) deadline: Option<Duration>,
}

#[derive(Args, Debug, Default)]
pub(super) struct CallArgs {
    #[command(flatten)]
    pub(super) command: CommandArgs,
    /// The manager that is to take it, when several serve it
    #[arg(long, value_name = "MANAGER")]
    pub(super) to: Option<String>,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

#[derive(Args, Debug, Default)]
pub(super) struct BroadcastArgs {
    #[command(flatten)]
    pub(super) command: CommandArgs,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

#[derive(Args, Debug, Default)]
pub(super) struct ManagerArgs {
    /// The manager's name
    #[arg(value_name = "MANAGER")]
    pub(super) manager: String,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

#[derive(Args, Debug, Default)]
pub(super) struct PingArgs {
    /// The manager's name; the coordinator itself when not said
    #[arg(value_name = "MANAGER")]
    pub(super) manager: Option<String>,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

#[derive(Args, Debug, Default)]
pub(super) struct QuitArgs {
    /// Return at once
    #[arg(long)]
    pub(super) no_wait: bool,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

fn event_kind(text: &str) -> Result<EventKind, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// A time with its unit; a number alone is in seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}
