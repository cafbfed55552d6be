//! The notebook in the coordinator, and the program as a person starts it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use labrig::{Rig, Topology};
use my_rig::SaveNote;

#[test]
fn notes_are_in_the_run_s_folder() {
    let topology = Topology::from_file("rig.toml").expect("the config can be read");
    let rig = Rig::launch(topology.program(env!("CARGO_BIN_EXE_my_rig"))).expect("the rig starts");
    let pending =
        rig.scope().request(SaveNote { text: "it works".to_owned() }).expect("the notebook is open");
    assert_eq!(pending.wait(Duration::from_secs(30)), Ok(1));
    let notes = std::fs::read_to_string(rig.run_dir().join("notes.txt")).expect("the notebook");
    assert_eq!(notes, "it works\n");
}

/// Runs the program itself, as a person does, in folders of its own.
fn check_program(folder: &str, options: &[&str], code: i32, expected: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let program = Command::new(env!("CARGO_BIN_EXE_my_rig"))
        .args(options)
        .args([Path::new("--run-dir"), &folder, Path::new("--state-dir"), &folder])
        .output()
        .expect("the program can be run");
    let text = [program.stdout, program.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(expected), "{text}");
    assert_eq!(program.status.code(), Some(code), "{text}");
}

#[test]
fn the_program_runs_to_its_end() {
    check_program("program", &[], 0, "the lamp shines at 40 % instead of 25 %\n80 % is its limit\n");
}

#[test]
fn a_start_up_command_that_fails_keeps_the_rig_from_starting() {
    let limit = ["--set", "managers.lamp.config.limit_percent=10"];
    check_program("limit", &limit, 5, "25 % is more than the 10 % allowed");
}
