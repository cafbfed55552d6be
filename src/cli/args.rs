//! The words of the command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::demo::DemoArgs;
use super::exit;
use super::procedure_args::ProcedureArgs;
use super::rig_args::{
    BroadcastArgs, CallArgs, ManagerArgs, PingArgs, QuitArgs, RigArgs, RowsArgs, WatchArgs,
};
#[cfg(feature = "procedures")]
use super::script::ScriptArgs;
use super::settings::SettingsArgs;

/// Runs and checks instrument rigs.
#[derive(Parser, Debug)]
#[command(version, about, after_help = exit::HELP, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Prove the rig, start it, and run it until it quits
    Run(RunArgs),
    /// Run a rig of simulated hardware, to see what there is to be seen
    Demo(DemoArgs),
    /// Prove the rig and report every fault; starts nothing, opens no device, unless with `--live`
    Check(LiveArgs),
    /// Print which manager handles which command; starts nothing
    Commands(CommandsArgs),
    /// Show how a running rig is doing
    Status(RigArgs),
    /// Show what the managers of a running rig publish: values, units, ages
    Signals(RigArgs),
    /// Show the latest rows that a manager of a running rig shares
    Rows(RowsArgs),
    /// Show and change how the managers of a running rig are set
    Settings(SettingsArgs),
    /// Check and play files of steps
    #[cfg(feature = "procedures")]
    Script(ScriptArgs),
    /// Show what happens in a running rig: states, endings, faults
    Watch(WatchArgs),
    /// Have a running rig do a command, and print the reply
    Call(CallArgs),
    /// Send a running rig a command whose outcome does not matter
    Send(CallArgs),
    /// Have all managers of a running rig that serve a command do it
    Broadcast(BroadcastArgs),
    /// Bring everything to its safe state now, without quitting
    Stop(RigArgs),
    /// Let an inactive manager move again
    Arm(ManagerArgs),
    /// End a manager in good order and start it again
    Restart(ManagerArgs),
    /// Measure a round trip to a running rig, or to one of its managers
    Ping(PingArgs),
    /// Long jobs in a running rig: launched, steered, watched
    Procedure(ProcedureArgs),
    /// Have a running rig quit in good order, and wait until it has
    Quit(QuitArgs),
    /// Environments that are kept by name: what a manager's process finds around it
    Env(EnvArgs),
}

/// Which rig.
#[derive(Args, Debug, Default)]
pub(super) struct Source {
    /// The config file; without one, the program's own config
    #[arg(value_name = "CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Set a value over what the config says, such as `managers.camera.config.path=frames/`
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) set: Vec<(String, String)>,
    /// Keep state in this folder instead of the user's state folder
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) source: Source,
    /// Quit after this long, such as `10s` or `2h 30m`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Write into this folder instead of a new one below `runs/<rig>/`
    #[arg(long, value_name = "DIR")]
    pub(super) run_dir: Option<PathBuf>,
    /// Put the rig's socket below this folder instead of the user's runtime folder
    #[arg(long, value_name = "DIR")]
    pub(super) runtime_dir: Option<PathBuf>,
    /// Print JSON lines on standard output
    #[arg(long)]
    pub(super) json: bool,
    /// Show more log records; twice for all
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Show only warnings and errors, and no status
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
}

#[derive(Args, Debug, Default)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) source: Source,
    /// Print JSON on standard output
    #[arg(long)]
    pub(super) json: bool,
}

/// What `commands` is to print.
#[derive(Clone, Copy)]
pub(super) enum Listing {
    Routes,
    Signals,
    Shared,
}

#[derive(Args, Debug, Default)]
pub(super) struct CommandsArgs {
    #[command(flatten)]
    pub(super) check: CheckArgs,
    /// Print the signals that managers publish instead
    #[arg(long, conflicts_with = "rig")]
    pub(super) signals: bool,
    /// Print the objects that managers share instead: time series, tables, datasets, values, counters
    #[arg(long, conflicts_with_all = ["rig", "signals"])]
    pub(super) shared: bool,
    /// Ask a running rig instead: its name, or the path of its socket
    #[arg(long, value_name = "NAME|PATH", conflicts_with = "config")]
    pub(super) rig: Option<String>,
    /// Look for running rigs below this folder instead of the user's runtime folder
    #[arg(long, value_name = "DIR", requires = "rig")]
    pub(super) runtime_dir: Option<PathBuf>,
}

impl CommandsArgs {
    pub(super) fn listing(&self) -> Listing {
        match (self.signals, self.shared) {
            (true, _) => Listing::Signals,
            (_, true) => Listing::Shared,
            _ => Listing::Routes,
        }
    }
}

#[derive(Args, Debug, Default)]
pub(super) struct LiveArgs {
    #[command(flatten)]
    pub(super) check: CheckArgs,
    /// Then start this manager alone, run its self-checks inside it, and quit
    #[arg(long, value_name = "MANAGER")]
    pub(super) live: Option<String>,
}

