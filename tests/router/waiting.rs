//! Who may wait for whom: no handler ever waits for one that waits for it.

use std::time::Duration;

use labrig::coordinator::router::{Caller, Life};
use labrig::wire::{Ending, Generation, Kind, NotDone, Refusal};

use super::bench::*;

const SECOND: Duration = Duration::from_secs(1);

/// The caller that is the handler of a station.
fn handler(index: usize, number: u64) -> Caller {
    match index {
        SCOPE => Caller::Local(number),
        _ => Caller::Manager { index, generation: Generation(1), correlation: number },
    }
}

/// A command that the station serves.
fn for_station(kind: Kind, index: usize) -> Sending {
    match index {
        CAMERA => sending(kind, EXPOSE),
        SCOPE => sending(kind, SAVE),
        stage => sending(kind, MOVE).to(NAMES[stage]),
    }
}

/// The handler of `from` calls `to` and waits; its number for that is the place of `to` among the stations.
fn calls(bench: &mut Bench, from: usize, to: usize) -> Result<(), Refusal> {
    bench.offer(for_station(Kind::Call, to).by(handler(from, number_of(to))))
}

fn number_of(to: usize) -> u64 {
    100 + to as u64
}

/// The handler of `from` has asked `to` before, and waits for that now.
fn waits(bench: &mut Bench, from: usize, to: usize) {
    bench.accept(for_station(Kind::Request, to).by(handler(from, number_of(to))));
    bench.router.begin_wait(handler(from, number_of(to)));
}

fn names(path: &[usize]) -> Vec<String> {
    path.iter().map(|index| NAMES[*index].to_owned()).collect()
}

/// The refusal of the call that would close this cycle.
fn would_deadlock(cycle: &[usize]) -> Refusal {
    let command = match cycle[1] {
        CAMERA => "Expose",
        SCOPE => "Save",
        _ => "Move",
    };
    Refusal::WouldDeadlock { command: command.to_owned(), cycle: names(cycle) }
}

/// All but the last wait on this cycle may begin, by call or after a request; the last is refused or ends,
/// names it, and leaves nothing behind; then the others go on.
fn check_cycle(cycle: &[usize]) {
    for begin in [|bench: &mut Bench, from, to| calls(bench, from, to).expect("no cycle yet"), waits] {
        let mut bench = Bench::ready();
        for pair in cycle.windows(2).skip(1) {
            begin(&mut bench, pair[0], pair[1]);
        }
        let asked: Vec<_> = cycle[2..].iter().rev().map(|to| (*to, taken(&mut bench, *to))).collect();
        check_call_refused(&mut bench, cycle);
        check_wait_ends(&mut bench, cycle);
        assert_eq!(bench.router.remembered().waits, asked.len(), "those that had begun");
        for (to, asked) in &asked {
            bench.answer(*to, asked, Ok(b"done"));
        }
        assert_eq!(bench.router.totals().done, asked.len() as u64);
        bench.check_settled();
    }
}

fn check_call_refused(bench: &mut Bench, cycle: &[usize]) {
    let before = bench.router.remembered();
    drop(bench.router.take_effects());
    assert_eq!(calls(bench, cycle[0], cycle[1]), Err(would_deadlock(cycle)));
    assert_eq!(bench.router.remembered(), before);
    assert!(bench.router.take_effects().is_empty(), "a refusal has effects");
}

/// Who asked without waiting may ask; the wait ends the call.
fn check_wait_ends(bench: &mut Bench, cycle: &[usize]) {
    let before = bench.router.remembered();
    waits(bench, cycle[0], cycle[1]);
    let why = NotDone::Deadlock { cycle: names(cycle) };
    assert_eq!(told(bench, cycle[0]), [why]);
    assert_eq!(bench.router.remembered(), before);
}

