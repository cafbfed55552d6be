//! Managers that hang: how that is seen, what is tried with them, and what runs when they are gone.

use std::fs;
use std::path::PathBuf;

use crate::restarts::{kill, status_of, until_in_life};
use crate::support::{PATIENCE, end_cleanly, eventually, launch, pid_of};
use labrig::managers::chaos::Aftermath;
use labrig::managers::chaos::{Drip, Misbehave, Misdeed, WhatWasDone, Work};
use labrig::{CallError, PendingReply, Rig};
use labrig_testbed::commands::*;
use rustix::process::{Pid, Signal, kill_process};

/// A manager that is found stuck soon, and a worker beside it.
fn config(bad: &str) -> String {
    format!(
        "default_deadline_ms = 600000\n[managers.other]\nkind = \"worker\"\nrestart_policy = \"never\"\n\
         [managers.bad]\nkind = \"chaos.sim\"\nrearm = \"auto\"\nrestart_delay_ms = 1\nmax_restarts = 100\n\
         watchdog_ms = 300\ncancel_deadline_ms = 50\nterminate_deadline_ms = 100\n{bad}"
    )
}

fn tell(rig: &Rig, how: Misdeed) -> PendingReply<Aftermath> {
    rig.scope().without_deadline().request(Misbehave { how }).expect("accepted")
}

fn check_undisturbed(rig: &Rig) {
    assert_eq!(rig.scope().call(Add { a: 40, b: 2 }), Ok(42));
    assert_eq!(status_of(rig, "other").generation, 1);
}

/// A manager that hangs for good is ended, the call is indeterminate, and its next life works.
fn check_ended(how: Misdeed) {
    let rig = launch(&config(""));
    let call = tell(&rig, how.clone());
    let end = call.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Indeterminate(_))), "{how:?}: {end:?}");
    until_in_life(&rig, "bad", 2);
    assert_eq!(rig.scope().call(WhatWasDone {}).expect("it works").generation, 2);
    check_undisturbed(&rig);
    let death = status_of(&rig, "bad").last_death.expect("it has died");
    assert_eq!(death.command.as_deref(), Some("Misbehave"), "{death}");
    assert_eq!(death.because.as_deref(), Some("was stuck, and was ended"), "{death}");
    assert!(rig.shutdown().is_clean);
}

#[test]
fn a_handler_that_sleeps_for_ever_is_seen_and_its_manager_comes_back() {
    check_ended(Misdeed::Sleep);
}

#[test]
fn a_handler_that_spins_is_seen_and_its_manager_comes_back() {
    check_ended(Misdeed::Spin);
}

#[test]
fn a_handler_that_spins_beside_a_lively_thread_is_seen() {
    check_ended(Misdeed::SpinBesideThread);
}

#[test]
fn a_process_that_is_stopped_and_not_continued_is_killed() {
    check_ended(Misdeed::StopItself);
}

#[test]
fn one_that_ignores_sigterm_is_killed() {
    let rig = launch(&config(""));
    tell(&rig, Misdeed::IgnoreTerm).wait(PATIENCE).expect("it replies");
    assert!(tell(&rig, Misdeed::Spin).wait(PATIENCE).is_err());
    until_in_life(&rig, "bad", 2);
    let death = status_of(&rig, "bad").last_death.expect("it has died");
    assert_eq!(death.how, "signal 9 (SIGKILL)");
    check_undisturbed(&rig);
    assert!(rig.shutdown().is_clean);
}

#[test]
fn one_that_stops_reading_its_pipe_between_commands_is_seen() {
    let rig = launch(&config(""));
    tell(&rig, Misdeed::StopReading).wait(PATIENCE).expect("it replies");
    eventually("its next life", || {
        // Until it is found stuck, it takes no more.
        let _ = rig.scope().send(Drip {});
        status_of(&rig, "bad").generation == 2
    });
    until_in_life(&rig, "bad", 2);
    check_undisturbed(&rig);
    rig.shutdown();
}

