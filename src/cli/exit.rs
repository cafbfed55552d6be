//! Exit codes, the same for every labrig program.

use std::io::Write;
use std::process::ExitCode;

/// Everything ended in good order and nothing was lost.
pub(super) const CLEAN: u8 = 0;
/// The program could not do its work for a reason outside the rig: a file, a folder, the system, or what ran
/// beside the rig; or a running rig did not do what it was asked for, or was not to be reached.
pub(super) const FAILED: u8 = 1;
/// The rig is refused: `check` found faults; or a running rig refused what it was asked for, and nothing was done.
pub(super) const REFUSED: u8 = 2;
/// A manager failed while the rig ran, or did not end in good order.
pub(super) const MANAGER_FAILED: u8 = 3;
/// The rig ended in good order, but something was lost on the way; the summary says what.
pub(super) const LOST: u8 = 4;
/// The rig was proved but did not start; nothing is left running.
pub(super) const NOT_STARTED: u8 = 5;
/// The command line is wrong.
pub(super) const USAGE: u8 = 64;

/// What `--help` says about them.
pub(super) const HELP: &str = "Exit codes:
  0   clean: everything ended in good order and nothing was lost
  1   the program could not work: a file, a folder, the system, or what ran beside the rig;
      or a running rig was not to be reached, or accepted a command and did not do it
  2   refused: `check` found faults, nothing was started; or a running rig refused a command
  3   a manager failed, did not end in good order, or did not become safe
  4   ended in good order, but something was lost; the summary says what
  5   not started: a manager was not ready; nothing is left running
  64  the command line is wrong";

/// Says on standard error what is wrong.
pub(super) fn complain(text: &str, code: u8) -> ExitCode {
    // When even standard error is closed, the code still tells.
    let _ = writeln!(std::io::stderr(), "error: {text}");
    ExitCode::from(code)
}
