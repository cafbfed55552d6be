//! Misdeeds: what is promised of each, on real processes.
//!
//! The manager that misbehaves is labrig's own `chaos.sim`; a `worker` beside it shows that nobody else is disturbed.

use std::time::Instant;

use crate::support::{PATIENCE, end_cleanly, eventually, figure, launch, pid_of, until_busy};
use crate::survivors::{is_alive, marked, marks_of};
use labrig::coordinator::ManagerStatus;
use labrig::managers::chaos::{
    Aftermath, ChaosError, Drip, Misbehave, Misdeed, WhatWasDone, Work, read_journal,
};
use labrig::{CallError, PendingReply, Refusal, Rig};
use labrig_testbed::commands::Add;

const CONFIG: &str = "[managers.other]\nkind = \"worker\"\n[managers.bad]\nkind = \"chaos.sim\"\n\
                      restart_policy = \"on-failure\"\nwatchdog_ms = 300\ncancel_deadline_ms = 50\nsafe_deadline_ms = 100\n\
                      terminate_deadline_ms = 100\nrestart_delay_ms = 10\n";

/// The manager that misbehaves.
fn bad(rig: &Rig) -> ManagerStatus {
    let status = rig.status().expect("the rig runs");
    status.managers.into_iter().find(|one| one.name == "bad").expect("it is there")
}

fn tell(rig: &Rig, how: Misdeed) -> PendingReply<Aftermath> {
    rig.scope().without_deadline().request(Misbehave { how }).expect("accepted")
}

/// The others answer, and are in their first life.
fn check_undisturbed(rig: &Rig) {
    assert_eq!(rig.scope().call(Add { a: 40, b: 2 }), Ok(42));
    let status = rig.status().expect("the rig runs");
    let other = status.managers.iter().find(|one| one.name == "other").expect("it is there");
    assert_eq!((other.generation, other.fault.as_deref()), (1, None), "{other:?}");
}

/// A misdeed that ends its own call alone.
fn check_only_the_call_ends(how: Misdeed, says: &str) -> Option<ChaosError> {
    // A panic may look for the names of all its callers first.
    let rig = launch(&CONFIG.replace("watchdog_ms = 300", "watchdog_ms = 10000"));
    let end = tell(&rig, how).wait(PATIENCE).expect_err("it does not reply");
    assert!(matches!(end, CallError::Failed(_)) && end.to_string().contains(says), "{end}");
    assert_eq!(rig.scope().call(WhatWasDone {}).expect("it goes on").generation, 1);
    check_undisturbed(&rig);
    end_cleanly(rig);
    end.downcast()
}

#[test]
fn an_error_ends_the_call_alone_and_crosses_whole() {
    let error = check_only_the_call_ends(Misdeed::Error, "failed, as it was told to");
    assert_eq!(error, Some(ChaosError::AsTold {}));
}

#[test]
fn a_panic_ends_the_call_alone() {
    assert_eq!(check_only_the_call_ends(Misdeed::Panic, "as it was told to"), None);
}

// --- death ---

/// How a death is told.
struct Told<'a> {
    /// The signal or the exit code.
    how: &'a str,
    /// What is among the last lines.
    line: &'a str,
}

/// A misdeed that its manager does not survive, for it dies of it or hangs and is ended: its call ends, the report says
/// everything, the next life is inactive until it is armed, and nothing of the last one is left.
fn check_next_life(before: &[Misdeed], how: Misdeed, told: &Told<'_>) {
    let rig = launch(CONFIG);
    let marks = marks_of(&rig);
    let mut left_behind: Vec<u32> = Vec::new();
    for misdeed in before {
        left_behind.extend(tell(&rig, misdeed.clone()).wait(PATIENCE).expect("it replies").left_behind);
    }
    assert_eq!(rig.scope().call(Work { duration_ms: 0 }), Ok(1));
    let pid = pid_of(&rig, "bad").as_raw_nonzero().get() as u32;
    let begin = Instant::now();
    let end = tell(&rig, how.clone()).wait(PATIENCE).expect_err("it does not reply");
    figure(&format!("{how:?}: the call has ended after"), begin.elapsed());
    assert!(matches!(end, CallError::Indeterminate(_) | CallError::Cancelled(_)), "{end}");
    eventually("the next life", || bad(&rig).generation == 2 && bad(&rig).state == "inactive");
    figure(&format!("{how:?}: it is back after"), begin.elapsed());
    check_report(&bad(&rig), pid, told);
    check_arming(&rig);
    check_undisturbed(&rig);
    eventually("the end of what it left behind", || !left_behind.iter().any(|pid| is_alive(*pid)));
    check_end(rig, &marks);
}

