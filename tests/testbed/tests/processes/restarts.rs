//! Managers that die and come back: what is kept, what is said, and when it is enough.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use crate::support::{
    PATIENCE, end_cleanly, eventually, launch, pid_of, testbed, topology, until_begun, until_busy,
};
use labrig::coordinator::{Death, ManagerEnd, ManagerStatus, RunSummary};
use labrig::remote::Restart;
use labrig::{CallError, Refusal, Restarted, Rig};
use labrig_testbed::commands::*;
use labrig_testbed::patient::{Mark, Marks, Toil};
use rustix::process::{Signal, kill_process, kill_process_group, test_kill_process_group};

const RESTARTS: &str = "restart_policy = \"on-failure\"\nrestart_delay_ms = 10\n";

fn config(left: &str) -> String {
    format!("[managers.right]\nkind = \"worker\"\n[managers.left]\nkind = \"worker\"\n{RESTARTS}{left}")
}

pub fn status_of(rig: &Rig, manager: &str) -> ManagerStatus {
    let status = rig.status().expect("the rig runs");
    status.managers.into_iter().find(|it| it.name == manager).expect("it is part of the rig")
}

/// Waits until a manager works in that life.
pub fn until_in_life(rig: &Rig, manager: &str, generation: u32) {
    eventually(&format!("life {generation} of {manager}"), || {
        let status = status_of(rig, manager);
        status.generation == generation && matches!(status.state, "ready" | "busy")
    });
}

pub fn kill(rig: &Rig, manager: &str) {
    kill_process(pid_of(rig, manager), Signal::KILL).expect("it lives");
}

/// Ends a rig that ended well, but for the deaths of those managers.
fn end_with_deaths(rig: Rig, expected: &[&str]) -> Vec<Death> {
    let summary = rig.shutdown();
    assert!(summary.is_clean && (summary.has_losses() || expected.is_empty()), "{summary:#?}");
    let dead: Vec<_> = summary.deaths.iter().map(|death| death.manager.as_str()).collect();
    assert_eq!(dead, expected);
    summary.deaths
}

#[test]
fn a_manager_that_dies_comes_back_with_its_environment_and_its_start_up_commands() {
    let rig = launch(&config(
        "env = { TESTBED = \"kept\" }\n\
         startup = [{ command = \"Note\", args = { number = 7 } }, { command = \"Note\", args = { number = 8 } }]",
    ));
    let scope = rig.scope();
    let describe = || scope.to("left").request(Describe {}).expect("accepted").wait(PATIENCE).expect("done");
    let (first, right) = (describe(), pid_of(&rig, "right"));
    scope.to("left").request(Note { number: 9 }).expect("accepted").wait(PATIENCE).expect("done");
    kill(&rig, "left");
    until_in_life(&rig, "left", 2);
    let second = describe();
    assert_ne!(first.pid, second.pid);
    assert_eq!((second.variable.as_deref(), second.folder), (Some("kept"), first.folder));
    assert_eq!(scope.to("left").request(Notes {}).expect("accepted").wait(PATIENCE), Ok(vec![7, 8]));
    assert_eq!((pid_of(&rig, "right"), status_of(&rig, "right").generation), (right, 1));
    let deaths = end_with_deaths(rig, &["left"]);
    assert_eq!(
        (deaths[0].generation, deaths[0].pid, deaths[0].how.as_str()),
        (1, first.pid, "signal 9 (SIGKILL)")
    );
    assert_eq!(deaths[0].then, "is started again in 10ms");
}

