//! Awaiting a reply by callbacks, by tasks, by looking and by sleeping; in the coordinator, and in managers whose
//! worker is at something else.

use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::{PATIENCE, end_cleanly, end_empty, eventually, launch, storm, until_begun};
use labrig::{CallError, Rig};
use labrig_testbed::awaiter::*;
use labrig_testbed::commands::*;
use labrig_testbed::patient::{Linger, Then, Toil, ToilTogether};

const CONFIG: &str = "default_deadline_ms = 600000\n[managers.worker]\nkind = \"worker\"\n\
                      [managers.patient]\nkind = \"patient\"\n[managers.awaiter]\nkind = \"awaiter\"";
const WAYS: [Hearing; 4] = [Hearing::Callback, Hearing::Future, Hearing::Wait, Hearing::Look];

fn check_rig(act: impl FnOnce(&Rig)) {
    let rig = launch(CONFIG);
    act(&rig);
    end_cleanly(rig);
}

fn sums(count: i64) -> Vec<i64> {
    (0..count).map(|number| number + 100).collect()
}

#[test]
fn callbacks_are_told_the_end_once_whether_it_has_come_before_or_comes_after() {
    check_rig(|rig| {
        let pending = rig.scope().to("patient").request(Linger { number: 7, then: Then::Reply });
        let pending = pending.expect("accepted");
        let (told, heard) = channel();
        for name in ["before", "before, too"] {
            let told = told.clone();
            pending.on_complete(move |end| told.send((name, end)).expect("the test listens"));
        }
        until_begun(&pending);
        assert!(heard.try_recv().is_err(), "nothing has ended yet");
        pending.cancel();
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(("before", Ok(7))));
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(("before, too", Ok(7))));
        pending.on_complete(move |end| told.send(("after", end)).expect("the test listens"));
        assert_eq!(heard.try_recv(), Ok(("after", Ok(7))), "it is run at once");
        assert_eq!(pending.wait(PATIENCE), Ok(7), "callbacks take nothing away");
        assert!(heard.recv().is_err(), "nobody is told twice");
    });
}

#[test]
fn a_callback_that_panics_touches_nothing_else() {
    check_rig(|rig| {
        let (told, heard) = channel();
        let pending = rig.scope().request(Add { a: 1, b: 2 }).expect("accepted");
        pending.on_complete(|_| panic!("this callback has a mistake"));
        pending.on_complete(move |end| told.send(end).expect("the test listens"));
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(Ok(3)));
        assert_eq!(pending.wait(PATIENCE), Ok(3));
        assert_eq!(rig.scope().call(Add { a: 2, b: 2 }), Ok(4));
    });
}

#[test]
fn a_callback_may_call_and_wait() {
    check_rig(|rig| {
        let (scope, (told, heard)) = (rig.scope(), channel());
        rig.scope().request(Add { a: 1, b: 2 }).expect("accepted").on_complete(move |first| {
            let sum = first.and_then(|sum| scope.call(Add { a: sum, b: 10 }));
            let status = sum.and_then(|sum| scope.ping("patient", PATIENCE).map(|_| sum));
            told.send(status).expect("the test listens");
        });
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(Ok(13)));
        let sum = rig.scope().to("awaiter").call(CallInCallback { whom: "worker".to_owned() });
        assert_eq!(sum, Ok(13), "in a manager, whose worker is busy, too");
    });
}

#[test]
fn a_thousand_callbacks_are_run_once_each() {
    let rig = launch(CONFIG);
    let (told, heard) = channel();
    for number in 0..1_000 {
        let told = told.clone();
        let pending = rig.scope().request(Add { a: number, b: 0 }).expect("accepted");
        pending.on_complete(move |sum| told.send(sum).expect("the test listens"));
    }
    drop(told);
    let sums: Result<Vec<_>, CallError> = heard.iter().collect();
    // One that is added after its call's end runs at once, perhaps before others that are due.
    let mut sums = sums.expect("all are done");
    sums.sort_unstable();
    assert!(sums.into_iter().eq(0..1_000));
    end_empty(rig, "a thousand callbacks");
}

#[test]
fn a_reply_is_a_future_that_needs_no_runtime() {
    check_rig(|rig| {
        let scope = rig.scope();
        assert_eq!(block_on(scope.request(Add { a: 1, b: 2 }).expect("accepted")), Ok(3));
        let error = block_on(scope.request(Fail { code: 4 }).expect("accepted")).expect_err("it fails");
        assert_eq!(error.downcast::<TestError>(), Some(TestError::Told { code: 4 }));
        let all = scope.broadcast(ToilTogether { duration_ms: 1 }).expect("accepted");
        assert!(block_on(all).expect("a report").is_all_done());
        let mut pending = scope.request(Add { a: 1, b: 2 }).expect("accepted");
        assert_eq!([block_on(&mut pending), block_on(&mut pending)], [Ok(3), Ok(3)], "it stays ready");
    });
}

