//! Deadlines: of a call, of a command's type, of the rig; what is left of one is all that its handler's calls get.

use std::time::Duration;

use crate::support::{
    PATIENCE, check_gave_up, end_cleanly, end_empty, eventually, launch, until_busy, until_ready,
};
use labrig::{CallError, PendingReply, Rig};
use labrig_testbed::patient::*;
use labrig_testbed::study::*;

const TWO: &str = "default_deadline_ms = 600000\n[managers.left]\nkind = \"patient\"\n\
                   [managers.right]\nkind = \"patient\"";

/// Longer than any test goes on.
const FOR_AGES_MS: u64 = 60_000;
const SHORT: Duration = Duration::from_millis(100);

fn check_rig(config: &str, act: impl FnOnce(&Rig)) {
    let rig = launch(config);
    act(&rig);
    end_cleanly(rig);
}

fn toil(duration_ms: u64) -> Toil {
    Toil { duration_ms, nap_ms: duration_ms }
}

fn diary_of(rig: &Rig, whom: &str) -> Vec<String> {
    rig.scope().to(whom).request(Diary {}).expect("accepted").wait(PATIENCE).expect("done")
}

fn check_expired<R: std::fmt::Debug>(pending: PendingReply<R>, command: &str, by: &str) {
    assert!(pending.ready_within(PATIENCE) && pending.is_expired() && pending.is_error());
    match pending.wait(PATIENCE) {
        Err(CallError::Expired(facts)) => {
            assert_eq!((facts.command.as_str(), facts.manager.as_str()), (command, by));
        }
        other => panic!("{other:?}"),
    }
}

/// The handler of an expired call is told to give up, and its answer is counted as late.
fn check_given_up(rig: &Rig, whom: &str) {
    check_gave_up(rig, whom);
    eventually("the late answer", || rig.status().is_some_and(|status| status.totals.late_answers == 1));
}

#[test]
fn a_call_has_the_deadline_that_its_sender_asks_for() {
    check_rig(TWO, |rig| {
        let scope = rig.scope().with_deadline(SHORT);
        check_expired(scope.to("left").request(toil(FOR_AGES_MS)).expect("accepted"), "Toil", "left");
        check_given_up(rig, "left");
    });
}

#[test]
fn a_command_has_the_deadline_of_its_type() {
    check_rig(TWO, |rig| {
        let brief = ToilBriefly { duration_ms: FOR_AGES_MS };
        check_expired(rig.scope().to("left").request(brief).expect("accepted"), "ToilBriefly", "left");
        check_given_up(rig, "left");
        let longer = rig.scope().with_deadline(PATIENCE);
        assert_eq!(
            longer.to("left").call(ToilBriefly { duration_ms: 400 }),
            Ok(1),
            "the sender's word holds"
        );
        assert_eq!(rig.scope().without_deadline().to("left").call(ToilBriefly { duration_ms: 400 }), Ok(1));
    });
}

#[test]
fn a_command_without_a_deadline_of_its_own_has_that_of_the_rig() {
    check_rig(&TWO.replace("600000", "100"), |rig| {
        let ended = rig.scope().to("left").call(toil(FOR_AGES_MS));
        assert!(matches!(ended, Err(CallError::Expired(_))), "{ended:?}");
        check_given_up(rig, "left");
        assert_eq!(rig.scope().without_deadline().to("right").call(toil(300)), Ok(1));
    });
}

#[test]
fn a_handler_of_the_scope_gives_up_at_its_deadline() {
    check_rig(TWO, |rig| {
        let scope = rig.scope().with_deadline(SHORT);
        let toils = ScopeToils { duration_ms: FOR_AGES_MS, nap_ms: FOR_AGES_MS };
        check_expired(scope.request(toils).expect("accepted"), "ScopeToils", "scope");
        let relays = ScopeRelays { row: vec!["left".to_owned()], duration_ms: FOR_AGES_MS };
        check_expired(scope.request(relays).expect("accepted"), "ScopeRelays", "scope");
        check_gave_up(rig, "left");
        assert_eq!(rig.scope().call(ScopeToils { duration_ms: 1, nap_ms: 1 }), Ok(1), "the scope goes on");
    });
}

#[test]
fn a_broadcast_that_expires_says_so_for_each_manager_that_is_late() {
    check_rig(TWO, |rig| {
        let scope = rig.scope().with_deadline(SHORT);
        let all = scope.broadcast(ToilTogether { duration_ms: FOR_AGES_MS }).expect("accepted");
        assert!(all.ready_within(PATIENCE) && all.is_expired());
        let report = all.wait(PATIENCE).expect("a report");
        let is_expired = |error: &CallError| matches!(error, CallError::Expired(_));
        assert_eq!(report.failures().filter(|(_, error)| is_expired(error)).count(), 2, "{report}");
        until_ready(rig, &["left", "right"]);
    });
}

