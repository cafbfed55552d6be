//! Deaths and quits: who notices, what is said, what is left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{PATIENCE, end_cleanly, eventually, launch, pid_of, testbed, until_begun};
use labrig::{CallError, Refusal};
use labrig_testbed::commands::*;
use labrig_testbed::study::ScopeSleeps;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const TWO_WORKERS: &str = "[managers.left]\nkind = \"worker\"\n[managers.right]\nkind = \"worker\"";

#[test]
fn a_death_ends_what_was_taken_as_indeterminate_and_what_was_not_as_lost() {
    let rig = launch(TWO_WORKERS);
    let scope = rig.scope();
    let taken = scope.to("left").request(Sleep { duration_ms: 60_000 }).expect("accepted");
    eventually("the handler", || rig.status().is_some_and(|status| status.managers[0].state == "busy"));
    let queued = scope.to("left").request(Add { a: 1, b: 1 }).expect("accepted");
    kill_process(pid_of(&rig, "left"), Signal::KILL).expect("it lives");
    assert!(matches!(taken.wait(PATIENCE), Err(CallError::Indeterminate(facts)) if facts.manager == "left"));
    assert!(matches!(queued.wait(PATIENCE), Err(CallError::Lost(facts)) if facts.command == "Add"));
    let refused = scope.to("left").send(Note { number: 1 });
    assert!(matches!(refused, Err(Refusal::Dead { .. })), "{refused:?}");
    let sum = scope.to("right").request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(sum, 3);
    let summary = rig.shutdown();
    let failed: Vec<_> = summary.failed().collect();
    assert_eq!(failed, [("left", "ended by itself: signal 9 (SIGKILL), while at `Sleep`")]);
}

#[test]
fn a_manager_that_exits_is_reported_with_its_code_and_command() {
    let rig = launch(TWO_WORKERS);
    let ended = rig.scope().to("right").request(Exit { code: 9 }).expect("accepted").wait(PATIENCE);
    assert!(matches!(ended, Err(CallError::Indeterminate(_))), "{ended:?}");
    eventually("the report", || rig.status().is_some_and(|status| status.managers[1].state == "failed"));
    let summary = rig.shutdown();
    assert_eq!(
        summary.failed().collect::<Vec<_>>(),
        [("right", "ended by itself: exit code 9, while at `Exit`")]
    );
}

#[test]
fn one_way_commands_that_died_in_the_queue_are_counted() {
    let rig = launch(TWO_WORKERS);
    let scope = rig.scope();
    let left = pid_of(&rig, "left");
    kill_process(left, Signal::STOP).expect("it lives");
    for number in 0..50 {
        scope.to("left").send(Note { number }).expect("accepted");
    }
    kill_process(left, Signal::KILL).expect("it lives");
    eventually("the count", || rig.status().is_some_and(|status| status.totals.undelivered == 50));
    assert!(rig.shutdown().has_losses());
}

#[test]
fn a_one_way_command_that_fails_is_logged_by_its_name() {
    let rig = launch("[managers.left]\nkind = \"worker\"");
    rig.scope().send(Fail { code: 7 }).expect("accepted");
    let log = rig.run_dir().join("run.log");
    eventually("the record", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("the one-way command `Fail` failed"))
    });
    end_cleanly(rig);
}

#[test]
fn any_manager_may_begin_the_quit_and_a_second_one_is_harmless() {
    let rig = launch(TWO_WORKERS);
    let scope = rig.scope();
    scope.to("left").send(QuitRig {}).expect("accepted");
    scope.quit();
    scope.quit();
    assert!(rig.wait(Some(PATIENCE)));
    let refused = scope.to("left").send(Note { number: 1 });
    assert!(matches!(refused, Err(Refusal::Closed)), "{refused:?}");
    assert!(rig.status().is_none());
    end_cleanly(rig);
}

#[test]
fn after_the_shutdown_every_call_is_refused_as_closed() {
    let rig = launch(TWO_WORKERS);
    let scope = rig.scope();
    end_cleanly(rig);
    assert!(matches!(scope.to("left").send(Note { number: 1 }), Err(Refusal::Closed)));
    assert!(matches!(scope.request(KeepNote { text: String::new() }).map(drop), Err(Refusal::Closed)));
    assert!(matches!(scope.ping("left", PATIENCE), Err(CallError::Refused(Refusal::Closed))));
}

#[test]
fn a_handler_of_the_scope_that_runs_may_finish_before_the_rig_ends() {
    let rig = launch(TWO_WORKERS);
    let scope = rig.scope();
    let running = scope.request(ScopeSleeps { duration_ms: 300 }).expect("accepted");
    until_begun(&running);
    let queued = scope.request(ScopeSleeps { duration_ms: 300 }).expect("accepted");
    end_cleanly(rig);
    assert_eq!(running.try_value(), Some(Ok(())));
    let refused = queued.try_value();
    assert!(matches!(refused, Some(Err(CallError::Refused(Refusal::Quitting { .. })))), "{refused:?}");
}

#[test]
fn a_thousand_calls_in_flight_all_end_when_the_rig_quits() {
    let rig = launch("[managers.left]\nkind = \"worker\"\n[managers.right]\nkind = \"worker\"");
    let scope = rig.scope();
    let left = scope.to("left");
    let mut pending = vec![left.request(Sleep { duration_ms: 200 }).expect("accepted")];
    pending.extend((0..999).map(|_| left.request(Sleep { duration_ms: 1 }).expect("accepted")));
    let summary = rig.shutdown();
    assert!(summary.is_clean, "{summary:#?}");
    for call in pending {
        let end = call.wait(std::time::Duration::ZERO);
        assert!(!matches!(end, Err(CallError::NoAnswerYet { .. })), "{end:?}");
    }
    let totals = summary.totals;
    assert_eq!(totals.done + totals.refused, 1000, "{totals:?}");
}

