//! Pools of processes: each task goes to one that is free, and what becomes of one of them is the others' no loss.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Output, Stdio};

use crate::labouring::{Site, again};
use crate::restarts::{kill, status_of, until_in_life};
use crate::speaking::Client;
use crate::support::{PATIENCE, end_cleanly, eventually, launch, testbed};
use labrig::wire::{Refusal, UndeliveredReason};
use labrig::{CallError, PendingReply, Rig};
use labrig_testbed::commands::{SetMode, TestError};
use labrig_testbed::labourer::{Labour, TaskDone, TaskEnd};
use serde_json::json;

/// How many a pool here has.
const HANDS: usize = 4;
const RESTARTS: &str = "restart_policy = \"on-failure\"\nrestart_delay_ms = 1\n";

fn config(site: &Site, keys: &str) -> String {
    site.labourer("hands", &format!("instances = {HANDS}\n{keys}"))
}

/// Asks the pool for a task.
fn ask(rig: &Rig, number: u64, end: TaskEnd) -> PendingReply<TaskDone> {
    rig.scope().without_deadline().request(Labour { number, end }).expect("the queue has room")
}

/// Asks for tasks that wait for the door, and waits until each hand has begun with one of the first.
fn occupy(rig: &Rig, site: &Site, numbers: std::ops::Range<u64>) -> Vec<PendingReply<TaskDone>> {
    let first = numbers.start;
    let asked: Vec<_> = numbers.map(|number| ask(rig, number, TaskEnd::WhenTheDoorIsOpen)).collect();
    let mut hands = BTreeSet::new();
    for number in first..first + HANDS as u64 {
        hands.insert(site.until_begun(number, 1).0);
    }
    assert_eq!(hands.len(), HANDS, "each has begun with one: {hands:?}");
    asked
}

fn names() -> BTreeSet<String> {
    (1..=HANDS).map(|number| format!("hands-{number}")).collect()
}

#[test]
fn a_pool_does_as_many_tasks_at_once_as_it_has_processes_and_the_rest_in_their_order() {
    let site = Site::new();
    let rig = launch(&config(&site, ""));
    let asked = occupy(&rig, &site, 0..20);
    assert!((4..20).all(|number| site.begun(number).is_empty()), "{:?}", site.entries());
    site.open_door();
    let done: Vec<_> = asked.into_iter().map(|task| task.wait(PATIENCE).expect("done")).collect();
    assert!(done.iter().map(|it| it.number).eq(0..20), "each is answered with its own: {done:?}");
    assert_eq!(done.iter().take(HANDS).map(|it| it.by.clone()).collect::<BTreeSet<_>>(), names());
    for number in 0..20 {
        assert_eq!((site.begun(number).len(), site.ended(number).len()), (1, 1), "{number}");
    }
    let summary = end_cleanly(rig);
    assert!(!summary.has_losses() && summary.totals.done == 20, "{summary:#?}");
    assert_eq!(summary.managers.iter().map(|manager| manager.taken).sum::<u64>(), 20);
}

#[test]
fn its_name_means_whoever_is_free_and_each_has_a_name_of_its_own() {
    let site = Site::new();
    let rig = launch(&config(&site, ""));
    let scope = rig.scope();
    let own = Labour { number: 1, end: TaskEnd::AtOnce };
    assert_eq!(scope.to("hands-3").call(own.clone()).map(|done| done.by), Ok("hands-3".to_owned()));
    let by = scope.to("hands").call(own.clone()).expect("done").by;
    assert!(names().contains(&by), "{by}");
    let unknown = scope.to("hands-5").send(own);
    assert!(unknown.as_ref().is_err_and(|refusal| refusal.to_string().contains("hands-5")), "{unknown:?}");
    end_cleanly(rig);
}

