//! `labrig check --live`: one manager alone, its self-checks, and an exit code that tells.

use std::fs;
use std::path::Path;

use labrig::Rig;
use labrig::Topology;
use serde_json::Value;

use crate::pictures::{folder_of, truncate};
use crate::support::{LONG_LEASE, PATIENCE, end_cleanly, labrig, program, stderr, stdout};

fn check_live(config: &str, manager: &str, code: i32, says: &[&str]) {
    let work = tempfile::tempdir().expect("a folder");
    fs::write(work.path().join("rig.toml"), format!("schema = 1\n{config}")).expect("a config");
    let output = labrig(work.path(), &["check", "rig.toml", "--live", manager]);
    let text = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in says {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(!work.path().join("runs").exists(), "a check leaves no run behind");
}

const MOTOR: &str = "[rig]\nlease_ms = 60000\n[managers.stage]\nkind = \"motor.sim\"\n[managers.cam]\nkind = \"camera.sim\"\n\
                     [streams.video]\nproducer = \"cam\"\n[managers.tracker]\nkind = \"tracker\"\n";

/// A rig that plays a folder, and would quit when that is done.
fn replay(images: &Path) -> String {
    format!(
        "[managers.cam]\nkind = \"camera.replay\"\n[managers.cam.config]\npath = {images:?}\n\
         [streams.video]\nproducer = \"cam\"\n"
    )
}

#[test]
fn the_built_in_managers_pass_their_self_checks() {
    check_live(
        MOTOR,
        "stage",
        0,
        &["height_is_within_travel", "moves_and_comes_back", "stage: set up; 2 of 2 self-checks passed"],
    );
    check_live(MOTOR, "cam", 0, &["takes_a_frame", "1 of 1 self-checks passed; ended clean"]);
    check_live(MOTOR, "tracker", 0, &["its kind declares no self-checks; ended clean"]);
    let images = folder_of(3);
    check_live(&replay(images.path()), "cam", 0, &["first_image_is_readable", "1 of 1 self-checks passed"]);
}

#[test]
fn a_check_that_does_not_pass_is_told_with_its_reason_and_by_the_exit_code() {
    let images = folder_of(3);
    truncate(&images.path().join("frame_0.png"));
    check_live(
        &replay(images.path()),
        "cam",
        3,
        &["FAILED", "frame_0.png", "1 of 1 self-checks FAILED; ended clean"],
    );
    let broken = format!("{MOTOR}[managers.stage.config]\nmin_um = 5.0\nmax_um = 1.0\nstart_um = 2.0\n");
    check_live(&broken, "stage", 5, &["`stage` could not be set up", "the travel is empty"]);
}

#[test]
fn whoever_is_to_be_checked_must_be_one_of_the_rig() {
    check_live(MOTOR, "laser", 64, &["no manager is called `laser`", "`cam`, `stage`, `tracker`"]);
    check_live("[managers.stage]\nkind = \"motor\"\n", "stage", 2, &["error[L100]"]);
}

#[test]
fn machines_get_each_check_with_its_outcome_and_time() {
    let work = tempfile::tempdir().expect("a folder");
    let output = labrig(work.path(), &["check", "--live", "motor", "--json", "--set", LONG_LEASE]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!((&report["passed"], &report["failed"]), (&Value::Bool(true), &Value::from(0)));
    assert_eq!(report["checks"][0]["name"], "height_is_within_travel");
    assert!(report["checks"][1]["took_ms"].as_f64().is_some_and(|took| took > 0.0), "{report}");
}

#[test]
fn a_camera_that_is_started_alone_fills_its_stream() {
    let text = format!("schema = 1\n{MOTOR}");
    let rig = Rig::builder(Topology::from_toml(text).program(program())).alone("cam");
    let rig = rig.launch().expect("it starts");
    rig.scope().self_check("cam", "takes_a_frame").expect("accepted").wait(PATIENCE).expect("passes");
    let mut video = rig.scope().stream("video").expect("it is there");
    assert!(video.latest(PATIENCE).expect("joined").is_some());
    let summary = end_cleanly(rig);
    assert!(summary.streams[0].published > 0, "{summary:?}");
}
