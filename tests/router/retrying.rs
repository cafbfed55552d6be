//! Calls that are given to the next life of their manager.

use std::time::Duration;

use labrig::coordinator::router::{Caller, Life};
use labrig::wire::{Ending, Generation, Kind, NotDone, Refusal};

use super::bench::*;

const ME: Caller = Caller::Local(1);
const OTHER: Caller = Caller::Local(2);

fn ended(why: NotDone) -> Vec<(Caller, Ending)> {
    vec![(ME, Ending::NotDone(why))]
}

/// The camera has taken a call that may run again.
fn taken() -> Bench {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(ME));
    drop(bench.pass(CAMERA));
    bench.take(CAMERA);
    bench
}

/// A call that stands so, and whose manager falls, ends so when no next life comes.
fn check_given_up(stands: impl Fn() -> Bench, expected: &NotDone) {
    let ways: [fn(&mut Bench); 5] = [
        |bench| bench.router.give_up(CAMERA),
        |bench| bench.die(CAMERA),
        |bench| bench.router.set_life(CAMERA, Life::Dead),
        |bench| bench.router.stop(CAMERA),
        |bench| {
            bench.begin(CAMERA, 2);
            bench.die(CAMERA);
        },
    ];
    for give_up in ways {
        let mut bench = stands();
        bench.fall(CAMERA);
        assert!(bench.endings().is_empty(), "it waits for the next life");
        give_up(&mut bench);
        assert_eq!(bench.endings(), ended(expected.clone()));
        bench.check_settled();
        bench.rise(CAMERA, 3);
        assert!(bench.pass(CAMERA).is_none(), "it has ended");
    }
}

#[test]
fn a_call_that_may_run_again_is_done_by_the_next_life() {
    for is_taken in [false, true] {
        let mut bench = if is_taken { taken() } else { Bench::ready() };
        if !is_taken {
            bench.accept(request(EXPOSE).by(ME));
        }
        bench.fall(CAMERA);
        bench.begin(CAMERA, 2);
        assert!(bench.pass(CAMERA).is_none(), "it is not ready");
        bench.router.set_life(CAMERA, Life::Ready);
        let again = bench.pass(CAMERA).expect("it is sent again");
        assert_eq!((again.header.generation, again.payload.as_slice()), (Generation(2), &[7][..]));
        bench.take(CAMERA);
        bench.answer(CAMERA, &again, Ok(b"seen"));
        assert_eq!(bench.endings(), [(ME, Ending::Done(b"seen".to_vec().into()))]);
        assert_eq!(bench.router.totals().retried, 1);
        bench.check_settled();
    }
}

#[test]
fn what_may_not_run_again_ends_with_its_manager() {
    let mut bench = Bench::ready();
    bench.accept(request(MOVE).to("stage_x").by(ME));
    bench.fall(STAGE_X);
    assert_eq!(bench.endings(), ended(NotDone::Lost));
    let mut bench = Bench::ready();
    bench.accept(send(EXPOSE));
    bench.fall(CAMERA);
    assert_eq!(bench.undelivered().len(), 1, "a one-way command has nobody who waits");
    bench.check_settled();
}

#[test]
fn without_a_next_life_it_ends_with_the_truth() {
    let queued = || {
        let mut bench = Bench::ready();
        bench.accept(request(EXPOSE).by(ME));
        bench
    };
    let sent = || {
        let mut bench = queued();
        drop(bench.pass(CAMERA));
        bench
    };
    check_given_up(queued, &NotDone::Lost);
    check_given_up(sent, &NotDone::Lost);
    check_given_up(taken, &NotDone::Indeterminate);
}

