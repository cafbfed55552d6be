//! The endings of calls, told one by one to whoever traces them.

use std::time::Duration;

use labrig::coordinator::router::{Caller, TracedEnding};
use labrig::wire::{Failure, Generation, Header, Kind, NotDone};

use super::bench::*;

const SECOND: Duration = Duration::from_secs(1);
const ME: Caller = Caller::Local(1);

/// A request to the camera on which `act` is done is traced once, with this word and time of its handler;
/// nothing is, where nobody traces.
fn check_traced(act: impl Fn(&mut Bench, &Sent), ending: &'static str, handler: Option<Duration>) {
    for is_tracing in [true, false] {
        let mut bench = Bench::ready();
        if is_tracing {
            bench.router.trace_endings();
        }
        let accepted_at = bench.now;
        bench.accept(request(EXPOSE).within(SECOND));
        let asked = bench.pass(CAMERA).expect("it is sent");
        bench.take(CAMERA);
        bench.now += Duration::from_millis(3);
        act(&mut bench, &asked);
        bench.die(CAMERA);
        let (caller, station, generation, command) = (ME, CAMERA, Generation(1), EXPOSE);
        let call = asked.header.correlation;
        let expected =
            TracedEnding { caller, station, generation, command, call, accepted_at, handler, ending };
        assert_eq!(bench.news().traced, if is_tracing { vec![expected] } else { Vec::new() });
    }
}

/// The camera says that its handler ran for so many µs.
fn after(handler_us: u64, kind: Kind, asked: &Sent) -> Header {
    let Header { generation, correlation, .. } = asked.header;
    Header { generation, correlation, time_left_us: handler_us, ..Header::new(kind) }
}

#[test]
fn an_answered_call_is_traced_with_the_time_of_its_handler() {
    let done = |bench: &mut Bench, asked: &Sent| {
        let header = after(700, Kind::Done, asked);
        bench.router.answered(CAMERA, &header, b"image").expect("it can be read");
        bench.router.answered(CAMERA, &header, b"twice").expect("it can be read");
    };
    check_traced(done, "done", Some(Duration::from_micros(700)));
    for (why, word) in [(NotDone::Failed(Failure::text("no")), "failed"), (NotDone::Cancelled, "cancelled")] {
        let answer = |bench: &mut Bench, asked: &Sent| bench.answer(CAMERA, asked, Err(why.clone()));
        check_traced(answer, word, Some(Duration::ZERO));
    }
}

#[test]
fn a_call_that_is_not_answered_is_traced_without() {
    check_traced(|bench, _| bench.later(SECOND), "expired", None);
    check_traced(|bench, _| bench.die(CAMERA), "indeterminate", None);
    check_traced(|bench, _| bench.router.abandon(ME), "abandoned", None);
    let never_taken = |bench: &mut Bench, _: &Sent| {
        bench.progress.0[CAMERA] = 0;
        bench.die(CAMERA);
    };
    check_traced(never_taken, "lost", None);
}

#[test]
fn a_stream_is_traced_at_its_end_with_the_time_of_the_handler_that_opened_it() {
    let opened = |bench: &mut Bench, asked: &Sent| {
        let header = after(900, Kind::Opened, asked);
        bench.router.told(CAMERA, &header, b"").expect("it may be");
    };
    let ended = |bench: &mut Bench, asked: &Sent| {
        opened(bench, asked);
        bench.answer(CAMERA, asked, Ok(b""));
    };
    let handler = Some(Duration::from_micros(900));
    check_traced(ended, "done", handler);
    check_traced(opened, "indeterminate", handler);
}

/// What is traced of a broadcast on which `act` is done: the stations and how it ended there. All name
/// whoever broadcast it.
fn check_traced_parts(act: impl Fn(&mut Bench, Caller), expected: &[(usize, &str)]) {
    for caller in [ME, Caller::Manager { index: CAMERA, generation: Generation(1), correlation: 8 }] {
        let mut bench = Bench::ready();
        bench.router.trace_endings();
        bench.accept(broadcast(SET_LIGHT).by(caller).within(SECOND));
        act(&mut bench, caller);
        (0..=SCOPE).for_each(|index| bench.die(index));
        let traced = bench.news().traced;
        assert!(traced.iter().all(|traced| traced.caller == caller && traced.command == SET_LIGHT));
        let found: Vec<_> = traced.iter().map(|traced| (traced.station, traced.ending)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn each_part_of_a_broadcast_is_traced_with_whoever_broadcast_it() {
    let answer = |bench: &mut Bench, index| {
        let asked = bench.pass(index).expect("it is sent");
        bench.take(index);
        bench.answer(index, &asked, Ok(b"done"));
    };
    let done =
        |bench: &mut Bench, _| [STAGE_X, CAMERA, STAGE_Y].iter().for_each(|index| answer(bench, *index));
    check_traced_parts(done, &[(STAGE_X, "done"), (CAMERA, "done"), (STAGE_Y, "done")]);
    let expired = |bench: &mut Bench, _| {
        answer(bench, STAGE_Y);
        bench.later(SECOND);
    };
    check_traced_parts(expired, &[(STAGE_Y, "done"), (CAMERA, "expired"), (STAGE_X, "expired")]);
    let abandoned = |bench: &mut Bench, caller| {
        answer(bench, CAMERA);
        bench.router.abandon(caller);
    };
    check_traced_parts(abandoned, &[(CAMERA, "done"), (STAGE_X, "abandoned"), (STAGE_Y, "abandoned")]);
    let cancelled = |bench: &mut Bench, caller| bench.router.cancel(caller);
    check_traced_parts(cancelled, &[CAMERA, STAGE_X, STAGE_Y].map(|index| (index, "cancelled")));
    check_traced_parts(|_, _| {}, &[CAMERA, STAGE_X, STAGE_Y].map(|index| (index, "lost")));
}

#[test]
fn a_refused_wait_is_traced() {
    let mut bench = Bench::ready();
    bench.router.trace_endings();
    let caller = Caller::Manager { index: CAMERA, generation: Generation(1), correlation: 8 };
    bench.accept(broadcast(SET_LIGHT).by(caller));
    bench.accept(request(EXPOSE).by(Caller::Manager {
        index: CAMERA,
        generation: Generation(1),
        correlation: 9,
    }));
    bench.router.begin_wait(caller);
    bench.router.begin_wait(Caller::Manager { index: CAMERA, generation: Generation(1), correlation: 9 });
    let traced: Vec<_> = bench.news().traced.into_iter().map(|one| (one.station, one.ending)).collect();
    let expected = [CAMERA, STAGE_X, STAGE_Y, CAMERA].map(|index| (index, "deadlock"));
    assert_eq!(traced, expected);
    bench.check_settled();
}

#[test]
fn what_is_one_way_or_refused_is_not_traced() {
    let mut bench = Bench::ready();
    bench.router.trace_endings();
    bench.accept(send(EXPOSE));
    drop(bench.offer(request(MOVE)));
    (0..=SCOPE).for_each(|index| bench.die(index));
    assert!(bench.news().traced.is_empty());
}
