//! Calls that are taken back, or given more time or less.

use std::time::Duration;

use labrig::coordinator::router::Caller;
use labrig::wire::{Ending, Generation, Kind, NotDone};

use super::bench::*;

const SECOND: Duration = Duration::from_secs(1);
const ME: Caller = Caller::Local(1);

fn not_done(why: NotDone) -> Ending {
    Ending::NotDone(why)
}

fn manager(index: usize, correlation: u64) -> Caller {
    Caller::Manager { index, generation: Generation(1), correlation }
}

/// What happens to one request to the camera when its caller takes it back after `before`: so many
/// cancellations for the camera, and the call ends at once in this way, or not.
fn check_cancel(before: impl FnOnce(&mut Bench), cancels: usize, ends: Option<NotDone>) {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).within(SECOND));
    before(&mut bench);
    drop(bench.router.take_effects());
    bench.router.cancel(ME);
    let news = bench.news();
    assert_eq!(news.cancels, vec![(CAMERA, 1); cancels]);
    assert_eq!(news.endings(), ends.map(|why| (ME, not_done(why))).into_iter().collect::<Vec<_>>());
    bench.router.cancel(ME);
    bench.router.cancel(manager(CAMERA, 1));
    let again = bench.news();
    assert!(again.cancels.is_empty() && again.answers.is_empty(), "it was cancelled again");
}

fn taken(bench: &mut Bench, index: usize) -> Sent {
    let asked = bench.pass(index).expect("it is sent");
    if index != SCOPE {
        bench.take(index);
    }
    asked
}

#[test]
fn a_call_that_was_not_sent_ends_at_once() {
    check_cancel(|_| {}, 0, Some(NotDone::Cancelled));
}

#[test]
fn of_a_call_that_was_sent_its_station_is_told_once() {
    check_cancel(|bench| drop(bench.pass(CAMERA)), 1, None);
    check_cancel(|bench| drop(taken(bench, CAMERA)), 1, None);
}

#[test]
fn a_call_that_has_ended_or_is_unknown_is_not_cancelled() {
    let answered = |bench: &mut Bench| {
        let asked = taken(bench, CAMERA);
        bench.answer(CAMERA, &asked, Ok(b"image"));
    };
    check_cancel(answered, 0, None);
    check_cancel(|bench| bench.later(SECOND), 0, None);
    check_cancel(|bench| bench.die(CAMERA), 0, None);
    check_cancel(|bench| bench.router.abandon(ME), 0, None);
    let mut bench = Bench::ready();
    bench.router.cancel(ME);
    bench.router.set_expiry(ME, Some(bench.now));
    assert!(bench.news().cancels.is_empty() && bench.router.next_deadline().is_none());
}

#[test]
fn what_was_cancelled_in_the_queue_is_not_sent_and_makes_room() {
    let mut bench = Bench::ready();
    for number in 1..=DEPTH as u8 {
        let sending = request(EXPOSE).by(Caller::Local(u64::from(number))).within(SECOND);
        bench.accept(sending.carrying([number]));
    }
    bench.router.cancel(Caller::Local(2));
    assert_eq!(bench.endings(), [(Caller::Local(2), not_done(NotDone::Cancelled))]);
    bench.accept(request(EXPOSE).by(Caller::Local(9)).carrying([9]));
    assert_eq!(bench.payloads(CAMERA), [[1], [3], [9]]);
    assert_eq!(bench.router.totals().cancelled, 1);
}

#[test]
fn a_call_that_was_cancelled_ends_as_its_station_says() {
    for (answer, expected) in [
        (Err(NotDone::Cancelled), not_done(NotDone::Cancelled)),
        (Ok(&b"too late"[..]), Ending::Done(b"too late".to_vec().into())),
    ] {
        let mut bench = Bench::ready();
        bench.accept(request(EXPOSE));
        let asked = taken(&mut bench, CAMERA);
        bench.router.cancel(ME);
        assert_eq!(bench.router.in_flight().0, 1, "it stays until its station has answered");
        bench.answer(CAMERA, &asked, answer);
        assert_eq!(bench.endings(), [(ME, expected)]);
        bench.check_settled();
    }
}

