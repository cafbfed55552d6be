//! Starting a rig: what a manager finds, and what is said when it does not become ready.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{PATIENCE, end_cleanly, eventually, fail_to_launch, launch, testbed, topology};
use labrig::{LaunchError, Rig};
use labrig_testbed::commands::*;
use rustix::process::{Pid, Signal, kill_process};

fn describe(rig: &Rig, manager: &str) -> Process {
    rig.scope().to(manager).request(Describe {}).expect("accepted").wait(PATIENCE).expect("done")
}

fn check_failure(config: &str, expected: &[&str]) {
    let error = fail_to_launch(config);
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    for part in expected {
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
}

#[test]
fn a_manager_leads_its_own_process_group_and_inherits_nothing_but_its_pipe() {
    let leaked = fs::File::open("/dev/zero").expect("a file");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("it can be inherited now");
    let rig = launch("[managers.left]\nkind = \"worker\"");
    let process = describe(&rig, "left");
    assert_eq!(process.group, process.pid);
    assert!(!process.descriptors.iter().any(|it| it == "/dev/zero"), "{:?}", process.descriptors);
    let pipes = process.descriptors.iter().filter(|it| it.starts_with("pipe:")).count();
    assert_eq!(pipes, 2, "standard output and error: {:?}", process.descriptors);
    assert!(process.descriptors.iter().any(|it| it == "/dev/null"), "{:?}", process.descriptors);
    drop(leaked);
    end_cleanly(rig);
}

#[test]
fn a_manager_finds_its_environment_and_nobody_else_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = launch(&format!(
        "[managers.left]\nkind = \"worker\"\nenv = {{ TESTBED = \"vendor\" }}\nworking_dir = \"{}\"\n\
         [managers.right]\nkind = \"worker\"",
        folder.path().display()
    ));
    let (left, right) = (describe(&rig, "left"), describe(&rig, "right"));
    assert_eq!(left.variable.as_deref(), Some("vendor"));
    assert_eq!(fs::canonicalize(left.folder).ok(), fs::canonicalize(folder.path()).ok());
    assert_eq!(right.variable, None);
    end_cleanly(rig);
}

/// While it is stopped, its manager says hello, and the time to become ready goes by.
#[test]
fn a_manager_is_not_late_because_its_coordinator_stood_still() {
    const DEADLINE: Duration = Duration::from_secs(3);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let script = format!(
        "case $LABRIG_ROLE in manager*) echo > begun; while ! [ -e go ]; do sleep 0.01; done;; esac; exec '{}'",
        testbed().display()
    );
    let config = format!(
        "schema = 1\n[rig]\nname = \"still\"\nstart_deadline_ms = {}\n[managers.left]\nkind = \"worker\"\n\
         restart_policy = \"never\"\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"{script}\"]\nworking_dir = {:?}\n",
        DEADLINE.as_millis(),
        folder.path()
    );
    fs::write(path("rig.toml"), config).expect("a config");
    let mut coordinator = Command::new(testbed())
        .args(["run", "rig.toml", "--duration", "10ms", "--run-dir", "run", "--state-dir", "state"])
        .current_dir(folder.path())
        .spawn()
        .expect("it runs");
    eventually("its manager", || path("begun").exists());
    let pid = Pid::from_child(&coordinator);
    kill_process(pid, Signal::STOP).expect("it lives");
    fs::write(path("go"), "").expect("a file");
    // Nothing is waited for: time is to go by.
    thread::sleep(DEADLINE + DEADLINE / 2);
    kill_process(pid, Signal::CONT).expect("it lives");
    let end = coordinator.wait().expect("it ends");
    let log = fs::read_to_string(path("run/run.log")).unwrap_or_default();
    assert!(end.success(), "{end}: {log}");
}

#[test]
fn start_up_commands_are_applied_before_the_first_step() {
    let rig = launch(
        "[managers.left]\nkind = \"worker\"\n\
         startup = [{ command = \"Note\", args = { number = 1 } }, { command = \"Note\", args = { number = 2 } }]",
    );
    let scope = rig.scope();
    scope.send(Note { number: 3 }).expect("accepted");
    let notes = scope.request(Notes {}).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(notes, [1, 2, 3]);
    end_cleanly(rig);
}

#[test]
fn a_start_up_command_that_fails_keeps_the_rig_from_starting() {
    check_failure(
        "[managers.left]\nkind = \"worker\"\nstartup = [{ command = \"Fail\", args = { code = 4 } }]",
        &["start-up command `Fail` of `left` was not done", "told to fail with code 4"],
    );
}

