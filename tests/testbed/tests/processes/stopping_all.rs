//! The stop of everything, and what follows it.

use std::path::Path;

use crate::labouring::Site;
use crate::restarts::{status_of, until_in_life};
use crate::support::{PATIENCE, end_cleanly, eventually, launch, until_begun, until_busy};
use labrig::managers::chaos::{Misbehave, Misdeed, WhatWasDone, Work, read_journal};
use labrig::prelude::ReadMode;
use labrig::{CallError, Rig};
use labrig_testbed::commands::Note;
use labrig_testbed::filler::{Fill, HowOftenSafe};
use labrig_testbed::patient::{Mark, Toil};

fn config(journal: &Path, more: &str) -> String {
    let manager = |name: &str| {
        format!(
            "[managers.{name}]\nkind = \"chaos.sim\"\nsafe_deadline_ms = 5000\nwatchdog_ms = 0\n{more}\n\
             [managers.{name}.config]\njournal = \"{}\"\n",
            journal.display()
        )
    };
    format!("default_deadline_ms = 600000\n{}{}", manager("left"), manager("right"))
}

fn works_of(rig: &Rig, manager: &str) -> u64 {
    rig.scope().to(manager).request(WhatWasDone {}).expect("accepted").wait(PATIENCE).expect("done").works
}

#[test]
fn a_stop_brings_everything_into_its_safe_state_and_nothing_quits() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal");
    let rig = launch(&config(&journal, "restart_policy = \"never\""));
    let scope = rig.scope();
    for manager in ["left", "right"] {
        let work = scope.to(manager).request(Work { duration_ms: 0 }).expect("accepted");
        assert_eq!(work.wait(PATIENCE), Ok(1));
    }
    let report = scope.stop_all().expect("accepted").wait(PATIENCE).expect("a report");
    assert!(report.is_safe(), "{report:?}");
    let stopped: Vec<_> = report.managers.iter().map(|outcome| outcome.manager.as_str()).collect();
    assert_eq!(stopped, ["left", "right"]);
    let journal = read_journal(&journal).expect("a journal");
    assert_eq!(journal.len(), 2, "{journal:?}");
    for manager in ["left", "right"] {
        let status = status_of(&rig, manager);
        let entry = status.last_safe_entry.expect("it has entered it");
        assert_eq!((status.state, status.generation, entry.by_emergency_handle), ("safe", 1, false));
    }
    // They go on when they are told to.
    let work = scope.to("left").request(Work { duration_ms: 0 }).expect("accepted");
    assert_eq!(work.wait(PATIENCE), Ok(2));
    eventually("the work", || status_of(&rig, "left").state == "ready");
    assert!(!end_cleanly(rig).has_losses());
}

#[test]
fn what_runs_and_what_waits_is_cancelled_by_a_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = launch(&config(&folder.path().join("journal"), "restart_policy = \"never\""));
    let scope = rig.scope();
    let running = scope.to("left").request(Work { duration_ms: 60_000 }).expect("accepted");
    until_busy(&rig, &["left"]);
    let waiting: Vec<_> = (0..1_000)
        .map(|_| scope.to("left").request(Work { duration_ms: 0 }).expect("the queue has room"))
        .collect();
    let report = scope.stop_all().expect("accepted").wait(PATIENCE).expect("a report");
    assert!(report.is_safe(), "{report:?}");
    for call in waiting.into_iter().chain([running]) {
        let end = call.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Cancelled(_))), "{end:?}");
    }
    assert_eq!(works_of(&rig, "left"), 0);
    end_cleanly(rig);
}

#[test]
fn a_stop_counts_the_one_way_commands_that_do_not_run() {
    let rig = launch("[managers.left]\nkind = \"patient\"\n[managers.right]\nkind = \"worker\"");
    let scope = rig.scope();
    let toil =
        scope.without_deadline().request(Toil { duration_ms: 60_000, nap_ms: 60_000 }).expect("accepted");
    until_begun(&toil);
    (0..100).for_each(|number| scope.send(Mark { number }).expect("the queue has room"));
    scope.to("right").send(Note { number: 1 }).expect("accepted");
    scope.stop_all().expect("accepted").wait(PATIENCE).expect("a report");
    assert!(matches!(toil.wait(PATIENCE), Err(CallError::Cancelled(_))));
    let marks = scope.call(labrig_testbed::patient::Marks {}).expect("it goes on");
    assert_eq!(marks, Vec::<u64>::new());
    let summary = rig.shutdown();
    assert!(summary.is_clean && summary.totals.undelivered_stopped >= 100, "{:?}", summary.totals);
}