/// What an environment is and which there are.
#[derive(Args, Debug)]
pub(super) struct EnvArgs {
    #[command(subcommand)]
    pub(super) deed: EnvDeed,
    /// The config file of the rig; without one, the program's own config
    #[arg(long, global = true, value_name = "CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The rig's state folder, instead of the user's
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Print JSON on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum EnvDeed {
    /// Try an environment with one manager, alone; save it when the manager started, passed its self-checks and ended
    /// in good order
    ///
    /// It is what the manager's table in the config says of `program`, `args`, `env`, `env_remove`, `library_path`,
    /// `working_dir`, `startup`, `nice` and `cpus`, with the values of `--set` over it.
    Create {
        /// Its name: 1 to 40 of a-z, 0-9, `_` and `-`, beginning with a letter
        name: String,
        /// The manager that it is tried with
        #[arg(long)]
        manager: String,
        /// Set a key of the environment, such as `env.VENDOR_HOME=/opt/vendor` or `nice=5`
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
        set: Vec<(String, String)>,
        /// Replace the environment of that name
        #[arg(long)]
        replace: bool,
    },
    /// List the environments: which is active, whom it was tried with, who uses it in the config
    List,
    /// Print what an environment says
    Show {
        /// Its name
        name: String,
    },
    /// Choose the environment of managers that it was tried with and whose table names none
    Activate {
        /// Its name
        #[arg(required_unless_present = "none")]
        name: Option<String>,
        /// No environment is active from now on
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
    /// Remove an environment
    Remove {
        /// Its name
        name: String,
        /// Even the active one; none is active then
        #[arg(long)]
        force: bool,
    },
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Reads the command line; help, version and mistakes are printed here.
pub(super) fn parse(words: Vec<OsString>, has_own_config: bool) -> Result<Verb, ExitCode> {
    let name = words
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    let command = Line::command().name(name.unwrap_or_else(|| "labrig".to_owned()));
    let help = command.clone().render_help();
    let parsed = command.try_get_matches_from(words).and_then(|matches| Line::from_arg_matches(&matches));
    let line = parsed.map_err(|error| {
        // Printing fails only when nobody reads; the code still tells.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::CLEAN })
    })?;
    match line {
        Line { verb: Some(verb), .. } => Ok(verb),
        Line { verb: None, run } if run.source.config.is_some() || has_own_config => Ok(Verb::Run(run)),
        Line { verb: None, .. } => {
            let _ = write!(std::io::stderr(), "{help}");
            Err(ExitCode::from(exit::USAGE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::EventKind;

    fn check_parse(words: &[&str]) -> Option<Verb> {
        let words = ["rig"].iter().chain(words).map(OsString::from).collect();
        parse(words, true).ok()
    }

    #[test]
    fn a_config_may_follow_a_verb_or_stand_alone() {
        assert!(matches!(check_parse(&["check", "a.toml"]), Some(Verb::Check(_))));
        assert!(matches!(check_parse(&[]), Some(Verb::Run(run)) if run.source.config.is_none()));
        let set = ["run", "a.toml", "--set", "a.b=c=d", "--duration", "1m 30s"];
        let Some(Verb::Run(run)) = check_parse(&set) else { panic!("expected a run") };
        assert_eq!(run.source.set, [("a.b".to_owned(), "c=d".to_owned())]);
        assert_eq!(run.duration, Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_running_rig_is_asked_by_verbs_of_their_own() {
        let call = ["call", "MoveTo", "height_um=12", "--to", "motor", "--deadline", "2.5", "--rig", "lab"];
        let Some(Verb::Call(call)) = check_parse(&call) else { panic!("expected a call") };
        assert_eq!(
            (call.command.command.as_str(), &*call.command.fields),
            ("MoveTo", &["height_um=12".into()][..])
        );
        assert_eq!(call.command.deadline, Some(Duration::from_millis(2500)));
        assert_eq!((call.to.as_deref(), call.rig.rig.as_deref()), (Some("motor"), Some("lab")));
        let Some(Verb::Watch(watch)) = check_parse(&["watch", "--only", "state,death"]) else {
            panic!("a watch")
        };
        assert_eq!(watch.only, [EventKind::State, EventKind::Death]);
        assert!(check_parse(&["watch", "--only", "weather"]).is_none());
        assert!(check_parse(&["broadcast", "SetAcquisition", "--to", "camera"]).is_none());
        assert!(check_parse(&["arm"]).is_none());
    }

    #[test]
    fn a_set_without_value_is_refused() {
        assert!(check_parse(&["run", "a.toml", "--set", "a.b"]).is_none());
    }

    #[test]
    fn the_command_line_is_consistent() {
        Line::command().debug_assert();
    }
}