fn check_report(bad: &ManagerStatus, pid: u32, told: &Told<'_>) {
    let death = bad.last_death.as_ref().expect("a report");
    assert_eq!((death.manager.as_str(), death.generation, death.pid), ("bad", 1, pid), "{death:?}");
    assert!(death.how.contains(told.how), "{death:?}");
    assert_eq!(death.command.as_deref(), Some("Misbehave"), "{death:?}");
    assert!(death.last_lines.iter().any(|line| line.contains(told.line)), "{death:?}");
    assert!(death.then.contains("started again"), "{death:?}");
}

/// A new life refuses what moves, and nothing else, until it is armed.
fn check_arming(rig: &Rig) {
    let refused = rig.scope().request(Work { duration_ms: 0 }).map(drop);
    assert!(matches!(refused, Err(Refusal::Inactive { .. })), "{refused:?}");
    assert_eq!(rig.scope().call(WhatWasDone {}).expect("it answers").generation, 2);
    assert!(rig.scope().arm("bad").expect("accepted").wait(PATIENCE).expect("armed").was_inactive);
    assert_eq!(rig.scope().call(Work { duration_ms: 0 }), Ok(1));
}

/// The rig quits in good order, and of no manager is anything left.
fn check_end(rig: Rig, marks: &[String]) {
    let begin = Instant::now();
    let summary = rig.shutdown();
    figure("the quit took", begin.elapsed());
    assert_eq!(summary.failed().collect::<Vec<_>>(), []);
    eventually("the end of every process", || marked(marks).is_empty());
}

#[test]
fn an_abort_is_reported_and_the_manager_is_back() {
    check_next_life(&[], Misdeed::Abort, &Told { how: "SIGABRT", line: "told to misbehave: Abort" });
}

#[test]
fn a_segmentation_fault_is_reported_and_the_manager_is_back() {
    check_next_life(&[], Misdeed::Segfault, &Told { how: "SIGSEGV", line: "told to misbehave: Segfault" });
}

#[test]
fn a_stack_overflow_is_reported_with_its_last_words_and_the_manager_is_back() {
    check_next_life(&[], Misdeed::OverflowStack, &Told { how: "SIGABRT", line: "has overflowed its stack" });
}

#[test]
fn an_exit_is_reported_with_its_code_and_the_manager_is_back() {
    check_next_life(&[], Misdeed::Exit { code: 3 }, &Told { how: "exit code 3", line: "Exit { code: 3 }" });
}

#[test]
fn a_death_is_seen_although_a_child_holds_the_pipe_open() {
    let told = Told { how: "exit code 0", line: "Exit { code: 0 }" };
    check_next_life(&[Misdeed::KeepPipe], Misdeed::Exit { code: 0 }, &told);
}

#[test]
fn a_daemon_that_left_the_group_goes_with_its_manager_s_life() {
    check_next_life(&[Misdeed::Daemonise], Misdeed::Abort, &Told { how: "SIGABRT", line: "Abort" });
}

#[test]
fn a_manager_that_shuts_its_pipe_down_is_ended_and_is_back() {
    check_next_life(&[], Misdeed::ClosePipe, &Told { how: "", line: "ClosePipe" });
}

// --- hangs ---

#[test]
fn a_handler_that_sleeps_for_ever_is_ended_and_the_manager_is_back() {
    check_next_life(&[], Misdeed::Sleep, &Told { how: "", line: "Sleep" });
}