#[test]
fn a_death_is_reported_with_the_command_and_the_last_lines() {
    let rig = launch(&config(""));
    let print = Print { text: "about to go".to_owned(), times: 1 };
    rig.scope().to("left").request(print).expect("accepted").wait(PATIENCE).expect("done");
    let call = rig.scope().to("left").request(Exit { code: 9 }).expect("accepted");
    assert!(matches!(call.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    until_in_life(&rig, "left", 2);
    let status = status_of(&rig, "left");
    let death = status.last_death.expect("it has died");
    assert_eq!(
        (status.restarts, death.how.as_str(), death.command.as_deref()),
        (1, "exit code 9", Some("Exit"))
    );
    for line in ["out: about to go", "err: about to go"] {
        assert!(death.last_lines.iter().any(|last| last == line), "{death:?}");
    }
    assert!(death.to_string().starts_with("`left` ended in its life 1 (process "), "{death}");
    end_with_deaths(rig, &["left"]);
}

#[test]
fn calls_of_the_life_that_ended_are_lost_and_never_given_to_the_next() {
    let rig = launch(&format!("[managers.left]\nkind = \"patient\"\n{RESTARTS}"));
    let toil = rig.scope().request(Toil { duration_ms: 60_000, nap_ms: 60_000 }).expect("accepted");
    until_begun(&toil);
    let queued: Vec<_> =
        (0..200).map(|number| rig.scope().request(Mark { number }).expect("accepted")).collect();
    kill(&rig, "left");
    assert!(matches!(toil.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    for call in queued {
        assert!(matches!(call.wait(PATIENCE), Err(CallError::Lost(_))));
    }
    until_in_life(&rig, "left", 2);
    assert_eq!(rig.scope().call(Marks {}), Ok(vec![]));
    rig.scope().call(Mark { number: 1 }).expect("it works");
    end_with_deaths(rig, &["left"]);
}

#[test]
fn one_that_dies_too_often_has_failed_and_the_run_is_not_clean() {
    let rig = launch(&config("max_restarts = 2"));
    for generation in 1..=3 {
        until_in_life(&rig, "left", generation);
        kill(&rig, "left");
    }
    eventually("the failure", || status_of(&rig, "left").state == "failed");
    let refused = rig.scope().to("left").send(Note { number: 1 });
    assert!(matches!(refused, Err(Refusal::Dead { .. })), "{refused:?}");
    assert_eq!(rig.scope().to("right").request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE), Ok(3));
    let summary = rig.shutdown();
    assert!(!summary.is_clean && summary.deaths.len() == 3, "{summary:#?}");
    assert_eq!(summary.deaths[2].then, "is not started again: it was started again 2 times within 60s");
}

#[test]
fn the_policy_says_whether_an_exit_with_code_0_is_followed_by_a_restart() {
    for (policy, restarts) in [("never", false), ("always", true)] {
        let left = format!("kind = \"worker\"\nrestart_policy = \"{policy}\"\nrestart_delay_ms = 1");
        let rig = launch(&format!("[managers.left]\n{left}"));
        let exit = rig.scope().request(Exit { code: 0 }).expect("accepted");
        assert!(exit.wait(PATIENCE).is_err());
        if restarts {
            until_in_life(&rig, "left", 2);
        } else {
            eventually("the end", || status_of(&rig, "left").state == "failed");
        }
        assert_eq!(rig.shutdown().is_clean, restarts);
    }
}

/// The testbed's program behind a script that, once `file` is there, does something else instead.
fn haunted(file: &Path, instead: &str) -> String {
    let script = format!(
        "case $LABRIG_ROLE in manager*) if [ -e '{}' ]; then {instead}; fi;; esac; exec '{}'",
        file.display(),
        testbed().display()
    );
    format!("program = \"/bin/sh\"\nargs = [\"-c\", \"{script}\"]\n")
}

/// Once it has been killed, `left` does something else than to begin its next life; in the end that fails `max_restarts`.
fn check_failed_lives(instead: &str, how: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("haunted");
    let rig =
        launch(&format!("start_deadline_ms = 2000\n{}max_restarts = 2", config(&haunted(&file, instead))));
    fs::write(&file, "").expect("a file");
    kill(&rig, "left");
    eventually("the failure", || status_of(&rig, "left").state == "failed");
    assert_eq!(rig.scope().to("right").request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE), Ok(3));
    let summary = rig.shutdown();
    assert_eq!(summary.deaths.len(), 3, "{summary:#?}");
    assert!(summary.deaths[1..].iter().all(|death| death.to_string().contains(how)), "{:#?}", summary.deaths);
}

#[test]
fn lives_that_end_before_they_begin_count_against_the_budget() {
    check_failed_lives("exit 7", "exit code 7");
}

#[test]
fn lives_that_do_not_become_ready_are_ended_and_count_against_the_budget() {
    check_failed_lives("exec sleep 3600", "was not ready within 2s: its program has not said hello");
}

#[test]
fn one_whose_next_life_cannot_be_started_has_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    fs::create_dir(&home).expect("a folder");
    let rig = launch(&config(&format!("max_restarts = 1\nworking_dir = \"{}\"", home.display())));
    fs::remove_dir(&home).expect("it is empty");
    kill(&rig, "left");
    eventually("the failure", || status_of(&rig, "left").state == "failed");
    let summary = rig.shutdown();
    assert!(!summary.is_clean && summary.deaths[1].pid == 0, "{summary:#?}");
    assert!(summary.deaths[1].how.contains("cannot start"), "{summary:#?}");
}

fn shut_down_quickly(rig: Rig) -> RunSummary {
    let (told, heard) = channel();
    std::thread::spawn(move || told.send(rig.shutdown()));
    heard.recv_timeout(PATIENCE).expect("the rig quits")
}

#[test]
fn a_rig_quits_while_one_is_down_before_its_restart() {
    let rig = launch(&config("").replace("restart_delay_ms = 10", "restart_delay_ms = 60000"));
    kill(&rig, "left");
    eventually("the back-off", || status_of(&rig, "left").state == "restarting");
    let summary = shut_down_quickly(rig);
    assert_eq!((summary.is_clean, summary.deaths.len()), (false, 1), "{summary:#?}");
}

#[test]
fn a_rig_quits_while_one_is_being_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("haunted");
    let slow = haunted(&file, "exec sleep 3600");
    let rig = launch(&format!("quit_deadline_ms = 300\n{}", config(&slow)));
    fs::write(&file, "").expect("a file");
    kill(&rig, "left");
    eventually("the restart", || status_of(&rig, "left").generation == 2);
    let group = pid_of(&rig, "left");
    shut_down_quickly(rig);
    assert!(test_kill_process_group(group).is_err(), "nothing is left behind");
}

