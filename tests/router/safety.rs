//! Inactive stations, safe states that are left, and the stop of everything.

use labrig::coordinator::router::{Caller, Effect, Life};
use labrig::remote::scope::Ping;
use labrig::wire::{Command, Ending, Generation, Kind, NotDone, Refusal, UndeliveredReason};

use super::bench::*;

const ME: Caller = Caller::Local(1);
const OTHER: Caller = Caller::Local(2);

fn inactive(index: usize, command: &str) -> Refusal {
    Refusal::Inactive { manager: name(index), command: command.to_owned() }
}

// --- inactive ---

#[test]
fn an_inactive_manager_refuses_what_moves_and_takes_the_rest() {
    let mut bench = Bench::ready();
    assert!(!bench.router.is_inactive(STAGE_X));
    bench.router.set_inactive(STAGE_X, true);
    assert!(bench.router.is_inactive(STAGE_X));
    for sending in [request(MOVE), call(MOVE).by_manager(CAMERA, 1), send(MOVE)] {
        assert_eq!(bench.offer(sending.to("stage_x")), Err(inactive(STAGE_X, "Move")));
    }
    bench.accept(request(Ping::spec().id).to("stage_x"));
    bench.accept(request(MOVE).to("stage_y"));
    bench.router.set_inactive(STAGE_X, false);
    bench.accept(request(MOVE).to("stage_x"));
    assert_eq!(bench.pass_all(STAGE_X).len(), 2);
}

#[test]
fn start_up_commands_that_move_are_refused_too() {
    let mut bench = Bench::starting();
    bench.router.set_inactive(STAGE_X, true);
    let startup = request(MOVE).by(Caller::Startup(STAGE_X)).to("stage_x");
    assert_eq!(bench.offer(startup), Err(inactive(STAGE_X, "Move")));
}

#[test]
fn a_broadcast_reports_who_is_inactive() {
    let mut bench = Bench::ready();
    bench.router.set_inactive(STAGE_X, true);
    bench.accept(broadcast(SET_LIGHT));
    assert!(bench.pass(STAGE_X).is_none());
    for index in [CAMERA, STAGE_Y] {
        let asked = bench.pass(index).expect("it is sent");
        bench.answer(index, &asked, Ok(b"lit"));
    }
    let refused: Vec<_> = bench.report().into_iter().map(|one| one.outcome.err()).collect();
    assert_eq!(refused, [None, Some(NotDone::Refused(inactive(STAGE_X, "SetLight"))), None]);
}

#[test]
fn what_is_queued_is_refused_when_its_manager_becomes_inactive() {
    let mut bench = Bench::ready();
    bench.accept(request(MOVE).to("stage_x").by(ME));
    let in_pipe = bench.pass(STAGE_X).expect("it is sent");
    bench.accept(request(MOVE).to("stage_x").by(OTHER));
    bench.accept(send(MOVE).to("stage_x"));
    bench.router.set_inactive(STAGE_X, true);
    let news = bench.news();
    let why = inactive(STAGE_X, "Move");
    assert_eq!(news.endings(), [(OTHER, Ending::NotDone(NotDone::Refused(why.clone())))]);
    assert_eq!(news.undelivered[0].1.reason, UndeliveredReason::Refused(why));
    bench.answer(STAGE_X, &in_pipe, Ok(b"there"));
    assert_eq!(bench.endings(), [(ME, Ending::Done(b"there".to_vec().into()))]);
    bench.check_settled();
}

// --- leaving the safe state ---

#[test]
fn the_first_command_that_moves_ends_the_safe_state_before_it_is_sent() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    assert!(bench.news().leaving.is_empty());
    bench.accept(request(MOVE).to("stage_x"));
    let effects = bench.router.take_effects();
    assert!(matches!(effects[..], [Effect::LeavesSafeState(STAGE_X), Effect::Flush(STAGE_X)]), "{effects:?}");
    bench.accept(send(MOVE).to("stage_x"));
    assert!(bench.news().leaving.is_empty(), "it has left it");
    bench.accept(broadcast(SET_LIGHT));
    assert_eq!(bench.news().leaving, [CAMERA, STAGE_Y]);
}

#[test]
fn a_command_that_is_refused_ends_no_safe_state() {
    let mut bench = Bench::ready();
    bench.router.set_inactive(STAGE_X, true);
    bench.offer(request(MOVE).to("stage_x")).expect_err("it is inactive");
    bench.router.stop(STAGE_Y);
    bench.offer(request(MOVE).to("stage_y")).expect_err("it stops");
    assert!(bench.news().leaving.is_empty());
}