#[test]
fn replies_are_awaited_in_a_runtime() {
    check_rig(|rig| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let scope = rig.scope();
        let sums: Vec<_> = runtime.block_on(async {
            let ask = |number| scope.request(Add { a: number, b: 100 }).expect("accepted");
            let tasks: Vec<_> = (0..100).map(|number| tokio::spawn(ask(number))).collect();
            let mut sums = Vec::new();
            for task in tasks {
                sums.push(task.await.expect("the task does not panic").expect("done"));
            }
            sums
        });
        assert_eq!(sums, self::sums(100));
    });
}

#[test]
fn a_thread_of_a_manager_hears_of_answers_while_the_worker_is_busy() {
    for by in WAYS {
        check_rig(|rig| {
            let hear = HearWhileBusy { whom: "worker".to_owned(), by, count: 20 };
            assert_eq!(rig.scope().to("awaiter").call(hear), Ok(sums(20)), "by {by:?}");
            let sum = rig.scope().to("awaiter").call(Undeliverable {});
            assert_eq!(sum, Ok(vec![]), "its worker goes on");
        });
    }
}

#[test]
fn all_threads_of_a_manager_share_its_pipe_and_none_sleeps_through_its_answer() {
    let rig = launch(CONFIG);
    let (threads, rounds) = (4, 300 * storm());
    let hear = HearEverywhere { whom: "worker".to_owned(), threads, rounds };
    let pending = rig.scope().to("awaiter").request(hear).expect("accepted");
    // Meanwhile others ask it, too: they are served when its handler is through.
    let queued: Vec<_> = (0..100).map(|_| rig.scope().request(Undeliverable {}).expect("accepted")).collect();
    assert_eq!(pending.wait(PATIENCE * 10), Ok((threads + 1) * rounds));
    queued.into_iter().for_each(|call| assert_eq!(call.wait(PATIENCE), Ok(vec![])));
    end_empty(rig, "threads of a manager");
}

#[test]
fn a_handler_hears_of_answers_in_every_way() {
    for by in WAYS {
        check_rig(|rig| {
            let hear = HearInHandler { whom: "worker".to_owned(), by, count: 20 };
            let pending = rig.scope().to("awaiter").request(hear).expect("accepted");
            assert_eq!(pending.wait(PATIENCE), Ok(sums(20)), "by {by:?}");
        });
    }
}

#[test]
fn progress_is_seen_by_the_caller() {
    check_rig(|rig| {
        let toil = Toil { duration_ms: 200, nap_ms: 20 };
        let pending = rig.scope().to("patient").request(toil).expect("accepted");
        eventually("some progress", || pending.progress().is_some_and(|now| now.done > 0.0));
        let progress = pending.progress().expect("it was there");
        assert_eq!((progress.total, progress.note.as_str()), (10.0, "toiling"));
        assert_eq!(pending.wait(PATIENCE), Ok(10));
    });
}

fn check_progress_in_a_manager(looks: bool) {
    check_rig(|rig| {
        let watch = WatchToil { whom: "patient".to_owned(), naps: 10, looks };
        let pending = rig.scope().to("awaiter").request(watch).expect("accepted");
        let seen = pending.wait(PATIENCE).expect("done");
        assert!(seen.len() > 1 && seen.is_sorted(), "{seen:?}");
        assert!(seen.iter().all(|done| (0.0..=10.0).contains(done)), "{seen:?}");
    });
}

#[test]
fn progress_is_seen_by_a_handler_of_another_manager() {
    check_progress_in_a_manager(false);
}

#[test]
fn progress_is_seen_by_a_handler_that_only_looks() {
    check_progress_in_a_manager(true);
}

#[test]
fn a_reply_can_be_asked_how_it_stands() {
    check_rig(|rig| {
        let scope = rig.scope();
        let pending = scope.to("patient").request(Linger { number: 7, then: Then::Reply }).expect("accepted");
        until_begun(&pending);
        assert!(!pending.ready_within(Duration::from_millis(1)));
        assert!(pending.try_value().is_none() && !pending.is_ready() && !pending.is_error());
        pending.cancel();
        assert!(pending.ready_within(PATIENCE) && pending.is_ready());
        assert!(!pending.is_error() && !pending.is_expired());
        assert_eq!((pending.try_value(), pending.try_value()), (Some(Ok(7)), Some(Ok(7))));
        let failed = scope.request(Fail { code: 1 }).expect("accepted");
        assert!(failed.ready_within(PATIENCE) && failed.is_error() && !failed.is_expired());
        let brief = scope.with_deadline(Duration::from_millis(1));
        let expired = brief.to("patient").request(Linger { number: 8, then: Then::Reply }).expect("accepted");
        assert!(expired.ready_within(PATIENCE) && expired.is_error() && expired.is_expired());
    });
}