/// What the handler of a station is told of calls that were not done.
fn told(bench: &mut Bench, index: usize) -> Vec<NotDone> {
    let not_done = |ending| match ending {
        Ending::NotDone(why) => why,
        Ending::Done(_) => panic!("it was done"),
    };
    match index {
        SCOPE => bench.endings().into_iter().map(|(_, ending)| not_done(ending)).collect(),
        _ => {
            let is_answer = |sent: &Sent| sent.header.kind == Kind::Ended;
            bench.pass_all(index).iter().filter(|sent| is_answer(sent)).map(Sent::not_done).collect()
        }
    }
}

fn taken(bench: &mut Bench, index: usize) -> Sent {
    let asked = bench.pass(index).expect("it is sent");
    assert_eq!(asked.header.kind, Kind::Request);
    if index != SCOPE {
        bench.take(index);
    }
    asked
}

fn answer(bench: &mut Bench, index: usize) {
    let asked = taken(bench, index);
    bench.answer(index, &asked, Ok(b"done"));
}

#[test]
fn nobody_waits_for_itself() {
    for index in [CAMERA, STAGE_X, SCOPE] {
        check_cycle(&[index, index]);
    }
}

#[test]
fn two_that_call_each_other_do_not_both_wait() {
    check_cycle(&[CAMERA, STAGE_X, CAMERA]);
    check_cycle(&[STAGE_X, CAMERA, STAGE_X]);
    check_cycle(&[CAMERA, SCOPE, CAMERA]);
    check_cycle(&[SCOPE, STAGE_Y, SCOPE]);
}

#[test]
fn a_ring_of_calls_is_not_closed() {
    check_cycle(&[CAMERA, STAGE_X, STAGE_Y, CAMERA]);
    check_cycle(&[STAGE_Y, SCOPE, CAMERA, STAGE_Y]);
    check_cycle(&[CAMERA, STAGE_X, STAGE_Y, SCOPE, CAMERA]);
}

#[test]
fn the_other_one_goes_on_when_a_wait_is_refused() {
    let mut bench = Bench::ready();
    calls(&mut bench, STAGE_X, CAMERA).expect("nobody waits yet");
    bench.accept(for_station(Kind::Request, STAGE_X).by(handler(CAMERA, 7)));
    let sent = bench.pass(STAGE_X).expect("it is sent");
    bench.router.begin_wait(handler(CAMERA, 7));
    let cycle = names(&[CAMERA, STAGE_X, CAMERA]);
    assert_eq!(told(&mut bench, CAMERA), [NotDone::Deadlock { cycle }]);
    // What was sent may run, and nobody hears of it.
    bench.take(STAGE_X);
    bench.answer(STAGE_X, &sent, Ok(b"there"));
    assert_eq!((bench.router.totals().refused, bench.router.totals().late_answers), (1, 1));
    assert_eq!(bench.router.remembered().waits, 1);
}

#[test]
fn whoever_does_not_wait_closes_no_cycle() {
    let mut bench = Bench::ready();
    calls(&mut bench, STAGE_X, CAMERA).expect("nobody waits yet");
    bench.accept(for_station(Kind::Request, STAGE_X).by(handler(CAMERA, 1)));
    bench.accept(for_station(Kind::Send, STAGE_X).by(handler(CAMERA, 2)));
    // A thread that runs no handlers, and the start-up, may wait for anybody.
    bench.accept(for_station(Kind::Request, CAMERA).by(Caller::Startup(CAMERA)));
    bench.router.begin_wait(Caller::Startup(CAMERA));
    assert_eq!(bench.router.remembered().waits, 1);
}

#[test]
fn several_may_wait_for_the_same() {
    let mut bench = Bench::ready();
    for from in [STAGE_X, STAGE_Y, SCOPE] {
        assert_eq!(calls(&mut bench, from, CAMERA), Ok(()));
    }
    assert_eq!(bench.router.remembered().waits, 3);
    assert_eq!(calls(&mut bench, CAMERA, SCOPE), Err(would_deadlock(&[CAMERA, SCOPE, CAMERA])));
}