#[test]
fn a_manager_that_does_not_end_is_terminated_and_named() {
    let rig = launch(
        "quit_deadline_ms = 200\n[managers.left]\nkind = \"worker\"\n[managers.right]\nkind = \"worker\"",
    );
    let _stuck = rig.scope().to("left").request(Sleep { duration_ms: 600_000 }).expect("accepted");
    eventually("the handler", || rig.status().is_some_and(|status| status.managers[0].state == "busy"));
    let summary = rig.shutdown();
    let failed: Vec<_> = summary.failed().collect();
    assert_eq!(failed, [("left", "did not end before the quit deadline")]);
}

/// A rig that runs in a process of its own.
struct Coordinator {
    process: Child,
    folder: tempfile::TempDir,
    managers: Vec<Pid>,
}

impl Coordinator {
    fn start(managers: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("rig.toml");
        fs::write(&config, format!("schema = 1\n[rig]\nname = \"own\"\n{managers}")).expect("a config");
        let mut process = Command::new(testbed())
            .args(["run", "--json"])
            .arg(&config)
            .arg("--run-dir")
            .arg(folder.path().join("run"))
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the coordinator starts");
        let lines = BufReader::new(process.stdout.as_mut().expect("piped")).lines();
        let status = lines.map_while(Result::ok).find(|line| line.contains("\"status\"")).expect("a status");
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        let listed = status["status"]["managers"].as_array().expect("managers");
        let managers = listed
            .iter()
            .filter_map(|it| Pid::from_raw(it["pid"].as_i64().expect("a number") as i32))
            .collect();
        Self { process, folder, managers }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    fn wait_for_the_managers_to_be_gone(&self) {
        eventually("the end of every manager", || {
            self.managers.iter().all(|pid| test_kill_process(*pid).is_err())
        });
    }
}

fn safe_worker(name: &str, file: &std::path::Path) -> String {
    format!(
        "[managers.{name}]\nkind = \"worker\"\n[managers.{name}.config]\nsafe_file = \"{}\"\n",
        file.display()
    )
}

#[test]
fn when_the_coordinator_is_killed_every_manager_goes_safe_and_ends() {
    let files = tempfile::tempdir().expect("a folder");
    let (left, right) = (files.path().join("left"), files.path().join("right"));
    let mut rig = Coordinator::start(&(safe_worker("left", &left) + &safe_worker("right", &right)));
    kill_process(rig.pid(), Signal::KILL).expect("it lives");
    rig.process.wait().expect("it ends");
    rig.wait_for_the_managers_to_be_gone();
    for file in [left, right] {
        assert_eq!(fs::read_to_string(file).expect("the safe state was entered"), "the coordinator is gone");
    }
}

#[test]
fn a_stuck_manager_ends_with_its_coordinator_too() {
    let slow = "[managers.left]\nkind = \"worker\"\nsafe_deadline_ms = 100\n[managers.left.config]\nsafe_ms = 600000\n";
    let mut rig = Coordinator::start(slow);
    kill_process(rig.pid(), Signal::KILL).expect("it lives");
    rig.process.wait().expect("it ends");
    rig.wait_for_the_managers_to_be_gone();
}

#[test]
fn a_signal_ends_the_rig_in_good_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let files = tempfile::tempdir().expect("a folder");
        let file = files.path().join("left");
        let mut rig = Coordinator::start(&safe_worker("left", &file));
        kill_process(rig.pid(), signal).expect("it lives");
        let status = rig.process.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert_eq!(fs::read_to_string(file).expect("the safe state was entered"), "the rig quits");
        assert!(rig.folder.path().join("run/summary.json").exists());
    }
}

#[test]
fn a_second_signal_hastens_the_end_and_the_exit_code_tells() {
    let slow = "quit_deadline_ms = 600000\n[managers.left]\nkind = \"worker\"\nsafe_deadline_ms = 100\n\
                [managers.left.config]\nsafe_ms = 600000\n";
    let config = slow.replacen("quit_deadline_ms = 600000\n", "", 1);
    let mut rig = Coordinator::start(&format!("quit_deadline_ms = 600000\n{config}"));
    kill_process(rig.pid(), Signal::INT).expect("it lives");
    kill_process(rig.pid(), Signal::INT).expect("it lives");
    eventually("the end", || {
        // The first two may have been taken as one; a person presses again.
        let _ = kill_process(rig.pid(), Signal::INT);
        matches!(rig.process.try_wait(), Ok(Some(_)))
    });
    assert_eq!(rig.process.wait().expect("it ends").code(), Some(3));
    rig.wait_for_the_managers_to_be_gone();
}

#[test]
fn a_manager_that_dies_shows_in_the_exit_code_while_the_rest_goes_on() {
    let mut rig = Coordinator::start(TWO_WORKERS);
    kill_process(rig.managers[0], Signal::KILL).expect("it lives");
    eventually("the death", || test_kill_process(rig.managers[0]).is_err());
    assert!(test_kill_process(rig.managers[1]).is_ok());
    kill_process(rig.pid(), Signal::TERM).expect("it lives");
    assert_eq!(rig.process.wait().expect("it ends").code(), Some(3));
    let summary = fs::read_to_string(rig.folder.path().join("run/summary.json")).expect("a summary");
    assert!(summary.contains("signal 9 (SIGKILL)"), "{summary}");
}