#[test]
fn a_death_is_seen_while_what_the_manager_has_started_holds_its_pipe_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("holder");
    // A session of its own: it is no part of the group that is killed, and holds descriptor 0.
    let script = format!(
        "case $LABRIG_ROLE in manager*) setsid sh -c 'echo $$ > {0}; exec sleep 3600' <&0 & esac; exec '{1}'",
        file.display(),
        testbed().display()
    );
    let rig = launch(&config(&format!("program = \"/bin/sh\"\nargs = [\"-c\", \"{script}\"]")));
    eventually("the holder", || fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')));
    let holder = || fs::read_to_string(&file).ok().and_then(|pid| pid.trim().parse().ok());
    let holder = holder().and_then(rustix::process::Pid::from_raw).expect("its number");
    kill(&rig, "left");
    until_in_life(&rig, "left", 2);
    // When it was killed with all that the manager has started, nobody is there any more.
    let _ = kill_process_group(holder, Signal::KILL);
    let second = fs::read_to_string(&file).ok().and_then(|pid| pid.trim().parse().ok());
    end_with_deaths(rig, &["left"]);
    if let Some(second) = second.and_then(rustix::process::Pid::from_raw) {
        let _ = kill_process_group(second, Signal::KILL);
    }
}

#[test]
fn the_program_is_told_of_deaths_and_may_act_before_the_quit() {
    let (told, heard) = channel();
    let (asked, answered) = channel();
    let rig = Rig::builder(topology(&config("")))
        .on_failure(move |report| told.send(report.clone()).expect("the test listens"))
        .before_quit(move |scope| {
            let sum = scope.to("left").request(Add { a: 20, b: 22 }).expect("accepted").wait(PATIENCE);
            asked.send(sum).expect("the test listens");
        });
    let rig = rig.launch().unwrap_or_else(|error| panic!("the rig did not start: {error}"));
    kill(&rig, "left");
    let report = heard.recv_timeout(PATIENCE).expect("it is told");
    assert_eq!((report.manager.as_str(), report.generation), ("left", 1));
    assert_eq!(report.death.map(|death| death.how), Some("signal 9 (SIGKILL)".to_owned()));
    until_in_life(&rig, "left", 2);
    assert!(answered.try_recv().is_err(), "nobody quits");
    end_with_deaths(rig, &["left"]);
    assert_eq!(answered.try_recv(), Ok(Ok(42)));
}