#[test]
fn a_broadcast_is_not_awaited_by_its_own_audience() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT).by(handler(CAMERA, 5)));
    drop(bench.pass(STAGE_X));
    bench.router.begin_wait(handler(CAMERA, 5));
    let cycle = names(&[CAMERA, CAMERA]);
    assert_eq!(told(&mut bench, CAMERA), [NotDone::Deadlock { cycle }]);
    assert!(bench.pass(STAGE_Y).is_none(), "what was still queued does not run");
    bench.check_settled();
}

#[test]
fn a_broadcast_is_waited_for_at_every_station_that_has_not_answered() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT).by(Caller::Local(5)));
    bench.router.begin_wait(Caller::Local(5));
    let refused = |index| Err(would_deadlock(&[index, SCOPE, index]));
    for index in [CAMERA, STAGE_X, STAGE_Y] {
        assert_eq!(calls(&mut bench, index, SCOPE), refused(index));
    }
    answer(&mut bench, STAGE_X);
    assert_eq!(calls(&mut bench, STAGE_X, SCOPE), Ok(()));
    assert_eq!(calls(&mut bench, CAMERA, SCOPE), refused(CAMERA));
}

#[test]
fn a_broadcast_to_someone_who_waits_is_not_awaited() {
    let mut bench = Bench::ready();
    calls(&mut bench, STAGE_Y, SCOPE).expect("nobody waits yet");
    bench.accept(broadcast(SET_LIGHT).by(Caller::Local(5)));
    bench.router.begin_wait(Caller::Local(5));
    let why = NotDone::Deadlock { cycle: names(&[SCOPE, STAGE_Y, SCOPE]) };
    assert_eq!(bench.endings(), [(Caller::Local(5), Ending::NotDone(why))]);
    assert_eq!(bench.router.remembered().waits, 1);
}

/// After `act`, the camera, which has called a stage and waits, waits no longer: it may be called and awaited.
fn check_wait_is_over(act: impl FnOnce(&mut Bench)) {
    let mut bench = Bench::ready();
    let sending = for_station(Kind::Call, STAGE_X).by(handler(CAMERA, 1)).within(SECOND);
    bench.accept(sending);
    assert_eq!(calls(&mut bench, STAGE_X, CAMERA), Err(would_deadlock(&[STAGE_X, CAMERA, STAGE_X])));
    act(&mut bench);
    assert_eq!(bench.router.remembered().waits, 0);
    if bench.offer(send(EXPOSE)).is_ok() && bench.offer(send(MOVE).to("stage_x")).is_ok() {
        assert_eq!(calls(&mut bench, STAGE_X, CAMERA), Ok(()));
    }
}

#[test]
fn a_wait_is_over_when_its_call_has_ended_or_its_handler_says_so() {
    check_wait_is_over(|bench| bench.router.end_wait(handler(CAMERA, 1)));
    check_wait_is_over(|bench| bench.router.abandon(handler(CAMERA, 1)));
    check_wait_is_over(|bench| bench.router.cancel(handler(CAMERA, 1)));
    check_wait_is_over(|bench| answer(bench, STAGE_X));
    check_wait_is_over(|bench| bench.later(SECOND));
    check_wait_is_over(|bench| bench.die(STAGE_X));
    check_wait_is_over(|bench| bench.die(CAMERA));
    check_wait_is_over(|bench| bench.router.stop(STAGE_X));
    check_wait_is_over(|bench| bench.router.close());
}

#[test]
fn a_wait_is_over_when_its_call_is_answered_by_a_stream() {
    check_wait_is_over(|bench| {
        let asked = bench.pass(STAGE_X).expect("it is sent");
        bench.tell(STAGE_X, &asked, Kind::Opened, b"opened").expect("it may be");
    });
    // The word that it waits may cross the answer.
    check_wait_is_over(|bench| {
        let asked = bench.pass(STAGE_X).expect("it is sent");
        bench.tell(STAGE_X, &asked, Kind::Opened, b"opened").expect("it may be");
        bench.router.begin_wait(handler(CAMERA, 1));
        assert!(told(bench, CAMERA).is_empty());
    });
}

