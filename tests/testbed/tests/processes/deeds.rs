//! Deeds that are asked for by a key: whenever their manager dies, it knows afterwards what it had begun and done.

use std::fs;
use std::path::Path;

use labrig::Rig;
use labrig::wire::IdempotencyKey;
use labrig_testbed::careful::*;

use crate::restarts::until_in_life;
use crate::support::{PATIENCE, end_cleanly, topology};

fn launch_in(folder: &Path) -> Rig {
    let file = folder.join("deeds.txt");
    let config = format!(
        "[managers.hand]\nkind = \"careful\"\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 10\n\
         max_restarts = 100\nconfig = {{ file = {file:?} }}\n"
    );
    Rig::launch(topology(&config).state_dir(folder.join("state"))).expect("it starts")
}

fn key(step: u64) -> IdempotencyKey {
    IdempotencyKey { procedure: "scan-1".to_owned(), step, index: 0 }
}

fn ask(rig: &Rig, step: u64, dies: Dies) -> Result<String, labrig::CallError> {
    rig.scope().request(DoOnce { key: key(step), dies }).expect("accepted").wait(PATIENCE)
}

/// How often the deed was done.
fn count(folder: &Path, step: u64) -> usize {
    let text = fs::read_to_string(folder.join("deeds.txt")).unwrap_or_default();
    text.lines().filter(|line| *line == key(step).to_string()).count()
}

#[test]
fn whenever_a_manager_dies_it_knows_afterwards_what_was_begun_and_what_was_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = launch_in(folder.path());
    let deaths = [
        (Dies::BeforeTheDeed, "Started", 1),
        (Dies::AfterTheDeed, "Started", 2),
        (Dies::AfterTheMark, "Done", 1),
    ];
    for (step, (dies, seen, times)) in (1..).zip(deaths) {
        assert!(ask(&rig, step, dies).is_err(), "it has died");
        until_in_life(&rig, "hand", step as u32 + 1);
        assert_eq!(ask(&rig, step, Dies::Never).expect("it lives").as_str(), seen, "{dies:?}");
        assert_eq!(count(folder.path(), step), times, "{dies:?}");
    }
    rig.shutdown();
}

#[test]
fn what_was_done_is_known_in_the_next_run_of_the_rig() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = launch_in(folder.path());
    assert_eq!(ask(&rig, 1, Dies::Never).expect("done"), "New");
    assert_eq!(ask(&rig, 1, Dies::Never).expect("done"), "Done");
    end_cleanly(rig);
    let rig = launch_in(folder.path());
    assert_eq!(ask(&rig, 1, Dies::Never).expect("done"), "Done");
    assert_eq!(count(folder.path(), 1), 1);
    end_cleanly(rig);
}
