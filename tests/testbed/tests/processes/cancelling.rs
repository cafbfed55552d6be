//! Calls that are taken back: wherever they are, they end once, and nothing runs that was taken back before.

use std::time::{Duration, Instant};

use crate::support::{
    PATIENCE, check_gave_up, end_cleanly, end_empty, eventually, figure, launch, until_begun, until_busy,
    until_ready,
};
use labrig::wire::FailureKind;
use labrig::{CallError, PendingReply, Rig};
use labrig_testbed::patient::*;
use labrig_testbed::study::*;

const TWO: &str = "default_deadline_ms = 600000\n[managers.left]\nkind = \"patient\"\n\
                   [managers.right]\nkind = \"patient\"";
const ONE: &str =
    "default_deadline_ms = 600000\n[managers.only]\nkind = \"patient\"\nqueue = { depth = 20000 }";

/// Longer than any test goes on.
const FOR_AGES_MS: u64 = 60_000;

fn check_rig(config: &str, act: impl FnOnce(&Rig)) {
    let rig = launch(config);
    act(&rig);
    end_cleanly(rig);
}

fn toil(rig: &Rig, whom: &str, nap_ms: u64) -> PendingReply<u64> {
    rig.scope().to(whom).request(Toil { duration_ms: FOR_AGES_MS, nap_ms }).expect("accepted")
}

fn linger(rig: &Rig, whom: &str, then: Then) -> PendingReply<u64> {
    rig.scope().to(whom).request(Linger { number: 7, then }).expect("accepted")
}

fn diary_of(rig: &Rig, whom: &str) -> Vec<String> {
    rig.scope().to(whom).request(Diary {}).expect("accepted").wait(PATIENCE).expect("done")
}

fn marks_of(rig: &Rig, whom: &str) -> Vec<u64> {
    rig.scope().to(whom).request(Marks {}).expect("accepted").wait(PATIENCE).expect("done")
}

fn check_cancelled<R: std::fmt::Debug>(pending: PendingReply<R>, command: &str, by: &str) {
    match pending.wait(PATIENCE) {
        Err(CallError::Cancelled(facts)) => {
            assert_eq!((facts.command.as_str(), facts.manager.as_str()), (command, by));
        }
        other => panic!("{other:?}"),
    }
}

/// Cancels a command that has begun; it must end as cancelled.
fn check_running(command: impl FnOnce(&Rig) -> PendingReply<u64>, name: &str) {
    check_rig(ONE, |rig| {
        let pending = command(rig);
        until_begun(&pending);
        assert!(!pending.is_ready());
        pending.cancel();
        check_cancelled(pending, name, "only");
        until_ready(rig, &["only"]);
    });
}

#[test]
fn a_handler_that_looks_up_now_and_then_is_cancelled() {
    check_running(|rig| toil(rig, "only", 20), "Toil");
    check_running(|rig| linger(rig, "only", Then::Fail), "Linger");
}

#[test]
fn a_handler_that_sleeps_is_woken_by_its_cancellation() {
    check_running(|rig| toil(rig, "only", FOR_AGES_MS), "Toil");
}

#[test]
fn a_handler_that_heeds_no_cancellation_is_done() {
    check_rig(ONE, |rig| {
        let pending = linger(rig, "only", Then::Reply);
        until_begun(&pending);
        pending.cancel();
        assert_eq!(pending.wait(PATIENCE), Ok(7));
    });
}