#[test]
fn a_handler_that_heeds_its_cancellation_is_stuck_and_stays() {
    // Waits inside labrig are no hang, so that it dawdles with a vendor's call.
    let rig = launch(
        "[managers.left]\nkind = \"patient\"\nrestart_policy = \"on-failure\"\nwatchdog_ms = 200\n\
         cancel_deadline_ms = 20000",
    );
    let linger = labrig_testbed::patient::Linger { number: 3, then: labrig_testbed::patient::Then::Reply };
    // Its progress is a sign of life; then none comes.
    assert_eq!(rig.scope().without_deadline().request(linger).expect("accepted").wait(PATIENCE), Ok(3));
    eventually("the recovery", || status_of(&rig, "left").state == "ready");
    assert_eq!(status_of(&rig, "left").generation, 1);
    let log = fs::read_to_string(rig.run_dir().join("run.log")).unwrap_or_default();
    let summary = end_cleanly(rig);
    assert!(summary.deaths.is_empty() && !summary.has_losses(), "{summary:#?}\n{log}");
}

#[test]
fn a_stopped_process_is_shown_at_once_and_stays_when_it_is_continued() {
    let rig = launch(&config("").replace("watchdog_ms = 300", "watchdog_ms = 60000"));
    kill_process(pid_of(&rig, "bad"), Signal::STOP).expect("it lives");
    eventually("the stop", || status_of(&rig, "bad").state == "stuck");
    kill_process(pid_of(&rig, "bad"), Signal::CONT).expect("it lives");
    eventually("the end of the stop", || status_of(&rig, "bad").state == "ready");
    assert_eq!(rig.scope().call(WhatWasDone {}).expect("it works").generation, 1);
    assert!(!end_cleanly(rig).has_losses());
}

#[test]
fn a_set_up_that_hangs_in_a_later_life_is_ended_by_the_start_deadline() {
    let rig = launch(
        "start_deadline_ms = 2000\n[managers.bad]\nkind = \"chaos.sim\"\nrestart_delay_ms = 1\nmax_restarts = 1\n\
         restart_policy = \"always\"\n[managers.bad.config]\nrelapses = true",
    );
    kill(&rig, "bad");
    eventually("the failure", || status_of(&rig, "bad").state == "failed");
    let summary = rig.shutdown();
    assert_eq!((summary.is_clean, summary.deaths.len()), (false, 2), "{summary:#?}");
    assert!(summary.deaths[1].how.contains("exit code 70"), "{summary:#?}");
}

// --- safe programs ---

const VENDOR: &str = "library_path = [\"/tmp/vendor\"]";

/// A rig whose `bad` has a safe program, which is this script.
fn securing(script: &str, more: &str) -> Rig {
    launch(&config(&format!("safe_program = [\"/bin/sh\", \"-c\", \"{script}\"]\n{more}")))
}

#[test]
fn the_safe_program_runs_when_a_manager_dies_out_of_its_safe_state_and_before_it_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed");
    let rig =
        securing(&format!("echo closing it with $LD_LIBRARY_PATH; echo $0 >> '{}'", file.display()), VENDOR);
    rig.scope().call(Work { duration_ms: 0 }).expect("it works");
    kill(&rig, "bad");
    until_in_life(&rig, "bad", 2);
    assert_eq!(fs::read_to_string(&file).expect("it has run").lines().count(), 1);
    let death = status_of(&rig, "bad").last_death.expect("it has died");
    let how = death.safe_program.expect("it has run");
    assert!(!death.was_safe && how.starts_with("ended with exit code 0 after "), "{how}");
    // Its next life is safe from the start: nothing is to be closed.
    kill(&rig, "bad");
    until_in_life(&rig, "bad", 3);
    let death = status_of(&rig, "bad").last_death.expect("it has died");
    assert_eq!((death.was_safe, death.safe_program), (true, None));
    let folder = rig.run_dir().to_owned();
    let state = rig.scope();
    eventually("the log", || {
        let _ = state.call(Add { a: 1, b: 1 });
        fs::read_to_string(folder.join("run.log"))
            .is_ok_and(|log| log.contains("safe program: closing it with /tmp/vendor"))
    });
    assert!(rig.shutdown().is_clean);
}