#[test]
fn a_manager_is_safe_again_when_it_says_so_and_nothing_that_moves_is_on_its_way() {
    let mut bench = Bench::ready();
    bench.accept(request(MOVE).to("stage_x"));
    assert!(!bench.router.now_safe(STAGE_X, 0), "it is queued");
    drop(bench.pass(STAGE_X));
    assert!(!bench.router.now_safe(STAGE_X, 0), "it is in the pipe");
    bench.accept(request(MOVE).to("stage_x"));
    assert_eq!(bench.news().leaving, [STAGE_X], "once");
    assert!(!bench.router.now_safe(STAGE_X, 1), "the second one is queued");
    drop(bench.pass(STAGE_X));
    assert!(bench.router.now_safe(STAGE_X, 2));
    bench.accept(request(MOVE).to("stage_x"));
    assert_eq!(bench.news().leaving, [STAGE_X], "and again");
}

#[test]
fn a_new_life_begins_safe() {
    let mut bench = Bench::ready();
    bench.accept(request(MOVE).to("stage_x"));
    drop(bench.pass(STAGE_X));
    bench.die(STAGE_X);
    bench.router.begin_life(STAGE_X, Generation(2));
    bench.router.set_life(STAGE_X, Life::Ready);
    drop(bench.news());
    assert!(bench.router.now_safe(STAGE_X, 0), "what its predecessor was sent does not count");
    bench.accept(request(MOVE).to("stage_x"));
    assert_eq!(bench.news().leaving, [STAGE_X]);
}

// --- the stop of everything ---

#[test]
fn a_stop_takes_back_what_is_queued_and_says_how_far_each_pipe_was_filled() {
    let mut bench = Bench::ready();
    bench.accept(request(MOVE).to("stage_x").by(ME));
    let at_work = bench.pass(STAGE_X).expect("it is sent");
    bench.take(STAGE_X);
    bench.accept(request(MOVE).to("stage_x").by(OTHER));
    bench.accept(send(MOVE).to("stage_x"));
    bench.accept(request(SAVE).by(Caller::Local(3)));
    let barriers = bench.router.stop_everything(&bench.progress);
    assert_eq!(barriers, [0, 1, 0]);
    let news = bench.news();
    assert_eq!(news.endings(), [(OTHER, Ending::NotDone(NotDone::Cancelled))]);
    assert_eq!(news.undelivered[0].1.reason, UndeliveredReason::Stopped);
    assert!(news.cancels.is_empty(), "the manager is told by the stop itself");
    assert_eq!(bench.router.totals().undelivered_stopped, 1);
    assert!(bench.pass(STAGE_X).is_none());
    bench.router.cancel(ME);
    assert!(bench.news().cancels.is_empty(), "it counts as told");
    bench.answer(STAGE_X, &at_work, Err(NotDone::Cancelled));
    assert_eq!(bench.endings(), [(ME, Ending::NotDone(NotDone::Cancelled))]);
    assert_eq!(bench.pass_all(SCOPE).len(), 1, "the scope goes on");
    bench.accept(request(MOVE).to("stage_x"));
    assert_eq!(bench.pass_all(STAGE_X).len(), 1, "and so does the manager");
}

#[test]
fn one_way_commands_that_were_not_taken_are_stopped_once() {
    let mut bench = Bench::ready();
    for number in 0..3 {
        bench.accept(send(EXPOSE).carrying([number]));
        drop(bench.pass(CAMERA));
    }
    bench.take(CAMERA);
    bench.progress.1[CAMERA] = 1;
    assert_eq!(bench.router.stop_everything(&bench.progress)[CAMERA], 3);
    let reasons = |bench: &mut Bench| {
        bench.news().undelivered.into_iter().map(|(_, news)| news.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&mut bench), [UndeliveredReason::Stopped, UndeliveredReason::Stopped]);
    bench.die(CAMERA);
    assert_eq!(reasons(&mut bench), [UndeliveredReason::Indeterminate], "the one that it was at");
}

#[test]
fn a_stop_ends_streams_too() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    let asked = bench.pass(CAMERA).expect("it is sent");
    bench.take(CAMERA);
    bench.tell(CAMERA, &asked, Kind::Opened, b"first").expect("a stream may be opened");
    drop(bench.news());
    bench.router.stop_everything(&bench.progress);
    assert_eq!(bench.news().cancels, [(CAMERA, asked.header.correlation)]);
    bench.router.stop_everything(&bench.progress);
    assert!(bench.news().cancels.is_empty(), "once");
}
