//! The rig as its users meet it: real processes, played by this crate's own program.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use labrig::{Rig, Topology};
use my_rig::{BrightnessSet, Flash, LampError, SaveNote, SetBrightness};

const PATIENCE: Duration = Duration::from_secs(30);

fn launch() -> Rig {
    let topology = Topology::from_file("rig.toml").expect("the config can be read");
    let topology = topology.program(env!("CARGO_BIN_EXE_my_rig"));
    Rig::launch(topology).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_lamp_says_what_it_was_before() {
    let rig = launch();
    let set = rig.scope().request(SetBrightness { percent: 40.0 }).expect("the lamp takes commands");
    let set = set.wait(PATIENCE).expect("40 % is allowed");
    assert_eq!(set, BrightnessSet { percent: 40.0, was_percent: 25.0 });
    assert!(rig.shutdown().is_clean);
}

#[test]
fn too_bright_a_lamp_is_refused_with_its_limit() {
    let rig = launch();
    let set = rig.scope().request(SetBrightness { percent: 95.0 }).expect("the lamp takes commands");
    let error = set.wait(PATIENCE).expect_err("95 % is too bright");
    let expected = LampError::TooBright { percent: 95.0, limit_percent: 80.0 };
    assert_eq!(error.downcast::<LampError>(), Some(expected));
}

#[test]
fn notes_are_in_the_run_s_folder() {
    let rig = launch();
    rig.scope().send(Flash { duration_ms: 5 }).expect("the lamp takes commands");
    let note = rig.scope().request(SaveNote { text: "a flash".to_owned() }).expect("the notebook is open");
    assert_eq!(note.wait(PATIENCE), Ok(1));
    let notes = std::fs::read_to_string(rig.run_dir().join("notes.txt")).expect("the notebook");
    assert_eq!(notes, "a flash\n");
}

#[test]
fn a_session_that_fails_ends_the_program_with_code_1() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("short_travel");
    let program = Command::new(env!("CARGO_BIN_EXE_my_rig"))
        .args(["--quiet", "--set", "managers.motor.config.max_um=10"])
        .args([Path::new("--run-dir"), &folder, Path::new("--state-dir"), &folder])
        .output()
        .expect("the program can be run");
    let text = String::from_utf8_lossy(&program.stderr);
    assert!(text.contains("height 12 µm is outside the travel of 0 to 10 µm"), "{text}");
    assert_eq!(program.status.code(), Some(1), "{text}");
}
