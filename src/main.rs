//! The labrig program: the command line, and the rig of simulated hardware that it brings.

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    labrig::app()
        .default_config(include_str!("../config/microscope.toml"))
        .default_duration(Duration::from_secs(10))
        .main()
}
