//! `labrig env`: an environment is tried before it is saved, and then found by the rig.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use labrig::config::EnvironmentStore;
use serde_json::Value;

use crate::support::{labrig, program, stderr, stdout};

const RIG: &str = "schema = 1\n[rig]\nname = \"bench\"\nlease_ms = 60000\n[managers.stage]\nkind = \"motor.sim\"\n\
                   [managers.stage.config]\nmax_um = 100.0\n";

/// A folder with a rig in it.
fn bench() -> tempfile::TempDir {
    let work = tempfile::tempdir().expect("a folder");
    fs::write(work.path().join("rig.toml"), RIG).expect("a config");
    work
}

fn env(work: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["env"];
    all.extend(arguments);
    all.extend(["--config", "rig.toml", "--state-dir", "kept"]);
    labrig(work, &all)
}

/// What the verb says, when it ends with that code.
fn check(work: &Path, arguments: &[&str], code: i32) -> String {
    let output = env(work, arguments);
    let text = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

fn stored(work: &Path) -> Vec<String> {
    EnvironmentStore::of(&work.join("kept")).names().expect("a list")
}

#[test]
fn an_environment_is_created_listed_shown_activated_used_and_removed() {
    let work = bench();
    let create = [
        "create",
        "slow",
        "--manager",
        "stage",
        "--set",
        "env.SPEED=low",
        "--set",
        "startup=[{ command = \"Home\" }]",
    ];
    let text = check(work.path(), &create, 0);
    assert!(text.contains("2 of 2 self-checks passed") && text.contains("saved as `slow`"), "{text}");
    let text = check(work.path(), &["show", "slow"], 0);
    assert!(text.contains("tried with stage") && text.contains("env = {\"SPEED\":\"low\"}"), "{text}");
    assert!(!text.contains("LABRIG"), "what only the trial had is not stored: {text}");
    check(work.path(), &["activate", "slow"], 0);
    let list: Value = serde_json::from_str(&check(work.path(), &["list", "--json"], 0)).expect("JSON");
    assert_eq!(list[0]["is_active"], true);
    assert_eq!((&list[0]["tried_with"][0], &list[0]["used_by"][0]), (&"stage".into(), &"stage".into()));
    let text = check(work.path(), &["list"], 0);
    assert!(text.starts_with("* slow") && text.contains("used by stage"), "{text}");
    let text = check(work.path(), &["remove", "slow"], 1);
    assert!(text.contains("`slow` is the active environment"), "{text}");
    let checked = labrig(work.path(), &["check", "rig.toml", "--state-dir", "kept"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    check(work.path(), &["activate", "--none"], 0);
    check(work.path(), &["remove", "slow"], 0);
    assert!(check(work.path(), &["list"], 0).contains("no environment is stored"));
}

#[test]
fn an_environment_that_does_not_work_is_not_saved() {
    let work = bench();
    let try_it = |set: &str, code| {
        let text = check(work.path(), &["create", "bad", "--manager", "stage", "--set", set], code);
        assert!(stored(work.path()).is_empty(), "{text}");
        text
    };
    assert!(try_it("program=/nowhere/motors", 2).contains("L201"));
    assert!(try_it("nice=99", 2).contains("L006"));
    assert!(try_it("startup=[{ command = \"Fly\" }]", 2).contains("L120"));
    let text = try_it("startup=[{ command = \"MoveTo\", args = { height_um = 500.0 } }]", 5);
    assert!(text.contains("start-up command `MoveTo`"), "{text}");
    let text = try_it("nicety=1", 64);
    assert!(text.contains("`nicety` is no key of an environment"), "{text}");
    let text = check(work.path(), &["create", "bad", "--manager", "lamp", "--set", "nice=1"], 64);
    assert!(text.contains("no manager is called `lamp`") && stored(work.path()).is_empty(), "{text}");
    let text = check(work.path(), &["create", "../bad", "--manager", "stage"], 1);
    assert!(text.contains("../bad") && !work.path().join("kept/bad.toml").exists(), "{text}");
}

#[test]
fn an_environment_is_replaced_only_when_that_is_asked_for() {
    let work = bench();
    check(work.path(), &["create", "slow", "--manager", "stage", "--set", "env.SPEED=low"], 0);
    let text = check(work.path(), &["create", "slow", "--manager", "stage", "--set", "env.SPEED=high"], 1);
    assert!(text.contains("there is an environment `slow` already"), "{text}");
    assert!(check(work.path(), &["show", "slow"], 0).contains("low"));
    check(work.path(), &["create", "slow", "--manager", "stage", "--set", "env.SPEED=high", "--replace"], 0);
    assert!(check(work.path(), &["show", "slow"], 0).contains("high"));
}

#[test]
fn a_session_of_another_process_is_waited_for_by_nobody_and_named() {
    let work = bench();
    check(work.path(), &["create", "slow", "--manager", "stage"], 0);
    let store = EnvironmentStore::of(&work.path().join("kept"));
    let session = store.session().expect("nobody else has one");
    let held = format!("the process with number {}", std::process::id());
    for deed in [&["remove", "slow"][..], &["activate", "slow"], &["create", "fast", "--manager", "stage"]] {
        let text = check(work.path(), deed, 1);
        assert!(text.contains(&held), "{deed:?}: {text}");
    }
    assert!(check(work.path(), &["list"], 0).contains("slow"), "reading needs no session");
    drop(session);
    check(work.path(), &["remove", "slow"], 0);
}

#[test]
fn a_session_within_a_session_is_refused() {
    let work = bench();
    let output = Command::new(program())
        .args(["env", "activate", "--none", "--config", "rig.toml", "--state-dir", "kept"])
        .current_dir(work.path())
        .env("LABRIG_ENV_SESSION", "slow")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("sessions do not nest"), "{}", stderr(&output));
}