#[test]
fn what_may_have_run_is_never_said_not_to_have() {
    let refused = NotDone::Refused(Refusal::Quitting { command: "Expose".into() });
    for said in [NotDone::Cancelled, refused] {
        let mut bench = taken();
        bench.fall(CAMERA);
        bench.rise(CAMERA, 2);
        let again = bench.pass(CAMERA).expect("it is sent again");
        bench.answer(CAMERA, &again, Err(said));
        assert_eq!(bench.endings(), ended(NotDone::Indeterminate));
    }
    let acts: [fn(&mut Bench); 4] = [
        |bench| bench.router.cancel(ME),
        |bench| {
            bench.rise(CAMERA, 2);
            bench.router.cancel(ME);
        },
        |bench| drop(bench.router.stop_everything(&bench.progress)),
        |bench| bench.router.close(),
    ];
    for act in acts {
        let mut bench = taken();
        bench.fall(CAMERA);
        act(&mut bench);
        assert_eq!(bench.endings(), ended(NotDone::Indeterminate));
        bench.check_settled();
    }
}

#[test]
fn while_it_waits_it_expires_and_is_taken_back() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(ME).within(Duration::from_millis(5)));
    bench.accept(request(EXPOSE).by(OTHER));
    bench.fall(CAMERA);
    bench.later(Duration::from_millis(5));
    assert_eq!(bench.endings(), ended(NotDone::Expired));
    bench.router.cancel(OTHER);
    assert_eq!(bench.endings(), [(OTHER, Ending::NotDone(NotDone::Cancelled))]);
    bench.rise(CAMERA, 2);
    assert!(bench.pass(CAMERA).is_none());
    bench.check_settled();
}

#[test]
fn its_time_goes_on_while_it_waits() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).within(Duration::from_millis(100)));
    drop(bench.pass(CAMERA));
    bench.fall(CAMERA);
    bench.later(Duration::from_millis(40));
    bench.rise(CAMERA, 2);
    assert_eq!(bench.pass(CAMERA).expect("it is sent again").header.time_left_us, 60_000);
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(ME).within(Duration::from_millis(100)));
    drop(bench.pass(CAMERA));
    bench.fall(CAMERA);
    bench.router.set_expiry(ME, None);
    bench.rise(CAMERA, 2);
    assert_eq!(bench.pass(CAMERA).expect("it is sent again").header.time_left_us, 0, "without end");
}

#[test]
fn the_next_life_is_given_them_in_their_order_before_newer_ones() {
    let mut bench = Bench::ready();
    for number in 0..3 {
        bench.accept(request(EXPOSE).by(Caller::Local(number)).carrying([number as u8]));
    }
    drop(bench.pass(CAMERA));
    bench.fall(CAMERA);
    bench.rise(CAMERA, 2);
    drop(bench.pass(CAMERA));
    bench.fall(CAMERA);
    bench.rise(CAMERA, 3);
    bench.offer(request(EXPOSE).carrying([9])).expect_err("the queue is as full as it was");
    assert_eq!(bench.payloads(CAMERA), [[0], [1], [2]]);
}

#[test]
fn it_is_given_to_as_many_lives_as_the_config_says() {
    let mut bench = taken();
    for life in 0..RETRIES {
        bench.fall(CAMERA);
        assert!(bench.endings().is_empty());
        bench.rise(CAMERA, life + 2);
        drop(bench.pass(CAMERA).expect("it is sent again"));
    }
    bench.fall(CAMERA);
    assert_eq!(bench.endings(), ended(NotDone::Indeterminate), "an earlier life had taken it");
    assert_eq!(bench.router.totals().retried, u64::from(RETRIES));
}

#[test]
fn a_life_that_is_never_ready_is_none() {
    let mut bench = taken();
    for life in 2..10 {
        bench.fall(CAMERA);
        bench.begin(CAMERA, life);
    }
    assert!(bench.endings().is_empty());
    bench.router.set_life(CAMERA, Life::Ready);
    assert!(bench.pass(CAMERA).is_some());
}

#[test]
fn the_parts_of_a_broadcast_are_retried_each_for_itself() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT));
    for index in [CAMERA, STAGE_Y] {
        let asked = bench.pass(index).expect("it is sent");
        bench.answer(index, &asked, Ok(b"lit"));
    }
    bench.fall(STAGE_X);
    bench.rise(STAGE_X, 2);
    let again = bench.pass(STAGE_X).expect("it is sent again");
    bench.answer(STAGE_X, &again, Ok(b"lit"));
    let lives: Vec<_> = bench.report().iter().map(|one| (one.outcome.is_ok(), one.generation)).collect();
    assert_eq!(lives, [(true, 1), (true, 2), (true, 1)]);
    bench.check_settled();
}