#[test]
fn a_handler_that_panics_at_its_cancellation_has_failed() {
    check_rig(ONE, |rig| {
        let pending = linger(rig, "only", Then::Panic);
        until_begun(&pending);
        pending.cancel();
        match pending.wait(PATIENCE) {
            Err(CallError::Failed(error)) => assert_eq!(error.failure.kind, FailureKind::Panic),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_cancelled_handler_may_still_call_others_to_leave_its_device_well() {
    check_rig(TWO, |rig| {
        let pending = linger(rig, "left", Then::Tell { whom: "right".to_owned() });
        until_begun(&pending);
        pending.cancel();
        check_cancelled(pending, "Linger", "left");
        assert_eq!(marks_of(rig, "right"), [7]);
        assert_eq!(diary_of(rig, "left"), ["told right: Ok(())"]);
    });
}

/// A handler that is blocked at another manager is cancelled, and what it waits for with it.
fn check_blocked(way: Way) {
    check_rig(TWO, |rig| {
        let relay = Relay { row: vec!["right".to_owned()], duration_ms: FOR_AGES_MS, way };
        let pending = rig.scope().to("left").request(relay).expect("accepted");
        until_busy(rig, &["left", "right"]);
        pending.cancel();
        check_cancelled(pending, "Relay", "left");
        check_gave_up(rig, "right");
        assert_eq!(diary_of(rig, "left"), ["`Relay` was cancelled"]);
    });
}

#[test]
fn a_handler_that_is_blocked_in_a_call_is_cancelled_and_the_inner_call_with_it() {
    check_blocked(Way::Call);
    check_blocked(Way::Wait);
}

#[test]
fn a_handler_that_begins_to_wait_after_its_cancellation_takes_what_it_asked_for_before_back() {
    check_blocked(Way::WaitTooLate);
}

#[test]
fn a_cancellation_reaches_the_last_of_a_row_of_calls() {
    let config: String =
        ["a", "b", "c", "d"].map(|name| format!("[managers.{name}]\nkind = \"patient\"\n")).concat();
    check_rig(&format!("default_deadline_ms = 600000\n{config}"), |rig| {
        let row = ["b", "c", "d"].map(str::to_owned).to_vec();
        let relay = Relay { row, duration_ms: FOR_AGES_MS, way: Way::Call };
        let pending = rig.scope().to("a").request(relay).expect("accepted");
        until_busy(rig, &["a", "b", "c", "d"]);
        pending.cancel();
        check_cancelled(pending, "Relay", "a");
        until_ready(rig, &["b", "c", "d"]);
        check_gave_up(rig, "d");
    });
}

#[test]
fn a_handler_of_the_scope_is_cancelled() {
    check_rig(TWO, |rig| {
        let scope = rig.scope();
        for nap_ms in [20, FOR_AGES_MS] {
            let toils = scope.request(ScopeToils { duration_ms: FOR_AGES_MS, nap_ms }).expect("accepted");
            eventually("its first word", || toils.progress().is_some());
            toils.cancel();
            check_cancelled(toils, "ScopeToils", "scope");
        }
        let relays = ScopeRelays { row: vec!["left".to_owned()], duration_ms: FOR_AGES_MS };
        let relays = scope.request(relays).expect("accepted");
        until_busy(rig, &["left"]);
        relays.cancel();
        check_cancelled(relays, "ScopeRelays", "scope");
        check_gave_up(rig, "left");
    });
}

#[test]
fn a_manager_takes_back_what_it_asked_another_for() {
    for (by, said) in [
        (TakenBack::Cancelling, "`Toil` at `right` was cancelled"),
        (TakenBack::Dropping, "dropped"),
        (TakenBack::Expiring, "`Toil` at `right` expired: no answer within its deadline"),
    ] {
        check_rig(TWO, |rig| {
            let take_back = TakeBack { whom: "right".to_owned(), by };
            let end = rig.scope().to("left").request(take_back).expect("accepted").wait(PATIENCE);
            assert_eq!(end.as_deref(), Ok(said));
            check_gave_up(rig, "right");
        });
    }
}

#[test]
fn a_broadcast_is_taken_back_wherever_it_has_not_ended() {
    check_rig(TWO, |rig| {
        let before = toil(rig, "right", FOR_AGES_MS);
        until_begun(&before);
        let all = rig.scope().broadcast(ToilTogether { duration_ms: FOR_AGES_MS }).expect("accepted");
        until_busy(rig, &["left"]);
        all.cancel();
        before.cancel();
        let report = all.wait(PATIENCE).expect("a report");
        let names: Vec<_> = report.failures().map(|(name, _)| name).collect();
        assert_eq!(names, ["left", "right"]);
        let is_cancelled = |error: &CallError| matches!(error, CallError::Cancelled(_));
        assert!(report.failures().all(|(_, error)| is_cancelled(error)), "{report}");
        check_cancelled(before, "Toil", "right");
        assert_eq!(diary_of(rig, "right"), ["its toil was cancelled"], "the broadcast did not run there");
    });
}

#[test]
fn dropping_a_pending_reply_cancels_only_when_it_is_told_to() {
    check_rig(TWO, |rig| {
        drop(rig.scope().to("left").request(Mark { number: 1 }).expect("accepted"));
        let toils = Toil { duration_ms: 50, nap_ms: 10 };
        drop(rig.scope().to("left").request(toils).expect("accepted"));
        eventually("the marks", || marks_of(rig, "left") == [1]);
        assert_eq!(diary_of(rig, "left"), [""; 0]);
        drop(toil(rig, "left", FOR_AGES_MS).cancel_on_drop());
        let waited = toil(rig, "right", FOR_AGES_MS).cancel_on_drop();
        until_begun(&waited);
        let gave_up = waited.wait(Duration::ZERO);
        assert!(matches!(gave_up, Err(CallError::NoAnswerYet { .. })), "{gave_up:?}");
        assert_eq!(diary_of(rig, "right"), ["its toil was cancelled"]);
        until_ready(rig, &["left", "right"]);
    });
}

#[test]
fn a_call_that_is_done_is_not_cancelled_any_more() {
    check_rig(ONE, |rig| {
        let mark = rig.scope().request(Mark { number: 1 }).expect("accepted").cancel_on_drop();
        assert!(mark.ready_within(PATIENCE));
        mark.cancel();
        assert_eq!(mark.wait(PATIENCE), Ok(()));
        assert_eq!(rig.status().expect("the rig runs").totals.cancelled, 0);
    });
}

#[test]
fn a_cancellation_overtakes_ten_thousand_queued_commands() {
    check_rig(ONE, |rig| {
        let running = toil(rig, "only", FOR_AGES_MS);
        until_busy(rig, &["only"]);
        for number in 0..10_000 {
            rig.scope().send(Mark { number }).expect("the queue has room");
        }
        let begin = Instant::now();
        running.cancel();
        check_cancelled(running, "Toil", "only");
        figure("a cancellation past 10 000 queued commands, to its end", begin.elapsed());
        let mut marks = Vec::new();
        eventually("all marks", || {
            marks = marks_of(rig, "only");
            marks.len() == 10_000
        });
        assert!(marks.is_sorted());
    });
}

/// Cancels so many queued calls at once while another runs; none of them may run.
fn check_queued(count: u64) {
    let rig = launch(ONE);
    let running = toil(&rig, "only", FOR_AGES_MS);
    until_busy(&rig, &["only"]);
    let mark = |number| rig.scope().request(Mark { number }).expect("the queue has room");
    let begin = Instant::now();
    let taken_back: Vec<_> = (0..count).map(mark).collect();
    figure(&format!("asking a busy manager {count} times"), begin.elapsed());
    let kept = mark(count);
    let begin = Instant::now();
    taken_back.iter().for_each(PendingReply::cancel);
    running.cancel();
    check_cancelled(running, "Toil", "only");
    taken_back.into_iter().for_each(|call| check_cancelled(call, "Mark", "only"));
    figure(&format!("{count} queued calls and the one that ran, cancelled"), begin.elapsed());
    assert_eq!(kept.wait(PATIENCE), Ok(()));
    assert_eq!(marks_of(&rig, "only"), [count], "what was cancelled before it began has run");
    let summary = end_empty(rig, &format!("{count} cancelled calls"));
    assert_eq!(summary.totals.cancelled, count + 1);
}

#[test]
fn what_is_cancelled_before_it_begins_never_runs() {
    check_queued(1);
}

#[test]
fn more_calls_are_cancelled_at_once_than_the_urgent_lane_has_room_for() {
    check_queued(200);
    check_queued(1000);
    check_queued(10_000);
}