#[test]
fn what_set_up_says_is_what_the_launch_says() {
    check_failure(
        "[managers.left]\nkind = \"worker\"\n[managers.left.config]\nsetup = \"fail\"",
        &["`left` could not be set up: the device is not plugged in"],
    );
    check_failure(
        "[managers.left]\nkind = \"worker\"\n[managers.left.config]\nsetup = \"panic\"",
        &["`left` could not be set up: panicked: the driver has a mistake (at", "worker.rs:"],
    );
    check_failure(
        "[managers.left]\nkind = \"worker\"\n[managers.left.config]\nsetup = \"exit\"",
        &["`left` ended during start-up: exit code 7", "a last word"],
    );
}

#[test]
fn a_set_up_that_never_returns_is_ended_at_its_deadline() {
    check_failure(
        "start_deadline_ms = 300\nquit_deadline_ms = 100\n[managers.left]\nkind = \"worker\"\n\
         [managers.left.config]\nsetup = \"sleep\"\n[managers.right]\nkind = \"worker\"",
        &["`left` was not ready within 300ms: its set-up has not returned"],
    );
}

#[test]
fn a_program_that_is_not_a_labrig_program_is_refused_and_never_started_over() {
    let rig = topology("[managers.left]\nkind = \"worker\"\nprogram = \"/bin/true\"");
    match Rig::launch(rig) {
        Err(LaunchError::Refused(report)) => {
            let text = report.to_string();
            assert!(
                text.contains("L202") && text.contains("/bin/true") && text.contains("labrig::main"),
                "{text}"
            );
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
fn a_missing_program_is_refused_by_name() {
    match Rig::launch(topology("[managers.left]\nkind = \"worker\"\nprogram = \"/nowhere/rig\"")) {
        Err(LaunchError::Refused(report)) => {
            assert!(report.to_string().contains("L201"), "{report}");
            assert!(report.to_string().contains("/nowhere/rig"), "{report}");
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
fn managers_start_after_those_they_name() {
    let rig = launch(
        "[managers.a]\nkind = \"worker\"\nafter = [\"b\"]\n[managers.b]\nkind = \"worker\"\nafter = [\"c\"]\n\
         [managers.c]\nkind = \"worker\"",
    );
    let pids: Vec<_> = ["a", "b", "c"].iter().map(|name| describe(&rig, name).pid).collect();
    assert!(pids[2] < pids[1] && pids[1] < pids[0], "{pids:?}");
    end_cleanly(rig);
}

#[test]
fn a_second_rig_on_the_same_state_folder_is_refused_and_says_who_holds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[managers.left]\nkind = \"worker\"";
    let first = Rig::launch(topology(config).state_dir(folder.path())).expect("the first starts");
    match Rig::launch(topology(config).state_dir(folder.path())) {
        Err(LaunchError::Refused(report)) => {
            let text = report.to_string();
            let who =
                format!("the coordinator with process number {} (rig `test`, since 2", std::process::id());
            assert!(text.contains("error[L209]") && text.contains(&who), "{text}");
        }
        other => panic!("{:?}", other.map(drop)),
    }
    end_cleanly(first);
    end_cleanly(Rig::launch(topology(config).state_dir(folder.path())).expect("it is free again"));
}

#[test]
fn a_harness_that_names_no_program_is_told_how_to_name_one() {
    let topology = labrig::Topology::from_toml("schema = 1\n[managers.left]\nkind = \"worker\"");
    match Rig::launch(topology) {
        Err(LaunchError::Refused(report)) => {
            let text = report.to_string();
            assert!(text.contains("L204") && text.contains("CARGO_BIN_EXE_my_rig"), "{text}");
        }
        other => panic!("{:?}", other.map(drop)),
    }
    assert!(testbed().exists());
}

#[test]
fn prints_records_and_panics_of_managers_reach_the_one_log_with_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[managers.left]\nkind = \"worker\"\n[managers.right]\nkind = \"worker\"";
    let rig = Rig::launch(topology(config).run_dir(folder.path())).expect("it starts");
    let scope = rig.scope();
    let print = Print { text: "a\u{1b}[31mb".to_owned(), times: 2 };
    scope.to("left").request(print).expect("accepted").wait(PATIENCE).expect("done");
    let words = "dropped the slide".to_owned();
    scope.to("right").request(Panic { words }).expect("accepted").wait(PATIENCE).expect_err("panics");
    end_cleanly(rig);
    let log = fs::read_to_string(folder.path().join("run.log")).expect("a log");
    for line in ["INFO  left#1: out: a\\u{1b}[31mb", "INFO  left#1: err: a\\u{1b}[31mb"] {
        assert_eq!(log.matches(line).count(), 2, "{line} in {log}");
    }
    assert_eq!(log.matches("log: a\\u{1b}[31mb").count(), 2, "{log}");
    assert!(log.contains("right#1: dropped the slide"), "{log}");
}
