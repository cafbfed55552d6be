//! Settings: checked, taken or refused by their owner, kept for its next life, seen by others, and set by the command line.

use std::fs;
use std::process::Command;

use labrig::remote::{SettingsError, SettingsRefusal};
use labrig::{Rig, Scope};
use labrig_testbed::commands::TestError;
use labrig_testbed::tuned::*;
use serde_json::Value;

use crate::restarts::{kill, until_in_life};
use crate::support::{PATIENCE, end_cleanly, launch, testbed};

const TWO: &str = "[managers.left]\nkind = \"tuned\"\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 10\n\
                   [managers.right]\nkind = \"tuned\"\n";

fn given(scope: &Scope, manager: &str) -> Vec<f64> {
    scope.to(manager).request(WhatWasGiven {}).expect("accepted").wait(PATIENCE).expect("done")
}

fn expose(scope: &Scope, exposure_ms: f64) -> Result<u64, SettingsError> {
    let change = |tuning: &mut Tuning| tuning.exposure_ms = exposure_ms;
    scope.change_settings("left", change).map(|now| now.version)
}

#[test]
fn settings_begin_with_their_defaults_and_each_change_has_a_version() {
    let rig = launch(TWO);
    let scope = rig.scope();
    let first = scope.settings::<Tuning>("left").expect("told");
    assert_eq!((first.version, first.settings), (0, Tuning::default()));
    assert_eq!(expose(&scope, 7.0).expect("it fits"), 1);
    assert_eq!(expose(&scope, 7.0).expect("it is no change"), 1);
    assert_eq!(expose(&scope, 8.0).expect("it fits"), 2);
    assert_eq!(given(&scope, "left"), [5.0, 7.0, 8.0]);
    assert_eq!(given(&scope, "right"), [5.0]);
    end_cleanly(rig);
}

#[test]
fn what_is_out_of_bounds_or_refused_by_the_owner_changes_nothing() {
    let rig = launch(TWO);
    let scope = rig.scope();
    let Err(SettingsError::Call(error)) = expose(&scope, 200.0) else { panic!("it is out of bounds") };
    let Some(SettingsRefusal::Unfit { faults }) = error.downcast() else { panic!("{error}") };
    let expected = "`left.exposure_ms` is 200 ms, above its maximum of 100 ms";
    assert!(faults.len() == 1 && faults[0].starts_with(expected), "{faults:?}");
    let Err(SettingsError::Call(error)) = expose(&scope, 13.0) else { panic!("the owner refuses it") };
    assert_eq!(error.downcast(), Some(TestError::Told { code: 13 }));
    let now = scope.settings::<Tuning>("left").expect("told");
    assert_eq!((now.version, now.settings), (0, Tuning::default()));
    assert_eq!(given(&scope, "left"), [5.0]);
    end_cleanly(rig);
}

#[test]
fn a_change_wakes_whoever_waits_for_the_version() {
    let rig = launch(TWO);
    let scope = rig.scope();
    let mut version = scope.signal::<u64>("left.settings_version").expect("it is published");
    assert_eq!(version.read().expect("published").value, 0);
    let waiter = std::thread::spawn(move || version.wait_until(|version| *version == 1, PATIENCE));
    expose(&scope, 6.0).expect("it fits");
    assert_eq!(waiter.join().expect("no panic").expect("it came").value, 1);
    end_cleanly(rig);
}

#[test]
fn the_next_life_goes_on_with_what_was_in_force() {
    let rig = launch(TWO);
    let scope = rig.scope();
    expose(&scope, 9.5).expect("it fits");
    kill(&rig, "left");
    until_in_life(&rig, "left", 2);
    let now = scope.settings::<Tuning>("left").expect("told");
    assert_eq!((now.version, now.settings.exposure_ms), (1, 9.5));
    assert_eq!(given(&scope, "left"), [9.5]);
    rig.shutdown();
}

