//! How these tests start the labrig program and rigs of its managers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use labrig::{Rig, RunSummary, Topology};

/// Far longer than anything here takes: only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The `lease_ms` of rigs in which something moves and nobody freezes: a coordinator that waits for a busy processor
/// is not to be taken for frozen, for then the move is cancelled.
pub(crate) const LONG_LEASE_MS: &str = "60000";

/// The same for the command line, behind `--set`.
pub(crate) const LONG_LEASE: &str = "rig.lease_ms=60000";

/// The labrig program.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_labrig"))
}

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Starts a rig of built-in managers.
pub(crate) fn launch(config: &str) -> Rig {
    let text = format!("schema = 1\n[rig]\nname = \"test\"\nlease_ms = {LONG_LEASE_MS}\n{config}");
    Rig::launch(Topology::from_toml(text).program(program())).unwrap_or_else(|error| panic!("{error}"))
}

/// Ends a rig that must end cleanly.
pub(crate) fn end_cleanly(rig: Rig) -> RunSummary {
    let summary = rig.shutdown();
    assert!(summary.is_clean, "{summary:#?}");
    summary
}

/// Runs the labrig program in a folder to its end.
pub(crate) fn labrig(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .output()
        .expect("the program runs")
}

/// What it printed on standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it printed on standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
