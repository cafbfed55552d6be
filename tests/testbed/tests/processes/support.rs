//! How the tests start rigs of testbed managers, and watch over them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use labrig::config::Topology;
use labrig::{LaunchError, PendingReply, Rig, RunSummary};
use labrig_testbed::patient::Diary;

/// Far longer than anything here takes: only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// For how long a manager that moves takes its coordinator for lively: one that waits for a busy processor is not
/// frozen, and no move is to be cancelled because of that.
const LONG_LEASE_MS: u64 = 60_000;

/// A rig's description, played by the testbed's program. Unless it speaks of `restart_policy` itself, whoever
/// dies in it stays dead, and nobody counts as stuck however long they take.
pub fn topology(config: &str) -> Topology {
    let config = if config.contains("restart_policy") { config.to_owned() } else { unsupervised(config) };
    let rig = format!("schema = 1\n[rig]\nname = \"test\"\nlease_ms = {LONG_LEASE_MS}\n{config}");
    Topology::from_toml(rig).program(testbed())
}

fn unsupervised(config: &str) -> String {
    let is_manager = |line: &str| {
        let name = line.trim().strip_prefix("[managers.").and_then(|rest| rest.strip_suffix(']'));
        name.is_some_and(|name| !name.contains('.'))
    };
    let lines = config.lines().map(|line| match is_manager(line) {
        true => format!("{line}\nrestart_policy = \"never\"\nwatchdog_ms = 0\n"),
        false => format!("{line}\n"),
    });
    lines.collect()
}

/// The testbed's program.
pub fn testbed() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_testbed"))
}

/// Starts a rig.
pub fn launch(config: &str) -> Rig {
    Rig::launch(topology(config)).unwrap_or_else(|error| panic!("the rig did not start: {error}"))
}

/// Starts a rig that must not start.
pub fn fail_to_launch(config: &str) -> LaunchError {
    match Rig::launch(topology(config)) {
        Ok(_) => panic!("the rig started"),
        Err(error) => error,
    }
}

/// Ends a rig that must end cleanly.
pub fn end_cleanly(rig: Rig) -> RunSummary {
    let summary = rig.shutdown();
    assert!(summary.is_clean, "{summary:#?}");
    summary
}

/// The process number of a manager.
pub fn pid_of(rig: &Rig, manager: &str) -> rustix::process::Pid {
    let status = rig.status().expect("the rig runs");
    let manager = status.managers.iter().find(|it| it.name == manager).expect("the manager exists");
    rustix::process::Pid::from_raw(manager.pid as i32).expect("it has been started")
}

/// Waits until something is so; the condition is asked again and again because nothing tells of it.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} did not come to be");
        std::thread::yield_now();
    }
}

/// Waits until those managers are at a command.
pub fn until_busy(rig: &Rig, managers: &[&str]) {
    until_in_state(rig, managers, "busy");
}

/// Waits until the handler of a call runs, and has said so.
///
/// A manager is busy from when it has taken a command; one that is cancelled then may not run any more.
pub fn until_begun<R>(pending: &PendingReply<R>) {
    eventually("a word of the handler", || pending.progress().is_some());
}

/// Waits until a patient is at nothing any more, and asks it what has happened; a toil that has ended before its
/// time was cancelled, if it ever began.
pub fn check_gave_up(rig: &Rig, patient: &str) {
    until_ready(rig, &[patient]);
    let diary = rig.scope().to(patient).request(Diary {}).expect("accepted").wait(PATIENCE).expect("done");
    assert!(diary.is_empty() || diary == ["its toil was cancelled"], "{diary:?}");
}

/// Waits until those managers are at nothing.
pub fn until_ready(rig: &Rig, managers: &[&str]) {
    until_in_state(rig, managers, "ready");
}

fn until_in_state(rig: &Rig, managers: &[&str], state: &str) {
    let is_so = |name: &&str| {
        let status = rig.status().expect("the rig runs");
        status.managers.iter().any(|manager| manager.name == **name && manager.state == state)
    };
    eventually(&format!("{managers:?} being {state}"), || managers.iter().all(is_so));
}

/// Prints something that was measured.
pub fn figure(what: &str, value: impl std::fmt::Debug) {
    println!("figure: {what}: {value:?}");
}

/// How many times as much is asked for: 1 in an ordinary run, as much as `LABRIG_STORM` says else.
pub fn storm() -> u64 {
    std::env::var("LABRIG_STORM").map_or(1, |times| times.parse().unwrap_or(10))
}

/// Ends a rig after a storm: every call has left the table, in whichever way it ended.
pub fn end_empty(rig: Rig, what: &str) -> RunSummary {
    eventually("an empty table of calls", || rig.status().is_some_and(|status| status.in_flight == 0));
    let summary = rig.shutdown();
    figure(&format!("{what}: most calls in flight"), summary.in_flight_high_water);
    assert_eq!(summary.totals.accepted, summary.totals.ended(), "{:?}", summary.totals);
    summary
}