#[test]
fn changes_from_many_threads_at_once_are_all_made() {
    let rig = launch(TWO);
    let change = |scope: Scope| {
        let widen = |tuning: &mut Tuning| tuning.region.width += 1;
        (0..20).for_each(|_| drop(scope.change_settings("left", widen).expect("it fits")));
    };
    std::thread::scope(|threads| {
        (0..4).for_each(|_| drop(threads.spawn(|| change(rig.scope()))));
    });
    let now = rig.scope().settings::<Tuning>("left").expect("told");
    assert_eq!((now.version, now.settings.region.width), (80, 720));
    end_cleanly(rig);
}

/// What a verb prints on standard output, and on standard error.
fn settings(rig: &Rig, words: &[&str], code: i32) -> (String, String) {
    let mut command = Command::new(testbed());
    command.arg("settings").args(words).arg("--rig").arg(rig.socket());
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{words:?}: {out}{err}");
    (out, err)
}

fn check_refused(rig: &Rig, words: &[&str], code: i32, parts: &[&str]) {
    let (_, err) = settings(rig, words, code);
    parts.iter().for_each(|part| assert!(err.contains(part), "`{part}` is not in {err}"));
}

#[test]
fn the_command_line_shows_and_sets_and_says_what_was_meant() {
    let rig = launch(TWO);
    let (shown, _) = settings(&rig, &["show"], 0);
    let line = shown.lines().find(|line| line.starts_with("left.exposure_ms")).expect("it is shown");
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[..4], ["left.exposure_ms", "5", "ms", "0.5..100"], "{shown}");
    settings(&rig, &["set", "left", "exposure_ms=2.5", "region.width=100"], 0);
    let now = rig.scope().settings::<Tuning>("left").expect("told").settings;
    assert_eq!((now.exposure_ms, now.region), (2.5, Region { width: 100, height: 480 }));
    let (told, _) = settings(&rig, &["show", "left", "--json"], 0);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["managers"][0]["version"], 1);
    assert_eq!(told["managers"][0]["settings"][0]["value"], 2.5);
    check_refused(&rig, &["set", "lefd", "exposure_ms=1"], 2, &["`lefd`", "did you mean `left`?"]);
    let unknown = ["unknown key `exposure` in `left`", "did you mean `exposure_ms`?"];
    check_refused(&rig, &["set", "left", "exposure=1"], 1, &unknown);
    let bounds = ["`left.exposure_ms` is 0.1 ms, below its minimum of 0.5 ms", "0.5", "100"];
    check_refused(&rig, &["set", "left", "exposure_ms=0.1"], 1, &bounds);
    check_refused(&rig, &["set", "left", "exposure_ms=1", "--if-version", "0"], 1, &["version 1 by now"]);
    end_cleanly(rig);
}

#[test]
fn an_export_is_imported_as_a_whole_or_not_at_all() {
    let (rig, folder) = (launch(TWO), tempfile::tempdir().expect("a folder"));
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    settings(&rig, &["set", "right", "exposure_ms=50", "note=dim"], 0);
    settings(&rig, &["export", "--to", &path("all.toml")], 0);
    settings(&rig, &["set", "right", "exposure_ms=1"], 0);
    settings(&rig, &["import", &path("all.toml")], 0);
    let right = |rig: &Rig| rig.scope().settings::<Tuning>("right").expect("told").settings;
    assert_eq!((right(&rig).exposure_ms, right(&rig).note.as_deref()), (50.0, Some("dim")));
    let wrong = "[left]\nexposure_ms = 1000\n[right]\nexposure_ms = 3\nregion = { width = 0 }\n";
    fs::write(path("wrong.toml"), wrong).expect("it can be written");
    let parts = ["`left.exposure_ms` is 1000 ms", "`right.region.width` is 0 px"];
    check_refused(&rig, &["import", &path("wrong.toml")], 1, &parts);
    assert_eq!(right(&rig).exposure_ms, 50.0);
    fs::write(path("trial.toml"), "[right]\nexposure_ms = 3\n").expect("it can be written");
    settings(&rig, &["import", "--dry-run", &path("trial.toml")], 0);
    assert_eq!(right(&rig).exposure_ms, 50.0);
    end_cleanly(rig);
}
