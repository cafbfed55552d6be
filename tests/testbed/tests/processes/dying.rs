//! The death, or the silence, of a manager that others have asked for something.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, end_empty, eventually, figure, launch, pid_of, until_begun, until_busy};
use labrig::{CallError, PendingReply, Refusal, Rig};
use labrig_testbed::commands::*;
use labrig_testbed::patient::{Diary, Mark, Marks, Relay, Toil, Way};
use rustix::process::{Signal, kill_process};

const CONFIG: &str = "default_deadline_ms = 600000\n[managers.left]\nkind = \"patient\"\nqueue = { depth = 1000 }\n\
                      [managers.right]\nkind = \"worker\"";

fn toil(rig: &Rig) -> PendingReply<u64> {
    let toil = Toil { duration_ms: 60_000, nap_ms: 60_000 };
    rig.scope().request(toil).expect("accepted")
}

fn mark(rig: &Rig, number: u64) -> PendingReply<()> {
    rig.scope().request(Mark { number }).expect("the queue has room")
}

fn signal(rig: &Rig, signal: Signal) {
    kill_process(pid_of(rig, "left"), signal).expect("it lives");
}

fn check_lost(end: &Result<(), CallError>) {
    assert!(matches!(end, Err(CallError::Lost(facts)) if facts.manager == "left"), "{end:?}");
}