#[test]
fn an_earlier_life_says_nothing_about_it() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(ME));
    let first = bench.pass(CAMERA).expect("it is sent");
    bench.fall(CAMERA);
    bench.answer(CAMERA, &first, Ok(b"late"));
    bench.rise(CAMERA, 2);
    bench.answer(CAMERA, &first, Ok(b"late"));
    drop(bench.pass(CAMERA));
    bench.answer(CAMERA, &first, Ok(b"late"));
    assert!(bench.endings().is_empty());
    assert_eq!(bench.router.totals().late_answers, 3);
}

#[test]
fn what_was_taken_back_half_answered_or_asked_by_the_dead_is_not_retried() {
    let cancelled = |bench: &mut Bench, _: &Sent| bench.router.cancel(ME);
    let opened = |bench: &mut Bench, asked: &Sent| {
        bench.tell(CAMERA, asked, Kind::Opened, b"first").expect("a stream may be opened");
    };
    for act in [cancelled, opened] {
        let mut bench = Bench::ready();
        bench.accept(request(EXPOSE).by(ME));
        let asked = bench.pass(CAMERA).expect("it is sent");
        bench.take(CAMERA);
        act(&mut bench, &asked);
        bench.fall(CAMERA);
        bench.check_settled();
    }
    for asker in [CAMERA, STAGE_X] {
        let mut bench = Bench::ready();
        bench.accept(request(EXPOSE).by_manager(asker, 1));
        bench.die(STAGE_X);
        bench.fall(CAMERA);
        bench.check_settled();
    }
}

#[test]
fn start_up_commands_are_given_by_the_next_start() {
    let mut bench = Bench::starting();
    bench.accept(request(EXPOSE).by(Caller::Startup(CAMERA)).to("camera"));
    bench.fall(CAMERA);
    assert_eq!(bench.endings(), [(Caller::Startup(CAMERA), Ending::NotDone(NotDone::Lost))]);
    bench.check_settled();
}

#[test]
fn what_moves_leaves_the_safe_state_again_and_is_not_given_to_the_inactive() {
    let lit = |is_inactive: bool| {
        let mut bench = Bench::ready();
        bench.accept(broadcast(SET_LIGHT));
        bench.fall(CAMERA);
        bench.begin(CAMERA, 2);
        bench.router.set_inactive(CAMERA, is_inactive);
        drop(bench.news());
        bench.router.set_life(CAMERA, Life::Ready);
        bench
    };
    let mut bench = lit(false);
    assert_eq!(bench.news().leaving, [CAMERA]);
    assert!(bench.pass(CAMERA).is_some());
    let mut bench = lit(true);
    assert!(bench.news().leaving.is_empty() && bench.pass(CAMERA).is_none());
    for index in [STAGE_X, STAGE_Y] {
        let asked = bench.pass(index).expect("it is sent");
        bench.answer(index, &asked, Ok(b"lit"));
    }
    assert_eq!(bench.report()[CAMERA].outcome, Err(NotDone::Lost));
}

#[test]
fn an_offer_is_given_to_every_next_life_and_to_none_but_those_of_its_station() {
    const OFFER: Caller = Caller::Offer(1);
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(OFFER));
    for life in 2..2 + 5 * RETRIES {
        drop(bench.pass(CAMERA).expect("it is sent"));
        bench.take(CAMERA);
        bench.fall(CAMERA);
        assert!(bench.endings().is_empty(), "it waits for life {life}");
        bench.rise(CAMERA, life);
    }
    bench.die(CAMERA);
    assert_eq!(bench.endings(), [(OFFER, Ending::NotDone(NotDone::Indeterminate))]);
    bench.check_settled();
    // What must not run again is lost with its station, whoever offers it.
    let mut bench = Bench::ready();
    bench.accept(request(MOVE).to("stage_x").by(OFFER));
    bench.fall(STAGE_X);
    assert_eq!(bench.endings(), [(OFFER, Ending::NotDone(NotDone::Lost))]);
}
