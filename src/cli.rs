//! Floor 6: the command line of every labrig program.
//!
//! `run`, `check` and `commands` read a config; without a verb the program's own config runs, if it has one. All other
//! verbs are for a rig that runs already, and go through its socket.
//! What people read goes to standard error while a rig runs and to standard output when it has ended;
//! with `--json` standard output carries nothing but JSON lines.

mod args;
mod asking;
mod calling;
mod check;
mod checking;
mod client;
mod demo;
mod env;
mod exit;
mod following;
mod live;
mod logging;
mod ordering;
mod procedure_args;
mod procedures;
mod rig_args;
mod rows;
mod run;
mod saying;
#[cfg(feature = "procedures")]
mod script;
mod settings;
mod signals;
mod table;
mod watching;

use std::any::TypeId;
use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Topology;
use crate::coordinator::{BuildScope, Hooks};
use crate::remote::Scope;

use args::{Source, Verb};

/// What a program does with the main thread while a rig runs.
pub(crate) type Then<'a> = Option<Box<dyn FnOnce(Scope) -> Result<(), Box<dyn Error>> + 'a>>;

/// What a program brings to its command line.
#[derive(Default)]
pub(crate) struct Program {
    /// What builds the scope's values, by their types.
    pub(crate) scopes: Vec<(TypeId, BuildScope)>,
    /// The config that runs when the command line names none.
    pub(crate) default_config: Option<&'static str>,
    /// How long that config runs when the command line does not say.
    pub(crate) default_duration: Option<Duration>,
    /// What the first Ctrl-C does in place of quitting.
    pub(crate) on_interrupt: Option<OnInterrupt>,
    /// What it does before its rig quits, and what it is told of failures.
    pub(crate) hooks: Hooks,
}

/// Something that is done once, on a thread of its own.
pub(crate) type OnInterrupt = Box<dyn FnOnce() + Send>;

/// Reads the command line and does what it says.
pub(crate) fn main(program: Program, then: Then<'_>) -> ExitCode {
    match args::parse(std::env::args_os().collect::<Vec<OsString>>(), program.default_config.is_some()) {
        Ok(Verb::Run(arguments)) => run::run(program, arguments, then),
        Ok(Verb::Demo(arguments)) => demo::demo(program, arguments),
        Ok(Verb::Check(arguments)) => match &arguments.live {
            Some(manager) => checking::check_live(program, &arguments, manager),
            None => check::check(program, &arguments.check),
        },
        Ok(Verb::Env(arguments)) => env::env(program, &arguments),
        Ok(Verb::Commands(arguments)) => match arguments.rig {
            None => check::commands(program, &arguments.check, arguments.listing()),
            Some(_) => asking::commands(arguments),
        },
        Ok(Verb::Status(arguments)) => asking::status(&arguments),
        Ok(Verb::Signals(arguments)) => asking::signals(&arguments),
        Ok(Verb::Rows(arguments)) => asking::rows(arguments),
        #[cfg(feature = "procedures")]
        Ok(Verb::Script(arguments)) => script::script(program, arguments),
        Ok(Verb::Settings(arguments)) => settings::settings(&arguments),
        Ok(Verb::Ping(arguments)) => asking::ping(arguments),
        Ok(Verb::Watch(arguments)) => watching::watch(&arguments),
        Ok(Verb::Call(arguments)) => calling::call(arguments),
        Ok(Verb::Send(arguments)) => calling::send(arguments),
        Ok(Verb::Broadcast(arguments)) => calling::broadcast(arguments),
        Ok(Verb::Stop(arguments)) => ordering::stop(&arguments),
        Ok(Verb::Arm(arguments)) => ordering::arm(arguments),
        Ok(Verb::Restart(arguments)) => ordering::restart(arguments),
        Ok(Verb::Procedure(arguments)) => procedures::procedure(arguments.deed),
        Ok(Verb::Quit(arguments)) => ordering::quit(&arguments),
        Err(code) => code,
    }
}

/// The rig that the command line describes.
fn topology(program: &Program, source: &Source) -> Result<Topology, ExitCode> {
    let topology = match (&source.config, program.default_config) {
        (Some(path), _) => Topology::from_file(path).map_err(|error| {
            let cause = Error::source(&error).map(ToString::to_string).unwrap_or_default();
            exit::complain(&format!("{error}: {cause}"), exit::FAILED)
        })?,
        (None, Some(text)) => Topology::from_toml(text),
        (None, None) => return Err(exit::complain("no config is named", exit::USAGE)),
    };
    let set = |topology: Topology, (key, value): &(String, String)| topology.set(key, value);
    Ok(source.set.iter().fold(topology, set))
}
