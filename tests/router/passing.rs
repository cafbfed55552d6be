//! The short way of one-way commands: who goes it, and that it comes to the same.

use std::time::Duration;

use labrig::coordinator::router::Life;
use labrig::wire::{Generation, Kind, Refusal};

use super::bench::*;

/// The one-way command goes the short way, or not; if not, nothing has changed.
fn check_passes(prepare: impl Fn(&mut Bench), sending: &Sending, has_room: bool, expected: Option<usize>) {
    let mut bench = Bench::ready();
    prepare(&mut bench);
    let before = (0..SCOPE).map(|index| bench.router.station(index).sent()).collect::<Vec<_>>();
    let totals = bench.router.totals();
    let passed = bench.pass_on(sending, |_| has_room);
    assert_eq!(passed.as_ref().map(|(index, _)| *index), expected);
    for (index, before) in before.into_iter().enumerate() {
        let has_grown = u64::from(expected == Some(index));
        assert_eq!(bench.router.station(index).sent(), before + has_grown);
    }
    match passed {
        None => assert_eq!(bench.router.totals(), totals),
        Some((index, sent)) => {
            assert_eq!(bench.router.totals().sends, totals.sends + 1);
            assert_eq!((sent.header.kind, sent.header.generation), (Kind::Send, Generation(1)));
            let mut other = Bench::ready();
            other.accept(sending.clone());
            assert_eq!(other.pass(index), Some(sent), "it is the same envelope as by the queue");
        }
    }
}

#[test]
fn a_plain_one_way_command_for_whom_nothing_waits_goes_straight_into_the_pipe() {
    check_passes(|_| {}, &send(EXPOSE), true, Some(CAMERA));
    check_passes(|_| {}, &send(SHOW).by_manager(STAGE_X, 4), true, Some(CAMERA));
    check_passes(|_| {}, &send(EXPOSE), false, None);
}

#[test]
fn whatever_is_not_plain_goes_by_the_queue() {
    let asleep = |bench: &mut Bench| bench.router.set_life(CAMERA, Life::Stopping);
    for other in [request(EXPOSE), send(SAVE), send(MOVE).to("stage_x"), send(UNKNOWN), send(GHOST)] {
        check_passes(|_| {}, &other, true, None);
    }
    check_passes(|_| {}, &send(EXPOSE).within(Duration::from_secs(1)), true, None);
    check_passes(|bench| bench.accept(request(EXPOSE)), &send(EXPOSE), true, None);
    check_passes(asleep, &send(EXPOSE), true, None);
    check_passes(|bench| bench.router.begin_quit(), &send(EXPOSE), true, None);
    check_passes(|bench| bench.die(CAMERA), &send(EXPOSE), true, None);
}

#[test]
fn by_the_short_way_as_many_commands_may_wait_as_by_the_queue() {
    let mut bench = Bench::ready();
    for _ in 0..DEPTH {
        assert!(bench.pass_on(&send(EXPOSE), |_| true).is_some());
    }
    assert!(bench.pass_on(&send(EXPOSE), |_| true).is_none());
    assert!(matches!(bench.offer(send(EXPOSE)), Err(Refusal::Busy { .. })));
    bench.take(CAMERA);
    assert!(bench.pass_on(&send(EXPOSE), |_| true).is_some());
}
