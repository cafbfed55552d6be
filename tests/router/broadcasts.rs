//! Broadcasts: one outcome per manager, whatever becomes of the managers.

use std::time::Duration;

use labrig::coordinator::router::Caller;
use labrig::wire::envelope::MAX_PAYLOAD_BYTES;
use labrig::wire::{
    BroadcastOutcome, Failure, Filter, Generation, Glob, Kind, MAX_ENVELOPE_BYTES, NotDone, Refusal,
    TypeSchema, codec,
};

use super::bench::*;

const SECOND: Duration = Duration::from_secs(1);

fn outcome(index: usize, generation: u32, outcome: Result<&[u8], NotDone>) -> BroadcastOutcome {
    BroadcastOutcome {
        manager: NAMES[index].into(),
        generation,
        outcome: outcome.map(|it| it.to_vec().into()),
    }
}

/// A broadcast to which `act` happens is reported once, like this, and counted once.
fn check_report(
    prepare: impl FnOnce(&mut Bench),
    act: impl FnOnce(&mut Bench),
    expected: &[BroadcastOutcome],
) {
    let mut bench = Bench::ready();
    prepare(&mut bench);
    bench.accept(broadcast(SET_LIGHT).within(SECOND));
    act(&mut bench);
    assert_eq!(bench.report(), expected);
    let totals = bench.router.totals();
    assert_eq!((totals.accepted, totals.done), (1, 1));
    bench.check_settled();
}

fn answer(bench: &mut Bench, index: usize, ending: Result<&[u8], NotDone>) {
    let asked = bench.pass(index).expect("it is sent");
    bench.progress.0[index] += 1;
    bench.answer(index, &asked, ending);
}

#[test]
fn every_manager_has_its_outcome() {
    let all = |bench: &mut Bench| {
        answer(bench, STAGE_Y, Ok(b"y"));
        answer(bench, CAMERA, Ok(b"c"));
        assert!(bench.answers().is_empty(), "the report came too early");
        answer(bench, STAGE_X, Ok(b"x"));
    };
    let expected =
        [outcome(CAMERA, 1, Ok(b"c")), outcome(STAGE_X, 1, Ok(b"x")), outcome(STAGE_Y, 1, Ok(b"y"))];
    check_report(|_| {}, all, &expected);
}

#[test]
fn one_failing_receiver_stops_nobody_else() {
    let failed = || NotDone::Failed(Failure::text("no lamp"));
    let act = |bench: &mut Bench| {
        answer(bench, CAMERA, Err(failed()));
        drop(bench.pass(STAGE_X));
        bench.take(STAGE_X);
        bench.die(STAGE_X);
        answer(bench, STAGE_Y, Ok(b"y"));
    };
    let expected = [
        outcome(CAMERA, 1, Err(failed())),
        outcome(STAGE_X, 1, Err(NotDone::Indeterminate)),
        outcome(STAGE_Y, 1, Ok(b"y")),
    ];
    check_report(|_| {}, act, &expected);
}

#[test]
fn a_manager_that_is_dead_ending_or_full_says_so_at_once() {
    let refused = NotDone::Refused;
    let command = || "SetLight".to_owned();
    let prepare = |bench: &mut Bench| {
        bench.die(CAMERA);
        bench.router.stop(STAGE_X);
        (0..DEPTH).for_each(|_| bench.accept(send(MOVE).to("stage_y")));
    };
    let expected = [
        outcome(CAMERA, 0, Err(refused(Refusal::Dead { manager: name(CAMERA), command: command() }))),
        outcome(STAGE_X, 1, Err(refused(Refusal::Quitting { command: command() }))),
        outcome(
            STAGE_Y,
            1,
            Err(refused(Refusal::Busy { manager: name(STAGE_Y), command: command(), depth: DEPTH })),
        ),
    ];
    check_report(prepare, |_| {}, &expected);
}

#[test]
fn a_manager_that_is_absent_says_so_at_once() {
    let prepare = |bench: &mut Bench| bench.leave_out(STAGE_X, "no device");
    let act = |bench: &mut Bench| {
        answer(bench, CAMERA, Ok(b"c"));
        answer(bench, STAGE_Y, Ok(b"y"));
    };
    let (command, why) = ("SetLight".to_owned(), "no device".to_owned());
    let absent = Refusal::NotPresent { manager: name(STAGE_X), command, why };
    let expected = [
        outcome(CAMERA, 1, Ok(b"c")),
        outcome(STAGE_X, 0, Err(NotDone::Refused(absent))),
        outcome(STAGE_Y, 1, Ok(b"y")),
    ];
    check_report(prepare, act, &expected);
}

#[test]
fn a_slow_manager_expires_alone() {
    let act = |bench: &mut Bench| {
        answer(bench, CAMERA, Ok(b"c"));
        answer(bench, STAGE_X, Ok(b"x"));
        bench.later(SECOND);
    };
    let expected = [
        outcome(CAMERA, 1, Ok(b"c")),
        outcome(STAGE_X, 1, Ok(b"x")),
        outcome(STAGE_Y, 1, Err(NotDone::Expired)),
    ];
    check_report(|_| {}, act, &expected);
}

#[test]
fn the_end_of_the_rig_completes_the_report() {
    let closed = || Err(NotDone::Refused(Refusal::Closed));
    let act = |bench: &mut Bench| {
        answer(bench, CAMERA, Ok(b"c"));
        bench.router.close();
    };
    let expected =
        [outcome(CAMERA, 1, Ok(b"c")), outcome(STAGE_X, 1, closed()), outcome(STAGE_Y, 1, closed())];
    check_report(|_| {}, act, &expected);
}