#[test]
fn a_task_that_fails_is_reported_and_its_process_takes_the_next_one() {
    let site = Site::new();
    let rig = launch(&config(&site, ""));
    for number in 0..40 {
        let end = if number % 2 == 0 { TaskEnd::Fails } else { TaskEnd::Panics };
        match ask(&rig, number, end).wait(PATIENCE) {
            Err(error @ CallError::Failed(_)) if number % 2 == 0 => {
                let told = error.downcast::<TestError>().expect("the handler's own error");
                assert_eq!(told, TestError::Told { code: number as u32 });
            }
            Err(error @ CallError::Failed(_)) => {
                assert!(error.to_string().contains(&format!("task {number} is too much")), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    let works = (40..60).map(|number| ask(&rig, number, TaskEnd::AtOnce).wait(PATIENCE));
    assert_eq!(works.filter(Result::is_ok).count(), 20);
    let lives: Vec<_> = names().iter().map(|name| status_of(&rig, name).generation).collect();
    assert_eq!(lives, [1; HANDS], "nobody died of it");
    assert!(end_cleanly(rig).deaths.is_empty());
}

#[test]
fn one_way_tasks_keep_a_process_as_long_as_they_run_and_their_failures_harm_nobody() {
    let site = Site::new();
    let rig = launch(&config(&site, ""));
    let send = |number, end| rig.scope().send(Labour { number, end }).expect("accepted");
    (0..4).for_each(|number| send(number, TaskEnd::WhenTheDoorIsOpen));
    let hands: BTreeSet<_> = (0..4).map(|number| site.until_begun(number, 1).0).collect();
    assert_eq!(hands, names(), "none was given two");
    (4..12).for_each(|number| send(number, TaskEnd::Fails));
    assert!((4..12).all(|number| site.begun(number).is_empty()));
    site.open_door();
    (4..12).for_each(|number| drop(site.until_begun(number, 1)));
    assert!(ask(&rig, 12, TaskEnd::AtOnce).wait(PATIENCE).is_ok());
    let summary = end_cleanly(rig);
    assert_eq!((summary.totals.sends, summary.totals.undelivered), (12, 0), "{:?}", summary.totals);
}

#[test]
fn while_a_process_that_died_is_started_again_the_others_take_the_tasks() {
    let site = Site::new();
    // Nobody comes back before the test says so.
    let rig = launch(&config(&site, &RESTARTS.replace("= 1", "= 60000")));
    let mut asked = occupy(&rig, &site, 0..12);
    let (victim, _) = site.begun(0)[0].clone();
    kill(&rig, &victim);
    let dead = asked.remove(0).wait(PATIENCE);
    assert!(matches!(dead, Err(CallError::Indeterminate(_))), "{dead:?}");
    eventually("the back-off", || status_of(&rig, &victim).state == "restarting");
    site.open_door();
    for task in asked {
        assert_ne!(task.wait(PATIENCE).expect("done").by, victim);
    }
    assert!((1..12).all(|number| site.begun(number).len() == 1), "{:?}", site.entries());
    rig.scope().restart(&victim).expect("accepted").wait(PATIENCE).expect("it is back");
    let done = rig.scope().to(&victim).call(Labour { number: 12, end: TaskEnd::AtOnce }).expect("done");
    assert_eq!((done.by, done.generation), (victim.clone(), 2));
    let summary = end_cleanly(rig);
    assert_eq!((summary.totals.done, summary.totals.indeterminate), (13, 1), "{:?}", summary.totals);
    assert_eq!(summary.deaths.iter().map(|death| &death.manager).collect::<Vec<_>>(), [&victim]);
}

#[test]
fn a_process_that_died_comes_back_by_itself_and_is_given_tasks_again() {
    let site = Site::new();
    let rig = launch(&config(&site, RESTARTS));
    for name in names() {
        kill(&rig, &name);
        until_in_life(&rig, &name, 2);
    }
    let asked = occupy(&rig, &site, 0..4);
    site.open_door();
    let lives: Vec<_> = asked.into_iter().map(|task| task.wait(PATIENCE).expect("done").generation).collect();
    assert_eq!(lives, [2; HANDS]);
    assert_eq!(end_cleanly(rig).deaths.len(), HANDS);
}

#[test]
fn a_task_that_may_be_done_twice_is_given_to_another_process_when_its_own_dies() {
    let site = Site::new();
    let rig = launch(&config(&site, &RESTARTS.replace("= 1", "= 60000")));
    let task = again(&rig, 0);
    let (first, _) = site.until_begun(0, 1);
    kill(&rig, &first);
    let (second, generation) = site.until_begun(0, 2);
    assert_ne!(first, second);
    site.open_door();
    assert_eq!(task.wait(PATIENCE), Ok(TaskDone { number: 0, by: second.clone(), generation }));
    assert_eq!(site.ended(0), [(second, generation)], "it has come to its end once");
    let totals = rig.shutdown().totals;
    assert_eq!((totals.retried, totals.done, totals.ended()), (1, 1, totals.accepted), "{totals:?}");
}

#[test]
fn when_all_have_died_tasks_wait_for_the_first_that_is_back() {
    let site = Site::new();
    let rig = launch(&config(&site, RESTARTS));
    let asked = occupy(&rig, &site, 0..12);
    for name in names() {
        kill(&rig, &name);
    }
    let mut ends = asked.into_iter();
    for task in ends.by_ref().take(HANDS) {
        let end = task.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Indeterminate(_))), "{end:?}");
    }
    site.open_door();
    for task in ends {
        // Some were given to a process, and had not been begun, when that was killed in its turn.
        match task.wait(PATIENCE) {
            Ok(done) => assert!(site.begun(done.number).contains(&(done.by, done.generation))),
            Err(CallError::Lost(_) | CallError::Indeterminate(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    eventually("the return of all", || names().iter().all(|name| status_of(&rig, name).generation == 2));
    let totals = rig.shutdown().totals;
    assert_eq!(totals.accepted, totals.ended(), "{totals:?}");
}

#[test]
fn a_pool_whose_queue_is_full_says_so_and_never_waits() {
    let site = Site::new();
    let rig = launch(&config(&site, "queue = { depth = 6 }"));
    let asked = occupy(&rig, &site, 0..10);
    let full = rig.scope().request(Labour { number: 10, end: TaskEnd::AtOnce }).map(drop);
    match full {
        Err(Refusal::Busy { manager, depth, .. }) => {
            assert_eq!((manager.to_string().as_str(), depth), ("hands", 6));
        }
        other => panic!("{other:?}"),
    }
    site.open_door();
    assert!(asked.into_iter().all(|task| task.wait(PATIENCE).is_ok()));
    end_cleanly(rig);
}

#[test]
fn tasks_that_wait_when_the_rig_quits_are_refused_and_told() {
    let site = Site::new();
    let rig = launch(&config(&site, ""));
    let (told, heard) = std::sync::mpsc::channel();
    rig.scope().on_undelivered(move |news| drop(told.send(news.clone())));
    let mut asked = occupy(&rig, &site, 0..8).into_iter();
    (8..12).for_each(|number| {
        rig.scope().send(Labour { number, end: TaskEnd::AtOnce }).expect("accepted");
    });
    rig.scope().quit();
    let at_work: Vec<_> = asked.by_ref().take(HANDS).collect();
    for task in asked {
        let end = task.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Refused(Refusal::Quitting { .. }))), "{end:?}");
    }
    site.open_door();
    assert!(at_work.into_iter().all(|task| task.wait(PATIENCE).is_ok()), "what runs may end");
    let summary = end_cleanly(rig);
    let reasons: Vec<_> = heard.try_iter().map(|news| (news.to, news.reason)).collect();
    assert_eq!(reasons, vec![("hands".to_owned(), UndeliveredReason::Quitting); 4]);
    assert_eq!(summary.totals.undelivered_refused, 4, "{:?}", summary.totals);
}

#[test]
fn a_broadcast_reaches_each_process_of_a_pool() {
    let rig = launch("[managers.ears]\nkind = \"listener\"\ninstances = 3\n");
    let report = rig.scope().broadcast(SetMode { mode: 4 }).expect("accepted").wait(PATIENCE).expect("done");
    let told: BTreeSet<_> = report.outcomes.iter().map(|one| one.manager.as_str()).collect();
    assert_eq!(told, BTreeSet::from(["ears-1", "ears-2", "ears-3"]));
    assert!(report.is_all_done(), "{report:?}");
    end_cleanly(rig);
}

#[test]
fn a_client_of_the_socket_calls_a_pool_by_its_name_or_by_none() {
    let site = Site::new();
    let rig = launch(&config(&site, ""));
    let mut client = Client::of(rig.socket());
    for to in [json!(null), json!("hands")] {
        let mut call = json!({ "verb": "call", "command": "Labour", "args": { "number": 3 } });
        if !to.is_null() {
            call["to"] = to;
        }
        let done = client.done(call);
        assert_eq!(done["reply"]["number"], 3, "{done}");
        assert!(names().contains(done["manager"].as_str().expect("a name")), "{done}");
    }
    let one = json!({ "verb": "call", "command": "Labour", "args": { "number": 4 }, "to": "hands-2" });
    assert_eq!(client.done(one)["manager"], "hands-2");
    let ping = client.problem(json!({ "verb": "arm", "manager": "hands" }));
    assert!(ping.to_string().contains("hands-1"), "an order names one process: {ping}");
    end_cleanly(rig);
}

/// A program that a test which fails does not leave behind.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that has ended needs no more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_command_line_calls_a_pool_and_shows_each_of_its_processes() {
    let site = Site::new();
    let folder = site.folder();
    let rig = format!("schema = 1\n[rig]\nname = \"pooled\"\n{}", config(&site, ""));
    fs::write(folder.join("rig.toml"), rig).expect("a config");
    let running = Command::new(testbed())
        .args(["run", "rig.toml", "--quiet", "--run-dir", "run", "--state-dir", "state"])
        .args(["--runtime-dir", "runtime"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .spawn();
    let mut running = Ended(running.expect("it starts"));
    let verb = |arguments: &[&str]| -> Output {
        let mut program = Command::new(testbed());
        program.args(arguments).args(["--runtime-dir", "runtime", "--json"]).current_dir(&folder);
        program.stdin(Stdio::null()).output().expect("it runs")
    };
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    eventually("a ready rig", || {
        let status = verb(&["status"]);
        status.status.success() && text(&status).matches("\"state\":\"ready\"").count() == HANDS
    });
    let status = text(&verb(&["status"]));
    assert!(names().iter().all(|name| status.contains(name)), "{status}");
    let done = verb(&["call", "Labour", "number=7"]);
    assert!(done.status.success() && text(&done).contains("\"number\":7"), "{done:?}");
    let failed = verb(&["call", "Labour", "number=8", "end=fails", "--to", "hands"]);
    assert!(!failed.status.success(), "{failed:?}");
    let said = format!("{}{}", text(&failed), String::from_utf8_lossy(&failed.stderr));
    assert!(said.contains("told to fail with code 8"), "{said}");
    assert!(verb(&["call", "Labour", "number=9", "--to", "hands-4"]).status.success());
    assert!(verb(&["send", "Labour", "number=10", "end=fails"]).status.success());
    let log = || fs::read_to_string(folder.join("run/run.log")).unwrap_or_default();
    let told = "the one-way command `Labour` failed at `hands-";
    eventually("the report of the failure", || log().contains(told));
    assert!(log().contains("told to fail with code 10"));
    assert!(verb(&["quit"]).status.success());
    assert!(running.0.wait().expect("it ends").success());
    assert_eq!(site.ended(9), [("hands-4".to_owned(), 1)]);
}
