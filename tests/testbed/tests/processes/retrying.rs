//! Commands that may be done twice, and the death of whoever is at them: the next life does them, once, and the
//! caller hears of one end. What may not be done twice is not, and its end says so.

use std::time::Duration;

use crate::labouring::{Site, again};
use crate::restarts::{kill, status_of, until_in_life};
use crate::speaking::Client;
use crate::support::{PATIENCE, end_empty, eventually, launch};
use labrig::CallError;
use labrig_testbed::labourer::{Labour, LabourAgain, TaskDone, TaskEnd};
use serde_json::json;

fn life(generation: u32) -> (String, u32) {
    ("left".to_owned(), generation)
}

fn done(number: u64, generation: u32) -> Result<TaskDone, CallError> {
    Ok(TaskDone { number, by: "left".to_owned(), generation })
}

#[test]
fn what_a_process_was_at_when_it_died_is_done_by_its_next_life_and_ends_once() {
    let site = Site::new();
    let rig = site.lone("");
    let task = again(&rig, 1);
    site.until_begun(1, 1);
    kill(&rig, "left");
    assert_eq!(site.until_begun(1, 2), life(2));
    assert!(!task.is_ready(), "nothing was told of the death");
    site.open_door();
    assert_eq!(task.wait(PATIENCE), done(1, 2));
    assert_eq!((site.begun(1), site.ended(1)), (vec![life(1), life(2)], vec![life(2)]));
    let totals = end_empty(rig, "a task that was done by the next life").totals;
    assert_eq!((totals.retried, totals.done, totals.lost + totals.indeterminate), (1, 1, 0), "{totals:?}");
}

#[test]
fn what_may_not_be_done_twice_is_not_and_its_end_says_whether_it_may_have_run() {
    let site = Site::new();
    let rig = site.lone("");
    let scope = rig.scope().without_deadline();
    let task = |number| Labour { number, end: TaskEnd::WhenTheDoorIsOpen };
    let at_work = scope.request(task(1)).expect("accepted");
    let waiting: Vec<_> = (2..50).map(|number| scope.request(task(number)).expect("accepted")).collect();
    site.until_begun(1, 1);
    kill(&rig, "left");
    let end = at_work.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Indeterminate(_))), "{end:?}");
    for task in waiting {
        let end = task.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Lost(_))), "{end:?}");
    }
    until_in_life(&rig, "left", 2);
    site.open_door();
    assert_eq!(scope.call(Labour { number: 50, end: TaskEnd::AtOnce }), done(50, 2));
    assert!((1..50).all(|number| site.ended(number).is_empty()), "{:?}", site.entries());
    let totals = end_empty(rig, "tasks that were not done again").totals;
    assert_eq!((totals.retried, totals.indeterminate, totals.lost), (0, 1, 48), "{totals:?}");
}

#[test]
fn what_waited_in_its_pipe_and_for_it_is_done_by_the_next_life_in_its_order() {
    let site = Site::new();
    let rig = site.lone("");
    let tasks: Vec<_> = (0..500).map(|number| again(&rig, number)).collect();
    site.until_begun(0, 1);
    kill(&rig, "left");
    until_in_life(&rig, "left", 2);
    let newer = again(&rig, 500);
    site.open_door();
    for (number, task) in (0..).zip(tasks) {
        assert_eq!(task.wait(PATIENCE), done(number, 2));
    }
    assert_eq!(newer.wait(PATIENCE), done(500, 2));
    let second = site.entries().into_iter().filter(|entry| entry.generation == 2 && entry.what == "ends");
    assert!(second.map(|entry| entry.number).eq(0..=500), "each once, in the order in which they came");
    let totals = end_empty(rig, "tasks that the next life was given").totals;
    assert_eq!((totals.done, totals.ended()), (501, totals.accepted), "{totals:?}");
}

#[test]
fn it_is_given_to_so_many_lives_and_then_its_end_is_the_truth() {
    let site = Site::new();
    let rig = site.lone("max_retries = 2");
    let task = again(&rig, 1);
    for times in 1..=3 {
        assert_eq!(site.until_begun(1, times), life(times as u32));
        kill(&rig, "left");
    }
    let end = task.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Indeterminate(_))), "{end:?}");
    assert_eq!(site.begun(1).len(), 3);
    assert_eq!(end_empty(rig, "a task that kills").totals.retried, 2);
}