#[test]
fn an_abandoned_broadcast_leaves_the_table_and_may_still_run() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT));
    answer(&mut bench, CAMERA, Ok(b"c"));
    bench.router.abandon(Caller::Local(1));
    assert_eq!((bench.router.totals().expired, bench.router.totals().done), (1, 0));
    bench.check_settled();
    answer(&mut bench, STAGE_X, Ok(b"x"));
    answer(&mut bench, STAGE_Y, Ok(b"y"));
    assert!(bench.answers().is_empty());
    assert_eq!(bench.router.totals().late_answers, 2);
}

fn reported(sent: &Sent) -> Vec<BroadcastOutcome> {
    codec::from_postcard(&sent.payload, TypeSchema::known::<Vec<BroadcastOutcome>>()).expect("a report")
}

#[test]
fn a_manager_gets_its_report_through_its_pipe() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT).by_manager(CAMERA, 12));
    for index in [CAMERA, STAGE_X, STAGE_Y] {
        answer(&mut bench, index, Ok(NAMES[index].as_bytes()));
    }
    let told = bench.pass(CAMERA).expect("a report");
    assert_eq!((told.header.kind, told.header.correlation), (Kind::Report, 12));
    let expected = [CAMERA, STAGE_X, STAGE_Y].map(|index| outcome(index, 1, Ok(NAMES[index].as_bytes())));
    assert_eq!(reported(&told), expected);
    bench.check_settled();
}

#[test]
fn replies_too_large_for_one_report_fail_alone() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT).by_manager(CAMERA, 12));
    answer(&mut bench, CAMERA, Ok(b"c"));
    answer(&mut bench, STAGE_X, Ok(&vec![1; MAX_PAYLOAD_BYTES - 100]));
    answer(&mut bench, STAGE_Y, Ok(&vec![1; MAX_PAYLOAD_BYTES - 100]));
    let told = bench.pass(CAMERA).expect("a report");
    assert!(told.header.seal(&told.payload).len() <= MAX_ENVELOPE_BYTES);
    let outcomes = reported(&told);
    assert_eq!(outcomes[0], outcome(CAMERA, 1, Ok(b"c")));
    assert!(matches!(&outcomes[1].outcome, Err(NotDone::Failed(why)) if why.text.contains("report")));
    assert!(matches!(&outcomes[2].outcome, Err(NotDone::Failed(_))));
}

#[test]
fn a_report_for_a_dead_manager_goes_nowhere() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT).by_manager(CAMERA, 12));
    bench.die(CAMERA);
    bench.router.begin_life(CAMERA, Generation(2));
    answer(&mut bench, STAGE_X, Ok(b"x"));
    answer(&mut bench, STAGE_Y, Ok(b"y"));
    assert!(bench.pass(CAMERA).is_none());
    assert_eq!((bench.router.totals().done, bench.router.totals().late_answers), (1, 1));
    bench.check_settled();
}

// --- filters ---

fn filter(subject: &str, sender: &str) -> Filter {
    Filter { subject: Glob::new(subject), sender: Glob::new(sender) }
}

/// With these filters on what the stages hear, a broadcast reaches exactly these managers.
fn check_heard_by(filters: &[Filter], sending: Sending, expected: &[usize]) {
    let on_stages = |index| if index == CAMERA { Vec::new() } else { filters.to_vec() };
    let mut bench = Bench::hearing(on_stages);
    bench.all_ready();
    bench.accept(sending);
    let reached: Vec<_> = (0..=SCOPE).filter(|index| bench.pass(*index).is_some()).collect();
    assert_eq!(reached, expected, "with {filters:?}");
}

#[test]
fn a_broadcast_is_heard_where_a_filter_lets_it_pass() {
    let all = [CAMERA, STAGE_X, STAGE_Y];
    check_heard_by(&[], broadcast(SET_LIGHT), &all);
    check_heard_by(&[filter("Set*", "scope")], broadcast(SET_LIGHT), &all);
    check_heard_by(&[filter("Set*", "*")], broadcast(SET_LIGHT).by_manager(STAGE_X, 1), &all);
    check_heard_by(
        &[filter("*", "camera"), filter("*", "stage_?")],
        broadcast(SET_LIGHT).by_manager(STAGE_X, 1),
        &all,
    );
    check_heard_by(&[filter("Set", "*")], broadcast(SET_LIGHT), &[CAMERA]);
    check_heard_by(&[filter("Set*", "tracker")], broadcast(SET_LIGHT), &[CAMERA]);
    check_heard_by(&[filter("Set*", "scope")], broadcast(SET_LIGHT).by_manager(CAMERA, 1), &[CAMERA]);
}

#[test]
fn filters_are_for_broadcasts_alone() {
    check_heard_by(&[filter("Nothing", "nobody")], request(MOVE).to("stage_x"), &[STAGE_X]);
}

#[test]
fn who_does_not_hear_is_not_in_the_report() {
    let deaf = |index| if index == CAMERA { Vec::new() } else { vec![filter("Other", "*")] };
    let mut bench = Bench::hearing(deaf);
    bench.all_ready();
    bench.accept(broadcast(SET_LIGHT));
    answer(&mut bench, CAMERA, Ok(b"c"));
    assert_eq!(bench.report(), [outcome(CAMERA, 1, Ok(b"c"))]);
    bench.check_settled();
}

#[test]
fn a_broadcast_that_nobody_hears_is_done_with_an_empty_report() {
    let mut bench = Bench::hearing(|_| vec![filter("Other", "*")]);
    bench.all_ready();
    bench.accept(broadcast(SET_LIGHT));
    assert_eq!(bench.report(), []);
    assert_eq!(bench.router.totals().done, 1);
    bench.check_settled();
}
