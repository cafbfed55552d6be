//! Children that are this program again, in the role that a variable names.

use std::env;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::SIGTERM;

use crate::contestant::Setup;
use crate::placement;

const ROLE: &str = "CONTEST_ROLE";
const PROCESSOR: &str = "CONTEST_CPU";

/// Starts a child in a role, at the far side of the placement.
pub fn child(role: &str, setup: &Setup, stdin: impl Into<Stdio>, stdout: Option<OwnedFd>) -> Child {
    let mut command = command(role, setup);
    command.stdin(stdin);
    if let Some(stdout) = stdout {
        command.stdout(stdout);
    }
    command.spawn().expect("this program runs again")
}

/// The command for such a child.
pub fn command(role: &str, setup: &Setup) -> Command {
    let cpu = setup.placement.far().map_or_else(String::new, |cpu| cpu.to_string());
    let mut command = Command::new("/proc/self/exe");
    command.env(ROLE, role).env(PROCESSOR, cpu);
    command
}

/// The role that this process was started in, if it is a child. It goes to its place, and ends with its parent.
pub fn role() -> Option<String> {
    let role = env::var(ROLE).ok()?;
    set_parent_process_death_signal(Some(Signal::KILL)).expect("a process may end with its parent");
    if let Some(cpu) = env::var(PROCESSOR).ok().and_then(|cpu| cpu.parse().ok()) {
        placement::stay_on(cpu).expect("the processor was there a moment ago");
    }
    Some(role)
}

/// What tells a child a text: its standard input.
pub fn saying(text: &str) -> OwnedFd {
    let (reader, mut writer) = std::io::pipe().expect("a pipe can be made");
    writer.write_all(text.as_bytes()).expect("a short text fits a pipe");
    reader.into()
}

/// The text that a child was told so.
pub fn told() -> String {
    std::io::read_to_string(std::io::stdin()).expect("standard input is a text")
}

/// Reaps a child, and demands that it ended well: by itself, or by the SIGTERM that ends a whole group.
pub fn reap(mut child: Child) {
    let end = child.wait().expect("a child can be waited for");
    let is_expected = end.success() || end.signal() == Some(SIGTERM);
    assert!(is_expected || std::thread::panicking(), "a child ended with {end}");
}