#[test]
fn when_a_manager_dies_five_hundred_pending_calls_end_at_once_however_they_are_awaited() {
    let rig = launch(CONFIG);
    let running = toil(&rig);
    until_busy(&rig, &["left"]);
    let (told, heard) = channel();
    for number in 0..200 {
        let told = told.clone();
        mark(&rig, number).on_complete(move |end| told.send(end).expect("the test listens"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let tasks: Vec<_> = (0..100).map(|number| runtime.spawn(mark(&rig, number))).collect();
    let waited: Vec<_> = (0..200).map(|number| mark(&rig, number)).collect();
    // Every task has been polled once, and sleeps.
    runtime.block_on(async { tokio::task::yield_now().await });
    let pid = pid_of(&rig, "left");
    let begin = Instant::now();
    kill_process(pid, Signal::KILL).expect("it lives");
    assert!(matches!(running.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    let first = begin.elapsed();
    waited.into_iter().for_each(|call| check_lost(&call.wait(PATIENCE)));
    runtime.block_on(async {
        for task in tasks {
            check_lost(&task.await.expect("the task does not panic"));
        }
    });
    (0..200).for_each(|_| check_lost(&heard.recv_timeout(PATIENCE).expect("its callback is run")));
    figure(
        "500 calls at a death: from the kill to the first ending, and to the last",
        (first, begin.elapsed()),
    );
    drop(told);
    assert!(heard.recv().is_err(), "no callback is run twice");
    let summary = end_empty(rig, "500 calls at a death");
    assert_eq!((summary.totals.lost, summary.totals.indeterminate), (500, 1), "{:?}", summary.totals);
}

#[test]
fn what_a_manager_that_died_had_asked_for_goes_on_and_is_counted() {
    let rig = launch(
        "default_deadline_ms = 600000\n[managers.left]\nkind = \"patient\"\n\
         [managers.right]\nkind = \"patient\"",
    );
    let relay = Relay { row: vec!["right".to_owned()], duration_ms: 300, way: Way::Call };
    let pending = rig.scope().to("left").request(relay).expect("accepted");
    until_busy(&rig, &["left", "right"]);
    signal(&rig, Signal::KILL);
    assert!(matches!(pending.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    // Nothing waits for `left` any more, so `right` may be called by whomever it calls.
    let relay = Relay { row: Vec::new(), duration_ms: 1, way: Way::Call };
    assert_eq!(rig.scope().to("right").call(relay), Ok(1));
    let diary = rig.scope().to("right").call(Diary {});
    assert_eq!(diary, Ok(vec![]), "it was not cancelled");
    let summary = end_empty(rig, "a caller that died");
    assert_eq!(summary.totals.late_answers, 1, "{:?}", summary.totals);
}

#[test]
fn a_frozen_manager_with_a_full_queue_answers_busy_at_once_and_delays_nobody() {
    let rig = launch(CONFIG);
    let latency = |rig: &Rig| {
        let begin = Instant::now();
        (0..200).for_each(|number| assert_eq!(rig.scope().call(Add { a: number, b: 1 }), Ok(number + 1)));
        begin.elapsed() / 200
    };
    let before = latency(&rig);
    signal(&rig, Signal::STOP);
    let queued: Vec<_> = (0..1_000).map(|number| mark(&rig, number)).collect();
    let mut longest = Duration::ZERO;
    for number in 0..1_000 {
        let begin = Instant::now();
        let refused = rig.scope().send(Mark { number });
        longest = longest.max(begin.elapsed());
        assert!(matches!(refused, Err(Refusal::Busy { depth: 1_000, .. })), "{refused:?}");
    }
    figure("the longest of 1 000 sends to a frozen manager with a full queue", longest);
    figure("a call to another manager: before, and beside a frozen one", (before, latency(&rig)));
    signal(&rig, Signal::CONT);
    queued.into_iter().for_each(|call| assert_eq!(call.wait(PATIENCE), Ok(())));
    assert!(end_empty(rig, "a frozen manager").is_clean);
}

#[test]
fn calls_to_a_frozen_manager_expire() {
    let rig = launch(CONFIG);
    signal(&rig, Signal::STOP);
    let scope = rig.scope().with_deadline(Duration::from_millis(100));
    let calls: Vec<_> =
        (0..1_000).map(|number| scope.request(Mark { number }).expect("the queue has room")).collect();
    for call in calls {
        let end = call.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Expired(_))), "{end:?}");
    }
    assert_eq!(rig.status().expect("the rig runs").in_flight, 0);
    signal(&rig, Signal::CONT);
    let diary = rig.scope().call(Marks {});
    assert_eq!(diary, Ok(vec![]), "what has expired does not run");
    assert!(end_empty(rig, "a frozen manager").is_clean);
}

/// The end of many calls at once is work for the coordinator: how long does it do nothing else?
#[test]
fn while_ten_thousand_queued_calls_expire_at_once_others_are_served() {
    let rig = launch(&CONFIG.replace("1000", "10000"));
    signal(&rig, Signal::STOP);
    let (begin, until) = (Instant::now(), Instant::now() + Duration::from_secs(1));
    let ask = |number| {
        let scope = rig.scope().with_deadline(until.saturating_duration_since(Instant::now()));
        scope.request(Mark { number }).expect("the queue has room")
    };
    let calls: Vec<_> = (0..10_000).map(ask).collect();
    figure("asking a frozen manager 10 000 times", begin.elapsed());
    let mut longest = Duration::ZERO;
    while !calls.iter().all(PendingReply::is_ready) {
        let begin = Instant::now();
        assert_eq!(rig.scope().call(Add { a: 1, b: 1 }), Ok(2));
        longest = longest.max(begin.elapsed());
    }
    assert!(calls.iter().all(PendingReply::is_expired));
    figure("the longest call to another manager while 10 000 queued calls expire", longest);
    signal(&rig, Signal::CONT);
    end_empty(rig, "10 000 calls that expire");
}

#[test]
fn a_call_in_the_pipe_of_a_frozen_manager_is_cancelled_when_that_goes_on() {
    let rig = launch(CONFIG);
    let running = toil(&rig);
    until_begun(&running);
    signal(&rig, Signal::STOP);
    let queued: Vec<_> = (0..500).map(|number| mark(&rig, number)).collect();
    queued.iter().for_each(PendingReply::cancel);
    running.cancel();
    assert!(!running.ready_within(Duration::from_millis(50)), "nobody can know whether it runs");
    signal(&rig, Signal::CONT);
    assert!(matches!(running.wait(PATIENCE), Err(CallError::Cancelled(_))));
    for call in queued {
        let end = call.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Cancelled(_))), "{end:?}");
    }
    assert_eq!(rig.scope().call(Diary {}), Ok(vec!["its toil was cancelled".to_owned()]));
    assert!(end_empty(rig, "a frozen manager").is_clean);
}

/// More of them are in its pipe than the urgent lane has room for, and nothing holds the manager up.
#[test]
fn what_is_cancelled_while_its_manager_is_frozen_never_runs() {
    let rig = launch(CONFIG);
    signal(&rig, Signal::STOP);
    let queued: Vec<_> = (0..500).map(|number| mark(&rig, number)).collect();
    queued.iter().for_each(PendingReply::cancel);
    signal(&rig, Signal::CONT);
    for call in queued {
        let end = call.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Cancelled(_))), "{end:?}");
    }
    assert_eq!(rig.scope().call(Marks {}), Ok(vec![]));
    assert!(end_empty(rig, "a frozen manager").is_clean);
}

#[test]
fn a_cancelled_call_in_the_pipe_of_a_frozen_manager_ends_with_that() {
    let rig = launch(CONFIG);
    signal(&rig, Signal::STOP);
    let queued: Vec<_> = (0..500).map(|number| mark(&rig, number)).collect();
    queued.iter().for_each(PendingReply::cancel);
    signal(&rig, Signal::KILL);
    for call in queued {
        let end = call.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Lost(_) | CallError::Cancelled(_))), "{end:?}");
    }
    eventually("the death", || rig.status().is_some_and(|status| status.managers[0].state == "failed"));
    end_empty(rig, "a frozen manager that died");
}