#[test]
fn one_that_does_not_become_safe_in_time_is_ended_and_its_safe_program_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed");
    let rig = launch(&format!(
        "[managers.bad]\nkind = \"chaos.sim\"\nrearm = \"auto\"\nwatchdog_ms = 0\nsafe_deadline_ms = 200\n\
         terminate_deadline_ms = 100\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 1\n\
         safe_program = [\"/bin/sh\", \"-c\", \"echo >> '{}'\"]",
        file.display()
    ));
    rig.scope().call(Work { duration_ms: 0 }).expect("it works");
    let spinning =
        rig.scope().without_deadline().request(Misbehave { how: Misdeed::Spin }).expect("accepted");
    until_busy(&rig, &["bad"]);
    let report = rig.scope().stop_all().expect("accepted").wait(PATIENCE).expect("a report");
    assert!(!report.is_safe(), "{report:?}");
    assert!(matches!(spinning.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    until_in_life(&rig, "bad", 2);
    assert!(file.exists());
    assert!(rig.shutdown().is_clean);
}

/// Whatever a manager says that was on its way when the stop was ordered is no answer to it.
#[test]
fn a_stop_is_answered_by_what_a_manager_began_after_it_was_ordered() {
    let site = Site::new();
    let keys = "restart_policy = \"never\"\nwatchdog_ms = 0\nsafe_deadline_ms = 60000";
    let config =
        format!("default_deadline_ms = 600000\n{}is_slow_to_be_safe = true\n", site.labourer("left", keys));
    let rig = launch(&config);
    let count = |what: &str| site.entries().iter().filter(|entry| entry.what == what).count();
    let first = rig.scope().stop_all().expect("accepted");
    eventually("the first safe state", || count("becomes-safe") == 1);
    let second = rig.scope().stop_all().expect("accepted");
    let third = rig.scope().stop_all().expect("accepted");
    site.open_door();
    assert!(first.wait(PATIENCE).expect("a report").is_safe());
    for stop in [second, third] {
        assert!(stop.wait(PATIENCE).expect("a report").is_safe());
        assert_eq!(count("is-safe"), 2, "both are answered by what came after them");
    }
    end_cleanly(rig);
}

/// It looks at nothing but the slots, of which a reader that looks at none gives none back.
#[test]
fn a_handler_that_waits_for_a_free_slot_is_cancelled_and_stopped() {
    let rig = launch(
        "default_deadline_ms = 600000\n[managers.filler]\nkind = \"filler\"\nsafe_deadline_ms = 60000\n\
         [streams.video]\nproducer = \"filler\"\nslots = 4\nmax_frame_bytes = 4096",
    );
    let scope = rig.scope();
    let stream = scope.stream("video").expect("a stream");
    let held_back = stream.reader(ReadMode::Lossless).expect("a reader");
    let fill = || scope.request(Fill { frames: u32::MAX }).expect("accepted");
    let cancelled = fill();
    until_begun(&cancelled);
    cancelled.cancel();
    let end = cancelled.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Cancelled(_))), "{end:?}");
    assert_eq!(scope.call(HowOftenSafe {}), Ok(0));
    let stopped = fill();
    until_begun(&stopped);
    let report = scope.stop_all().expect("accepted").wait(PATIENCE).expect("a report");
    assert!(report.is_safe(), "{report:?}");
    let end = stopped.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Cancelled(_))), "{end:?}");
    assert_eq!(scope.call(HowOftenSafe {}), Ok(1));
    // Whoever holds it back no longer: it goes on where it was.
    drop(held_back);
    assert_eq!(scope.call(Fill { frames: 100 }), Ok(100));
    end_cleanly(rig);
}