#[test]
fn a_manager_is_started_again_when_it_is_asked_for_and_nothing_is_lost() {
    let rig = launch(&config(""));
    let restart =
        || rig.scope().request(Restart { manager: "left".to_owned() }).expect("accepted").wait(PATIENCE);
    for generation in [2, 3] {
        assert_eq!(restart(), Ok(Restarted { manager: "left".to_owned(), generation }));
        assert_eq!(
            rig.scope().to("left").request(Add { a: 1, b: 1 }).expect("accepted").wait(PATIENCE),
            Ok(2)
        );
    }
    let unknown = rig.scope().call(Restart { manager: "nobody".to_owned() });
    assert!(unknown.is_err_and(|error| error.to_string().contains("no manager is called `nobody`")));
    let summary = end_cleanly(rig);
    assert!(!summary.has_losses(), "{summary:#?}");
    let left = summary.managers.iter().find(|manager| manager.name == "left").expect("it is there");
    assert!(left.generation == 3 && matches!(left.end, ManagerEnd::Clean { .. }), "{left:?}");
}

#[test]
fn one_that_has_failed_is_started_again_when_it_is_asked_for_with_a_fresh_budget() {
    let rig = launch(&config("max_restarts = 0"));
    kill(&rig, "left");
    eventually("the failure", || status_of(&rig, "left").state == "failed");
    let restart = rig.scope().request(Restart { manager: "left".to_owned() }).expect("accepted");
    assert_eq!(restart.wait(PATIENCE).map(|it| it.generation), Ok(2));
    assert_eq!(rig.scope().to("left").request(Add { a: 1, b: 1 }).expect("accepted").wait(PATIENCE), Ok(2));
    end_with_deaths(rig, &["left"]);
}

#[test]
fn the_program_says_what_was_lost_with_a_life_and_exits_with_4() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("rig.toml"), format!("schema = 1\n[rig]\nname = \"own\"\n{}", config("")))
        .expect("a config");
    let mut program = Command::new(testbed())
        .args(["run", "rig.toml", "--json", "--run-dir", "run", "--state-dir", "state"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(program.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut status_with = |wanted: &dyn Fn(&serde_json::Value) -> bool| {
        lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let left = line["status"]["managers"].as_array()?.iter().find(|it| it["name"] == "left")?;
            wanted(left).then(|| left.clone())
        })
    };
    let left = status_with(&|left| left["state"] == "ready").expect("it runs");
    let pid =
        left["pid"].as_i64().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)).expect("a process");
    kill_process(pid, Signal::KILL).expect("it lives");
    let left =
        status_with(&|left| left["generation"] == 2 && left["state"] == "ready").expect("it comes back");
    assert_eq!(left["last_death"]["how"], "signal 9 (SIGKILL)");
    let own = rustix::process::Pid::from_child(&program);
    kill_process(own, Signal::INT).expect("it runs");
    lines.for_each(drop);
    assert_eq!(program.wait().expect("it ends").code(), Some(4));
    let summary = fs::read_to_string(folder.path().join("run/summary.json")).expect("a summary");
    assert!(summary.contains("\"deaths\": [\n"), "{summary}");
}

#[test]
fn a_manager_that_is_busy_is_not_taken_for_another_when_it_comes_back() {
    let rig = launch(&format!(
        "[managers.left]\nkind = \"patient\"\n{RESTARTS}[managers.right]\nkind = \"worker\""
    ));
    let relayed = rig.scope().request(Toil { duration_ms: 60_000, nap_ms: 60_000 }).expect("accepted");
    until_busy(&rig, &["left"]);
    kill(&rig, "left");
    assert!(relayed.wait(PATIENCE).is_err());
    until_in_life(&rig, "left", 2);
    assert_eq!(status_of(&rig, "left").state, "ready");
    end_with_deaths(rig, &["left"]);
}