#[test]
fn a_wait_for_a_call_that_has_ended_is_none() {
    let mut bench = Bench::ready();
    bench.accept(for_station(Kind::Request, STAGE_X).by(handler(CAMERA, 1)));
    answer(&mut bench, STAGE_X);
    bench.router.begin_wait(handler(CAMERA, 1));
    bench.router.begin_wait(handler(CAMERA, 2));
    bench.router.end_wait(handler(CAMERA, 3));
    bench.check_settled();
}

#[test]
fn a_wait_that_is_said_twice_is_one() {
    let mut bench = Bench::ready();
    calls(&mut bench, CAMERA, STAGE_X).expect("nobody waits yet");
    bench.router.begin_wait(handler(CAMERA, number_of(STAGE_X)));
    assert_eq!(bench.router.remembered().waits, 1);
    bench.router.end_wait(handler(CAMERA, number_of(STAGE_X)));
    assert_eq!(bench.router.remembered().waits, 0);
}

fn reborn(bench: &mut Bench, index: usize) {
    bench.progress.0[index] = 0;
    bench.router.begin_life(index, Generation(2));
    bench.router.set_life(index, Life::Ready);
}

#[test]
fn what_an_earlier_life_waited_for_holds_nobody_up() {
    let mut bench = Bench::ready();
    calls(&mut bench, CAMERA, STAGE_X).expect("nobody waits yet");
    bench.accept(for_station(Kind::Request, STAGE_X).by(handler(CAMERA, 8)));
    bench.die(CAMERA);
    bench.router.begin_wait(handler(CAMERA, 8));
    assert_eq!(bench.router.remembered().waits, 0, "the dead do not wait");
    reborn(&mut bench, CAMERA);
    bench.router.begin_wait(handler(CAMERA, 8));
    bench.router.begin_wait(handler(CAMERA, number_of(STAGE_X)));
    assert_eq!(bench.router.remembered().waits, 0, "nor do their successors for them");
    assert_eq!(calls(&mut bench, STAGE_X, CAMERA), Ok(()));
    let successor = Caller::Manager { index: CAMERA, generation: Generation(2), correlation: 1 };
    let cycle = [CAMERA, STAGE_X, CAMERA];
    let again = for_station(Kind::Call, STAGE_X).by(successor);
    assert_eq!(bench.offer(again), Err(would_deadlock(&cycle)), "their own waits count");
}

#[test]
fn a_call_of_a_dead_manager_is_no_wait() {
    let mut bench = Bench::ready();
    bench.die(CAMERA);
    calls(&mut bench, CAMERA, STAGE_X).expect("what was said before the end may come after it");
    assert_eq!(bench.router.remembered().waits, 0);
    reborn(&mut bench, CAMERA);
    assert_eq!(calls(&mut bench, STAGE_X, CAMERA), Ok(()));
    (0..SCOPE).for_each(|index| bench.die(index));
    bench.check_settled();
}

#[test]
fn a_refused_call_is_no_wait() {
    let mut bench = Bench::ready();
    bench.die(STAGE_Y);
    assert!(matches!(calls(&mut bench, CAMERA, STAGE_Y), Err(Refusal::Dead { .. })));
    (0..DEPTH).for_each(|_| bench.accept(send(MOVE).to("stage_x")));
    assert!(matches!(calls(&mut bench, CAMERA, STAGE_X), Err(Refusal::Busy { .. })));
    assert_eq!(bench.router.remembered().waits, 0);
    bench.check_settled();
}

#[test]
fn a_long_chain_of_waits_is_no_cycle() {
    let mut bench = Bench::of(17);
    let to = |index: usize| call(MOVE).to(&format!("manager_{index}"));
    for index in 0..16 {
        bench.accept(to(index + 1).by_manager(index, 1));
    }
    assert_eq!(bench.router.remembered().waits, 16);
    let refused = bench.offer(to(0).by_manager(16, 1));
    let names = (16..17).chain(0..17).map(|index| format!("manager_{index}")).collect();
    assert_eq!(refused, Err(Refusal::WouldDeadlock { command: "Move".into(), cycle: names }));
}
