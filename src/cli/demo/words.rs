//! The words behind `demo`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::args::{RunArgs, Source};

#[derive(Args, Debug)]
pub(in crate::cli) struct DemoArgs {
    /// What to show; without it, the program's own demo
    #[arg(value_enum)]
    pub(super) show: Option<Show>,
    /// How many faults `chaos` injects; without it, each once
    #[arg(long, value_name = "COUNT")]
    pub(super) faults: Option<usize>,
    /// The time between two faults of `chaos`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "2s")]
    pub(super) every: Duration,
    /// What decides the order of the faults of `chaos`
    #[arg(long, value_name = "NUMBER", default_value_t = 7)]
    pub(super) seed: u64,
    /// End after this long, such as `30s`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Write into this folder instead of a new one below `runs/<rig>/`
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Keep state in this folder instead of the user's state folder
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Show more log records; twice for all
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show only what becomes of the faults
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

impl DemoArgs {
    /// How the rig of the demo is run.
    pub(super) fn as_run(&self) -> RunArgs {
        RunArgs {
            duration: self.duration,
            run_dir: self.run_dir.clone(),
            source: Source { state_dir: self.state_dir.clone(), ..Source::default() },
            verbose: self.verbose,
            quiet: self.quiet,
            ..RunArgs::default()
        }
    }
}

/// What can be shown besides the program's own demo.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// A manager misbehaves in every way, and what becomes of the rig is held against what is promised
    Chaos,
}
