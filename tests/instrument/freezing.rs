//! A coordinator that is frozen: what moves is stopped by its manager alone, and goes on when it is told to.

use std::thread;
use std::time::Instant;

use labrig::managers::chaos::read_journal;
use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::verbs::Running;

/// Beside a busy machine's other work the coordinator is late, too, but not by so much.
const LEASE_MS: &str = "3000";

#[test]
fn managers_that_may_move_become_safe_while_their_coordinator_is_frozen_and_the_others_sleep() {
    let folder = tempfile::tempdir().expect("a folder");
    let (moving, still) = (folder.path().join("moving"), folder.path().join("still"));
    let manager = |name: &str, journal| {
        format!("[managers.{name}]\nkind = \"chaos.sim\"\n[managers.{name}.config]\njournal = {journal:?}\n")
    };
    let config = manager("moving", &moving) + &manager("still", &still);
    let rig = Running::with_lease(folder.path(), "freezing", LEASE_MS, &config);
    rig.check_verb(&["call", "Work", "duration_ms=1", "--to", "moving"], 0);
    rig.signal(Signal::STOP);
    let begin = Instant::now();
    let reasons = |journal| {
        let entries = read_journal(journal).expect("a journal");
        entries.into_iter().map(|entry| entry.reason).collect::<Vec<_>>()
    };
    while reasons(&moving).is_empty() {
        assert!(begin.elapsed() < PATIENCE, "nobody noticed that the coordinator is frozen");
        thread::yield_now();
    }
    println!("figure: from the freeze to the safe state: {:?}", begin.elapsed());
    assert_eq!(reasons(&moving), ["the coordinator is frozen"]);
    rig.signal(Signal::CONT);
    let status = rig.check_json(&["status"], 0);
    let states = |name: &str| {
        let managers = status["status"]["managers"].as_array().expect("a list");
        managers
            .iter()
            .find(|it| it["name"] == name)
            .map(|it| (it["state"].clone(), it["generation"].clone()))
    };
    assert_eq!(states("moving"), Some(("safe".into(), 1.into())), "{status}");
    assert_eq!(states("still"), Some(("ready".into(), 1.into())), "{status}");
    assert_eq!(reasons(&still), [""; 0], "it had nothing to leave");
    rig.check_verb(&["call", "Work", "duration_ms=1", "--to", "moving"], 0);
    rig.quit();
}