#[test]
fn a_handler_that_spins_for_ever_is_ended_and_the_manager_is_back() {
    check_next_life(&[], Misdeed::Spin, &Told { how: "", line: "Spin" });
}

#[test]
fn a_thread_beside_it_that_talks_does_not_vouch_for_a_handler_that_spins() {
    check_next_life(&[], Misdeed::SpinBesideThread, &Told { how: "", line: "SpinBesideThread" });
}

#[test]
fn a_manager_that_ignores_sigterm_is_killed() {
    check_next_life(&[Misdeed::IgnoreTerm], Misdeed::Sleep, &Told { how: "SIGKILL", line: "Sleep" });
}

#[test]
fn a_manager_that_stops_itself_is_killed_and_is_back() {
    check_next_life(&[], Misdeed::StopItself, &Told { how: "SIGKILL", line: "StopItself" });
}

#[test]
fn a_handler_that_heeds_the_first_rung_costs_its_call_and_no_life() {
    let rig = launch(CONFIG);
    let dawdling = tell(&rig, Misdeed::Dawdle);
    // Nobody here has cancelled it.
    assert!(matches!(dawdling.wait(PATIENCE), Err(CallError::Cancelled(_))));
    eventually("that it goes on", || matches!(bad(&rig).state, "ready" | "safe"));
    let log = rig.run_dir().join("run.log");
    for told in ["bad#1: is stuck: ", "bad#1: works again, and stays"] {
        eventually(told, || std::fs::read_to_string(&log).is_ok_and(|text| text.contains(told)));
    }
    assert_eq!((bad(&rig).generation, bad(&rig).last_death), (1, None));
    assert_eq!(rig.scope().call(Work { duration_ms: 0 }), Ok(1));
    check_undisturbed(&rig);
    end_cleanly(rig);
}

/// It hangs in no command, and what comes after that is not even taken.
#[test]
fn a_worker_that_leaves_its_pipe_unread_is_found_and_ended() {
    let rig = launch(&format!("{CONFIG}queue = {{ depth = 50 }}\n"));
    tell(&rig, Misdeed::StopReading).wait(PATIENCE).expect("it replies first");
    check_undisturbed(&rig);
    eventually("the next life", || {
        // What comes while it hangs fills its pipe and its queue; then it is refused.
        let _ = rig.scope().send(Drip {});
        bad(&rig).generation == 2 && bad(&rig).state == "inactive"
    });
    let death = bad(&rig).last_death.expect("a report");
    assert_eq!(death.command, None, "{death:?}");
    assert!(death.because.is_some(), "{death:?}");
    check_undisturbed(&rig);
    assert!(rig.shutdown().totals.undelivered > 0);
}

#[test]
fn a_quit_waits_for_no_handler_that_hangs() {
    let rig = launch(&CONFIG.replace("watchdog_ms = 300", "watchdog_ms = 0"));
    let marks = marks_of(&rig);
    let hung = tell(&rig, Misdeed::Sleep);
    until_busy(&rig, &["bad"]);
    let begin = Instant::now();
    let summary = rig.shutdown();
    figure("a quit beside a handler that sleeps for ever took", begin.elapsed());
    assert!(hung.wait(PATIENCE).is_err());
    let failed: Vec<_> = summary.failed().map(|(name, _)| name).collect();
    assert_eq!(failed, ["bad"], "the summary names who was not clean, and nobody else");
    eventually("the end of every process", || marked(&marks).is_empty());
}

#[test]
fn a_quit_waits_for_no_safe_state_that_hangs() {
    let rig = launch(&format!("{CONFIG}[managers.bad.config]\nhang = \"safe-state\"\n"));
    let marks = marks_of(&rig);
    let summary = rig.shutdown();
    let failed: Vec<_> = summary.failed().map(|(name, _)| name).collect();
    assert_eq!(failed, ["bad"]);
    eventually("the end of every process", || marked(&marks).is_empty());
}