#[test]
fn a_late_safe_program_is_killed_with_all_that_it_has_started() {
    let rig = securing("sleep 3600 & sleep 3600", "safe_program_deadline_ms = 200");
    rig.scope().call(Work { duration_ms: 0 }).expect("it works");
    kill(&rig, "bad");
    until_in_life(&rig, "bad", 2);
    let summary = rig.shutdown();
    let how = summary.deaths[0].safe_program.as_deref().unwrap_or_default();
    assert!(how.starts_with("was killed after ") && how.ends_with("it was late"), "{how}");
    assert!(summary.losses.iter().any(|loss| loss.what == "safe state"), "{:?}", summary.losses);
}

#[test]
fn the_safe_program_runs_for_one_that_had_to_be_killed_by_the_quit() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed");
    let config = config(&format!("safe_program = [\"/bin/sh\", \"-c\", \"echo >> '{}'\"]\n", file.display()))
        .replace("watchdog_ms = 300", "watchdog_ms = 0");
    let rig = launch(&format!("quit_deadline_ms = 100\n{config}"));
    rig.scope().call(Work { duration_ms: 0 }).expect("it works");
    tell(&rig, Misdeed::IgnoreTerm).wait(PATIENCE).expect("it replies");
    let spinning = tell(&rig, Misdeed::Spin);
    eventually("the spin", || status_of(&rig, "bad").state == "busy");
    assert!(!rig.shutdown().is_clean);
    assert!(spinning.wait(PATIENCE).is_err());
    assert!(file.exists());
}

/// Holds a process where nothing reaches it, not even a kill, until it is dropped: as a driver that hangs would.
struct Unreachable(PathBuf);

impl Unreachable {
    /// None where there is no freezer of the first version of control groups, or where it is not ours to use.
    fn new(pid: Pid) -> Option<Self> {
        let group =
            Self(PathBuf::from(format!("/sys/fs/cgroup/freezer/labrig-test-{}", pid.as_raw_nonzero())));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join("cgroup.procs"), pid.as_raw_nonzero().to_string()).ok()?;
        fs::write(group.0.join("freezer.state"), "FROZEN").ok()?;
        let is_frozen = || fs::read_to_string(group.0.join("freezer.state")).is_ok_and(|it| it == "FROZEN\n");
        eventually("a process that nothing reaches", is_frozen);
        Some(group)
    }
}

impl Drop for Unreachable {
    fn drop(&mut self) {
        // It dies of the kill that it was sent, and the group can be removed once it has.
        fs::write(self.0.join("freezer.state"), "THAWED").expect("it is ours");
        eventually("the end of the group", || fs::remove_dir(&self.0).is_ok());
    }
}

#[test]
fn a_quit_gives_up_a_manager_that_cannot_even_be_killed_and_runs_its_safe_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed");
    let safe_program = format!("safe_program = [\"/bin/sh\", \"-c\", \"echo >> '{}'\"]\n", file.display());
    let config = config(&format!("kill_deadline_ms = 100\n{safe_program}"));
    let rig =
        launch(&format!("quit_deadline_ms = 100\n{config}").replace("watchdog_ms = 300", "watchdog_ms = 0"));
    rig.scope().call(Work { duration_ms: 0 }).expect("it works");
    let Some(_unreachable) = Unreachable::new(pid_of(&rig, "bad")) else {
        println!("skipped: nothing can be made unreachable here");
        return drop(end_cleanly(rig));
    };
    let log = tempfile::tempdir().expect("a folder");
    let kept = log.path().join("run.log");
    fs::hard_link(rig.run_dir().join("run.log"), &kept).expect("both are on one file system");
    let summary = rig.shutdown();
    assert!(!summary.is_clean && file.exists(), "{summary:?}");
    let log = fs::read_to_string(kept).expect("a log");
    assert!(log.contains("it is given up") && log.contains("` is in state D"), "{log}");
}