#[test]
fn an_expired_call_that_waits_in_its_queue_never_runs() {
    check_rig(TWO, |rig| {
        let running = rig.scope().to("left").request(toil(FOR_AGES_MS)).expect("accepted");
        until_busy(rig, &["left"]);
        let scope = rig.scope().with_deadline(SHORT);
        let queued: Vec<_> = (0..500)
            .map(|number| scope.to("left").request(Mark { number }).expect("the queue has room"))
            .collect();
        queued.into_iter().for_each(|call| check_expired(call, "Mark", "left"));
        running.cancel();
        assert!(matches!(running.wait(PATIENCE), Err(CallError::Cancelled(_))));
        let marks = rig.scope().to("left").call(Marks {});
        assert_eq!(marks, Ok(vec![]), "expired commands have run");
    });
}

#[test]
fn a_late_reply_is_counted_and_never_given_to_a_newer_call() {
    let rig = launch(TWO);
    let rounds = 50;
    for number in 0..rounds {
        // It replies once it has expired, when the next call of the same type is on its way already.
        let late = Linger { number, then: Then::Reply };
        let late = rig.scope().with_deadline(Duration::from_millis(5)).to("left").request(late);
        let newer = Linger { number: 1_000 + number, then: Then::Reply };
        let newer = rig.scope().to("left").request(newer).expect("accepted");
        check_expired(late.expect("accepted"), "Linger", "left");
        until_busy(&rig, &["left"]);
        newer.cancel();
        // Cancelled before it began, or while it lingered: in no case does it get the other's reply.
        let end = newer.wait(PATIENCE);
        assert!(matches!(end, Err(CallError::Cancelled(_))) || end == Ok(1_000 + number), "{end:?}");
    }
    eventually("the late replies", || {
        rig.status().is_some_and(|status| status.totals.late_answers == rounds)
    });
    let summary = end_empty(rig, "late replies");
    assert_eq!(summary.totals.expired, rounds);
}

/// The handler that calls is given little time: so is the one that is called, whatever it is asked for.
fn check_inherited(way: Way) {
    check_rig(TWO, |rig| {
        let relay = Relay { row: vec!["right".to_owned()], duration_ms: FOR_AGES_MS, way };
        let scope = rig.scope().with_deadline(Duration::from_millis(300));
        let pending = scope.to("left").request(relay).expect("accepted");
        until_busy(rig, &["left", "right"]);
        check_expired(pending, "Relay", "left");
        check_gave_up(rig, "right");
        until_ready(rig, &["left", "right"]);
        let diary = diary_of(rig, "left").concat();
        assert!(diary.contains("expired") || diary == "`Relay` was cancelled", "{diary}");
    });
}

#[test]
fn a_handlers_calls_get_no_more_time_than_is_left_of_its_own() {
    check_inherited(Way::Call);
    check_inherited(Way::Wait);
    check_inherited(Way::CallWithin { deadline_ms: 600_000 });
}

#[test]
fn a_handlers_call_may_have_less_time_than_is_left() {
    check_rig(TWO, |rig| {
        let way = Way::CallWithin { deadline_ms: 100 };
        let relay = Relay { row: vec!["right".to_owned()], duration_ms: FOR_AGES_MS, way };
        let end = rig.scope().to("left").request(relay).expect("accepted").wait(PATIENCE);
        assert!(matches!(&end, Err(CallError::Failed(_))), "the outer call has time: {end:?}");
        assert_eq!(diary_of(rig, "left"), ["`Relay` at `right` expired: no answer within its deadline"]);
    });
}

#[test]
fn the_expiry_of_a_call_can_be_brought_forward() {
    check_rig(TWO, |rig| {
        let pending = rig.scope().without_deadline().to("left").request(toil(FOR_AGES_MS)).expect("accepted");
        until_busy(rig, &["left"]);
        assert!(!pending.ready_within(SHORT));
        pending.set_expiry(Some(Duration::from_millis(1)));
        check_expired(pending, "Toil", "left");
        check_given_up(rig, "left");
    });
}

#[test]
fn the_expiry_of_a_call_can_be_put_off_or_lifted() {
    for later in [Some(PATIENCE), None] {
        check_rig(TWO, |rig| {
            let scope = rig.scope().with_deadline(Duration::from_millis(200));
            let pending = scope.to("left").request(toil(600)).expect("accepted");
            pending.set_expiry(later);
            assert_eq!(pending.wait(PATIENCE), Ok(1));
        });
    }
}

#[test]
fn the_expiry_of_a_broadcast_can_be_changed_too() {
    check_rig(TWO, |rig| {
        let all = rig.scope().broadcast(ToilTogether { duration_ms: FOR_AGES_MS }).expect("accepted");
        until_busy(rig, &["left", "right"]);
        all.set_expiry(Some(Duration::ZERO));
        assert!(all.ready_within(PATIENCE) && all.is_expired());
        until_ready(rig, &["left", "right"]);
    });
}
