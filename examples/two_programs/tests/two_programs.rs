//! A rig of two programs, as real processes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use labrig::{LaunchError, Rig, Topology};
use two_programs::{Expose, Exposed};

const PATIENCE: Duration = Duration::from_secs(30);

fn topology(shutter: &str) -> Topology {
    let topology = Topology::from_file("rig.toml").expect("the config can be read");
    topology.program(env!("CARGO_BIN_EXE_desk")).set("managers.shutter.program", shutter)
}

#[test]
fn a_manager_calls_one_of_another_program() {
    let rig =
        Rig::launch(topology(env!("CARGO_BIN_EXE_shutter_driver"))).unwrap_or_else(|error| panic!("{error}"));
    let exposed = rig.scope().request(Expose { duration_ms: 1 }).expect("the lamp takes commands");
    let expected = Exposed { lamp: "desk".to_owned(), shutter: "shutter_driver".to_owned() };
    assert_eq!(exposed.wait(PATIENCE), Ok(expected));
    assert!(rig.shutdown().is_clean);
}

#[test]
fn a_program_that_is_not_there_is_a_fault_before_anything_starts() {
    match Rig::launch(topology("no/such/program")) {
        Err(LaunchError::Refused(report)) => {
            let text = report.to_string();
            assert!(text.contains("no/such/program") && text.contains("rig.toml"), "{text}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn what_fails_beside_the_rig_ends_the_program_with_code_1() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("impatient");
    let shutter = concat!("managers.shutter.program=", env!("CARGO_BIN_EXE_shutter_driver"));
    let program = Command::new(env!("CARGO_BIN_EXE_desk"))
        .args(["run", "rig.toml", "--set", shutter, "--set", "rig.default_deadline_ms=10"])
        .args([Path::new("--run-dir"), &folder, Path::new("--state-dir"), &folder])
        .output()
        .expect("the program can be run");
    let text = String::from_utf8_lossy(&program.stderr);
    assert!(text.contains("error: `Expose`"), "{text}");
    assert_eq!(program.status.code(), Some(1), "{text}");
}
