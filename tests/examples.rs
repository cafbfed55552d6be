//! Every example runs to its end by itself, says what it says it does, and ends with code 0.
//!
//! `cargo test` builds the examples beside this test. The packages below `examples/` have tests of their own.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The examples keep the lease that is usual. Here a coordinator that waits for a busy processor is not to be taken for
/// frozen: the moves would be cancelled.
const LONG_LEASE: [&str; 2] = ["--set", "rig.lease_ms=60000"];

/// Runs an example and looks for these texts, in this order, in what it prints.
fn check_example(name: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(program(name))
        .args([Path::new("--run-dir"), &folder.path().join("run")])
        .args([Path::new("--state-dir"), &folder.path().join("state")])
        .args(LONG_LEASE)
        .output()
        .expect("the example can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    let mut rest: &str = &printed;
    for text in expected {
        let at = rest.find(text).unwrap_or_else(|| panic!("{name} does not say `{text}`:\n{printed}\n{log}"));
        rest = &rest[at + text.len()..];
    }
    assert_eq!(output.status.code(), Some(0), "{name}:\n{printed}\n{log}");
}

fn program(name: &str) -> PathBuf {
    let this = env::current_exe().expect("this test is a program");
    let target =
        this.parent().and_then(Path::parent).expect("tests are built in a folder of the target folder");
    let program = target.join("examples").join(name);
    assert!(program.exists(), "`{name}` is not built: run `cargo test`, or `cargo build --examples` first");
    program
}

#[test]
fn settings_are_changed_within_their_bounds_and_as_their_owner_agrees() {
    check_example(
        "settings",
        &[
            "version: 0",
            "version: 1",
            "exposure_ms: 20",
            "above its maximum of 1000 ms",
            "noise without cooling",
        ],
    );
}

#[test]
fn a_dose_is_given_once_though_its_step_is_run_twice() {
    check_example("doses", &["three doses: given, given before, given", "30 µl in all"]);
}

#[test]
fn hello_manager_asks_its_lamp() {
    check_example("hello_manager", &["the lamp was at 20 %, now it is at 40 %", "ended clean"]);
}

#[test]
fn signals_are_read_in_two_processes_and_waited_for() {
    let hot = ["it is at 180 °C, heating: false", "the door opens: false"];
    let unknown = "no signal is called `oven.temprature_c`; known there: [\"oven.temperature_c\"";
    check_example(
        "signals",
        &[&["it begins at 20 °C", "the door opens: true"], &hot[..], &[unknown]].concat(),
    );
}

#[test]
fn what_a_manager_shares_is_followed_read_and_counted() {
    let expected = [
        "[\"speed_m_s\", \"from_deg\"]",
        "row 10: [",
        "0 rows gave way unread",
        "mast north measures at [2.0, 10.0] m",
        "there were gusts from some direction: true",
        "the set is Complete, with 40 readings",
        "the station counts its readings: true",
    ];
    check_example("shared", &expected);
}

#[test]
fn arrays_are_passed_on_in_shared_memory() {
    let rows = ["1024 rows, the last one with a mean of 1023", "turned and thinned out: 256 rows"];
    check_example("arrays", &[&["a picture of [1024, 1024], in shared memory: true"], &rows[..]].concat());
}

#[test]
fn remote_values_are_used_where_they_are() {
    let expected = [
        "LookupTable@archive#1:1 has Some(50.0) µm at 100",
        "it has 257 heights",
        "`LookupTable::append` was refused: it changes its value, and `LookupTable@archive#1:1` is read-only",
        "plotted up to 100 µm, 3 points",
        "after a restart: `LookupTable::height` was refused: `LookupTable@archive#1:1` is stale, its value is gone",
    ];
    check_example("remote_values", &expected);
}

#[test]
fn procedures_go_on_when_the_process_that_runs_them_has_ended() {
    let steered = ["add_up-1: pause Done", "add_up-1: play Done", "runner: life 2 has begun"];
    check_example(
        "procedures",
        &[&steered[..], &["add_up-1: finished after 3 lives", "the sum is 20100"]].concat(),
    );
}

#[test]
fn tasks_are_passed_on_until_nobody_has_room() {
    let full =
        "plate 4: nobody takes it; night: its queue is full (1 waiting); day: its queue is full (0 waiting)";
    let once = "plate 4: day has it as develop-2";
    let taken = ["plate 1: day has it", "plate 2: night has it", "plate 3: night has it"];
    check_example("tasks", &[&taken[..], &[full, once, once]].concat());
}

#[test]
fn broadcast_prints_the_outcome_of_each_manager() {
    let slow = ["at 20 Hz", "left       a frame every 50 ms", "right      a frame", "spectrum   a frame"];
    let fast =
        ["at 200 Hz", "left       a frame every 5 ms", "right      a frame", "spectrum   refuses: 50 Hz"];
    check_example("broadcast", &[slow, fast].concat());
}

#[test]
fn roles_share_and_override_a_handler() {
    let overridden = "wheel: parked at the dark filter (it left filter 3)";
    check_example(
        "roles",
        &["`Park` needs an address: `shutter` and `wheel` serve it", "shutter: parked at closed", overridden],
    );
}

#[test]
fn a_slow_move_is_watched_to_its_end() {
    let watched = ["moving 600 µm", "50 % done, at 3", "settled at 600.0 µm", "home again, at 0.0 µm"];
    check_example("progress", &[&watched[..], &["2 accepted, 2 done"]].concat());
}

#[test]
fn ctrl_c_takes_a_slow_move_back_and_the_motor_stays_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut example = Command::new(program("progress"))
        .args([Path::new("--run-dir"), &folder.path().join("run")])
        .args([Path::new("--state-dir"), &folder.path().join("state")])
        .args(LONG_LEASE)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example can be run");
    let mut lines = BufReader::new(example.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("25 % done")), "it does not move");
    kill_process(Pid::from_child(&example), Signal::INT).expect("it lives");
    let said: Vec<String> = lines.collect();
    let stopped = said.iter().position(|line| line.starts_with("stopped on the way, at "));
    let home = said.iter().position(|line| line.contains("home again, at 0.0 µm"));
    assert!(stopped.is_some() && stopped < home, "{said:#?}");
    assert_eq!(example.wait().expect("it ends").code(), Some(0), "{said:#?}");
}

#[test]
fn a_window_goes_on_drawing_while_it_asks() {
    let moves = ["click: focus to 150 µm", "replaced by a newer move", "settled at 60.0 µm"];
    let refused = ["outside the travel of 0 to 200 µm", "the longest frame took"];
    check_example("ask_from_gui_thread", &[&moves[..], &refused[..]].concat());
}