#[test]
fn a_cancelled_call_that_is_not_answered_ends_as_any_other() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).within(SECOND));
    bench.accept(request(EXPOSE).by(Caller::Local(2)));
    drop((taken(&mut bench, CAMERA), bench.pass(CAMERA)));
    bench.router.cancel(ME);
    bench.router.cancel(Caller::Local(2));
    assert_eq!(bench.news().cancels, [(CAMERA, 1), (CAMERA, 2)]);
    bench.later(SECOND);
    let news = bench.news();
    assert_eq!(news.endings(), [(ME, not_done(NotDone::Expired))]);
    assert!(news.cancels.is_empty(), "it was told before");
    bench.die(CAMERA);
    assert_eq!(bench.endings(), [(Caller::Local(2), not_done(NotDone::Lost))]);
    bench.check_settled();
}

#[test]
fn nobody_takes_back_what_another_has_asked_for() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 7));
    bench.accept(request(EXPOSE).by(Caller::Local(7)));
    let another_life = Caller::Manager { index: STAGE_X, generation: Generation(2), correlation: 7 };
    for caller in [manager(STAGE_Y, 7), another_life, Caller::Local(8), manager(STAGE_X, 8)] {
        bench.router.cancel(caller);
        bench.router.set_expiry(caller, Some(bench.now));
        bench.router.abandon(caller);
    }
    bench.later(SECOND);
    assert!(bench.endings().is_empty());
    assert_eq!(bench.router.remembered().asked, 2);
    bench.router.cancel(manager(STAGE_X, 7));
    assert_eq!(bench.pass(STAGE_X).expect("it is told").not_done(), NotDone::Cancelled);
    assert_eq!(bench.pass_all(CAMERA).len(), 1);
}

#[test]
fn a_cancelled_broadcast_takes_back_every_part_that_is_open() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT));
    let camera = taken(&mut bench, CAMERA);
    bench.answer(CAMERA, &camera, Ok(b"c"));
    let stage = taken(&mut bench, STAGE_X);
    bench.router.cancel(ME);
    assert_eq!(bench.news().cancels, [(STAGE_X, stage.header.correlation)]);
    assert!(bench.pass(STAGE_Y).is_none(), "what was queued is not sent any more");
    bench.answer(STAGE_X, &stage, Err(NotDone::Cancelled));
    let outcomes: Vec<_> = bench.report().into_iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Ok(b"c".to_vec().into()), Err(NotDone::Cancelled), Err(NotDone::Cancelled)]);
    bench.check_settled();
}

#[test]
fn a_broadcast_that_was_not_sent_to_anyone_is_reported_at_once() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT));
    bench.router.cancel(ME);
    assert!(bench.report().iter().all(|one| one.outcome == Err(NotDone::Cancelled)));
    bench.router.cancel(ME);
    assert!(bench.answers().is_empty());
    bench.check_settled();
}

// --- deadlines ---

#[test]
fn a_handler_is_told_when_its_caller_waits_no_longer() {
    let mut bench = Bench::ready();
    for number in 1..=3 {
        bench.accept(request(EXPOSE).by(Caller::Local(number)).within(SECOND));
    }
    let asked = taken(&mut bench, CAMERA);
    drop(bench.pass(CAMERA));
    bench.later(SECOND);
    let news = bench.news();
    assert_eq!(news.cancels, [(CAMERA, 1), (CAMERA, 2)], "the third was never sent");
    assert_eq!(news.answers.len(), 3);
    bench.answer(CAMERA, &asked, Err(NotDone::Cancelled));
    assert_eq!(bench.router.totals().late_answers, 1);
    bench.check_settled();
}