#[test]
fn a_manager_that_dies_in_each_new_life_fails_once_its_budget_is_spent() {
    let rig = launch(&format!("{CONFIG}max_restarts = 2\n[managers.bad.config]\nrelapses = true\n"));
    let marks = marks_of(&rig);
    tell(&rig, Misdeed::Exit { code: 9 }).wait(PATIENCE).expect_err("it exits");
    eventually("its failure", || bad(&rig).state == "failed");
    let status = bad(&rig);
    assert_eq!((status.generation, status.restarts), (3, 2), "{status:?}");
    let death = status.last_death.expect("a report");
    assert!(death.how.contains("exit code 70") || death.how.contains("70"), "{death:?}");
    assert!(death.last_lines.iter().any(|line| line == "this is life 3, and it ends here"), "{death:?}");
    let refused = rig.scope().request(Work { duration_ms: 0 }).map(drop);
    assert!(matches!(refused, Err(Refusal::Dead { .. })), "{refused:?}");
    check_undisturbed(&rig);
    let summary = rig.shutdown();
    assert_eq!(summary.failed().map(|(name, _)| name).collect::<Vec<_>>(), ["bad"]);
    eventually("the end of every process", || marked(&marks).is_empty());
}

// --- what is survived ---

#[test]
fn a_flood_is_survived_by_all() {
    let rig = launch(&CONFIG.replace("watchdog_ms = 300", "watchdog_ms = 10000"));
    let flood = tell(&rig, Misdeed::Flood { whom: String::new(), duration_ms: 300 });
    let mut calls = 0_u64;
    while !flood.is_ready() {
        check_undisturbed(&rig);
        calls += 1;
    }
    let sent = flood.wait(PATIENCE).expect("it replies").count;
    figure("a flood of 300 ms: commands sent, and calls to another manager meanwhile", (sent, calls));
    assert!(sent > 0 && calls > 0);
    assert_eq!(bad(&rig).generation, 1);
    eventually("an answer", || rig.scope().call(WhatWasDone {}).is_ok_and(|done| done.drips > 0));
    end_cleanly(rig);
}

#[test]
fn a_child_that_a_manager_leaves_behind_is_gone_with_the_rig() {
    let rig = launch(CONFIG);
    for misdeed in [Misdeed::KeepPipe, Misdeed::Daemonise] {
        let aftermath = tell(&rig, misdeed).wait(PATIENCE).expect("a child");
        assert!(is_alive(aftermath.left_behind[0]));
    }
    check_undisturbed(&rig);
    let marks = marks_of(&rig);
    assert!(marked(&marks).len() >= 4, "two managers and two children");
    end_cleanly(rig);
    eventually("the end of every process", || marked(&marks).is_empty());
}

#[test]
fn a_manager_that_leaks_descriptors_takes_none_from_the_coordinator() {
    let rig = launch(CONFIG);
    let count = |of: &str| std::fs::read_dir(format!("/proc/{of}/fd")).expect("a list").count();
    let before = count("self");
    assert_eq!(tell(&rig, Misdeed::LeakDescriptors { count: 500 }).wait(PATIENCE).expect("done").count, 500);
    let bad = pid_of(&rig, "bad").as_raw_nonzero().to_string();
    assert!(count(&bad) >= 500 && count("self") < before + 100, "{} and {}", count(&bad), count("self"));
    check_undisturbed(&rig);
    end_cleanly(rig);
}

#[test]
fn what_a_manager_has_done_is_told_and_its_safe_state_is_in_its_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let rig = launch(&format!("{CONFIG}[managers.bad.config]\njournal = \"{}\"\n", path.display()));
    assert_eq!(rig.scope().call(Work { duration_ms: 1 }), Ok(1));
    rig.scope().send(Drip {}).expect("accepted");
    let done = rig.scope().call(WhatWasDone {}).expect("it answers");
    assert_eq!((done.works, done.drips, done.safe_states), (1, 1, 0));
    end_cleanly(rig);
    let entries = read_journal(&path).expect("a journal");
    let last = entries.last().expect("an entry");
    assert_eq!((last.manager.as_str(), last.generation, last.reason.as_str()), ("bad", 1, "the rig quits"));
}
