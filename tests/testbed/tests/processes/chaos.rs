//! Misdeeds: what is promised of each, on real processes.
//!
//! The manager that misbehaves is labrig's own `chaos.sim`; a `worker` beside it shows that nobody else is disturbed.

use std::path::Path;

use crate::support::{PATIENCE, end_cleanly, eventually, launch};
use labrig::managers::chaos::{
    Aftermath, ChaosError, Drip, Misbehave, Misdeed, WhatWasDone, Work, read_journal,
};
use labrig::{CallError, PendingReply, Rig};
use labrig_testbed::commands::Add;

const CONFIG: &str = "[managers.bad]\nkind = \"chaos.sim\"\n[managers.other]\nkind = \"worker\"\n";

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
    let rig = launch(CONFIG);
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

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn a_child_that_a_manager_leaves_behind_is_gone_with_the_rig() {
    let rig = launch(CONFIG);
    let aftermath = tell(&rig, Misdeed::KeepPipe).wait(PATIENCE).expect("a child");
    let child = aftermath.left_behind[0];
    assert!(is_alive(child));
    check_undisturbed(&rig);
    end_cleanly(rig);
    eventually("the child's end", || !is_alive(child));
}

#[test]
fn a_manager_that_leaks_descriptors_takes_none_from_the_coordinator() {
    let rig = launch(CONFIG);
    let count = |of: &str| std::fs::read_dir(format!("/proc/{of}/fd")).expect("a list").count();
    let before = count("self");
    assert_eq!(tell(&rig, Misdeed::LeakDescriptors { count: 500 }).wait(PATIENCE).expect("done").count, 500);
    let bad = crate::support::pid_of(&rig, "bad").as_raw_nonzero().to_string();
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
