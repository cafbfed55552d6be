//! Floor 6: the command line of every labrig program.
//!
//! `run`, `check` and `commands` read a config; without a verb the program's own config runs, if it has one.
//! What people read goes to standard error while a rig runs and to standard output when it has ended;
//! with `--json` standard output carries nothing but JSON lines.

mod args;
mod check;
mod exit;
mod live;
mod logging;
mod run;

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::app::App;
use crate::config::Topology;
use crate::remote::Scope;

use args::{Source, Verb};

/// What a program does with the main thread while a rig runs.
pub(crate) type Then<'a> = Option<Box<dyn FnOnce(Scope) -> Result<(), Box<dyn Error>> + 'a>>;

/// Reads the command line and does what it says.
pub(crate) fn main(app: App, then: Then<'_>) -> ExitCode {
    match args::parse(std::env::args_os().collect::<Vec<OsString>>(), app.default_config.is_some()) {
        Ok(Verb::Run(arguments)) => run::run(app, arguments, then),
        Ok(Verb::Check(arguments)) => check::check(app, &arguments),
        Ok(Verb::Commands(arguments)) => check::commands(app, &arguments),
        Err(code) => code,
    }
}

/// The rig that the command line describes.
fn topology(app: &App, source: &Source) -> Result<Topology, ExitCode> {
    let topology = match (&source.config, app.default_config) {
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