#[test]
fn without_retries_in_the_config_it_ends_with_its_process() {
    let site = Site::new();
    let rig = site.lone("max_retries = 0");
    let task = again(&rig, 1);
    site.until_begun(1, 1);
    kill(&rig, "left");
    assert!(matches!(task.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    until_in_life(&rig, "left", 2);
    assert_eq!(site.begun(1).len(), 1);
    assert_eq!(end_empty(rig, "a task that is not retried").totals.retried, 0);
}

#[test]
fn one_that_does_not_come_back_leaves_no_task_waiting() {
    let site = Site::new();
    let rig = site.lone("max_restarts = 1");
    let (first, second) = (again(&rig, 1), again(&rig, 2));
    for times in 1..=2 {
        site.until_begun(1, times);
        kill(&rig, "left");
    }
    eventually("the failure", || status_of(&rig, "left").state == "failed");
    assert!(matches!(first.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    // It was in the pipe of the second life, which never took it.
    let end = second.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Lost(_))), "{end:?}");
    assert!(site.begun(2).is_empty());
    end_empty(rig, "tasks without a next life");
}

#[test]
fn one_way_tasks_are_never_given_again() {
    let site = Site::new();
    let rig = site.lone("");
    let send = |number| {
        let task = LabourAgain { number, end: TaskEnd::WhenTheDoorIsOpen };
        rig.scope().send(task).expect("accepted");
    };
    (0..10).for_each(send);
    site.until_begun(0, 1);
    kill(&rig, "left");
    until_in_life(&rig, "left", 2);
    site.open_door();
    assert_eq!(rig.scope().call(LabourAgain { number: 10, end: TaskEnd::AtOnce }), done(10, 2));
    assert_eq!(site.entries().iter().filter(|entry| entry.generation == 2).count(), 2, "the last one alone");
    let totals = end_empty(rig, "one-way tasks").totals;
    let told = (totals.retried, totals.undelivered_indeterminate, totals.undelivered_lost);
    assert_eq!(told, (0, 1, 9), "{totals:?}");
}

#[test]
fn while_it_waits_for_the_next_life_it_can_be_taken_back_and_its_time_goes_on() {
    let site = Site::new();
    // Its next life comes when it is asked for, and not before.
    let rig = launch(&site.labourer("left", "restart_policy = \"on-failure\"\nrestart_delay_ms = 60000"));
    let (late, unwanted, wanted) = (again(&rig, 1), again(&rig, 2), again(&rig, 3));
    site.until_begun(1, 1);
    kill(&rig, "left");
    eventually("the back-off", || status_of(&rig, "left").state == "restarting");
    unwanted.cancel();
    assert!(matches!(unwanted.wait(PATIENCE), Err(CallError::Cancelled(_))));
    late.set_expiry(Some(Duration::from_millis(1)));
    assert!(matches!(late.wait(PATIENCE), Err(CallError::Expired(_))));
    site.open_door();
    rig.scope().restart("left").expect("accepted").wait(PATIENCE).expect("it is back");
    assert_eq!(wanted.wait(PATIENCE), done(3, 2));
    assert_eq!((site.begun(1).len(), site.begun(2).len()), (1, 0));
    end_empty(rig, "tasks that did not get to the next life");
}

#[test]
fn a_client_of_the_socket_hears_nothing_of_the_death_but_the_reply() {
    let site = Site::new();
    let rig = site.lone("");
    let mut client = Client::of(rig.socket());
    let args = json!({ "number": 1, "end": "when-the-door-is-open" });
    let id = client.ask(json!({ "verb": "call", "command": "LabourAgain", "args": args }));
    site.until_begun(1, 1);
    kill(&rig, "left");
    site.until_begun(1, 2);
    site.open_door();
    let answer = client.answer(id);
    assert_eq!(answer["ok"]["reply"], json!({ "number": 1, "by": "left", "generation": 2 }), "{answer}");
    assert_eq!(answer["ok"]["generation"], 2);
    end_empty(rig, "a client's task");
}