#[test]
fn the_parts_of_a_broadcast_that_were_sent_are_told_of_its_deadline() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT).within(SECOND));
    let asked = taken(&mut bench, STAGE_Y);
    bench.later(SECOND);
    let news = bench.news();
    assert_eq!(news.cancels, [(STAGE_Y, asked.header.correlation)]);
    assert_eq!(news.answers.len(), 1);
    bench.check_settled();
}

/// A call that was to expire in one second is to expire in that time instead, or never.
fn check_set_expiry(sending: Sending, passes: bool, time: Option<Duration>) {
    let mut bench = Bench::ready();
    bench.accept(sending.within(SECOND));
    if passes {
        (0..=SCOPE).for_each(|index| drop(bench.pass_all(index)));
    }
    bench.router.set_expiry(ME, time.map(|time| bench.now + time));
    assert_eq!(bench.router.next_deadline(), time.map(|time| bench.now + time));
    let Some(time) = time else {
        bench.later(1_000 * SECOND);
        return assert!(bench.answers().is_empty(), "it expired");
    };
    bench.later(time - Duration::from_nanos(1));
    assert!(bench.answers().is_empty(), "it expired too early");
    bench.later(Duration::from_nanos(1));
    assert_eq!(bench.answers().len(), 1, "it has not expired");
    bench.check_settled();
}

#[test]
fn a_call_may_expire_earlier_or_later_or_never() {
    for time in [Some(SECOND / 4), Some(4 * SECOND), None] {
        for passes in [true, false] {
            check_set_expiry(request(EXPOSE), passes, time);
            check_set_expiry(broadcast(SET_LIGHT), passes, time);
            check_set_expiry(request(SAVE), passes, time);
        }
    }
}

#[test]
fn what_is_still_queued_is_sent_with_the_time_it_has_now() {
    let left = |time: Option<Duration>| {
        let mut bench = Bench::ready();
        bench.accept(request(EXPOSE).within(SECOND));
        bench.router.set_expiry(ME, time.map(|time| bench.now + time));
        bench.now += Duration::from_millis(10);
        bench.pass(CAMERA).expect("it is sent").header.time_left_us
    };
    assert_eq!(left(Some(2 * SECOND)), 1_990_000);
    assert_eq!(left(Some(Duration::from_millis(20))), 10_000);
    assert_eq!(left(Some(Duration::from_millis(5))), 1, "it has passed, which is not the same as none");
    assert_eq!(left(None), 0);
}

#[test]
fn a_call_without_deadline_may_be_given_one() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    bench.router.set_expiry(ME, Some(bench.now + SECOND));
    assert_eq!(bench.pass(CAMERA).expect("it is sent").header.time_left_us, 1_000_000);
    bench.later(SECOND);
    assert_eq!(bench.endings(), [(ME, not_done(NotDone::Expired))]);
}

#[test]
fn each_open_part_of_a_broadcast_gets_the_new_deadline() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT).within(SECOND));
    let camera = taken(&mut bench, CAMERA);
    bench.answer(CAMERA, &camera, Ok(b"c"));
    bench.router.set_expiry(ME, Some(bench.now + 3 * SECOND));
    for index in [STAGE_X, STAGE_Y] {
        assert_eq!(bench.pass(index).expect("it is sent").header.time_left_us, 3_000_000);
    }
    bench.later(2 * SECOND);
    assert!(bench.answers().is_empty());
    bench.later(SECOND);
    let outcomes: Vec<_> = bench.report().into_iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Ok(b"c".to_vec().into()), Err(NotDone::Expired), Err(NotDone::Expired)]);
}

#[test]
fn who_abandons_a_stream_has_it_stopped() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    let asked = taken(&mut bench, CAMERA);
    bench.tell(CAMERA, &asked, Kind::Opened, b"opened").expect("it may be");
    drop(bench.news());
    bench.router.abandon(ME);
    assert_eq!(bench.news().cancels, [(CAMERA, asked.header.correlation)]);
    bench.check_settled();
}
