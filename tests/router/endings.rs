//! How calls end.

use std::time::Duration;

use labrig::coordinator::router::{Caller, Life};
use labrig::wire::control::{self, CoordinatorWord};
use labrig::wire::envelope::MAX_PAYLOAD_BYTES;
use labrig::wire::{Ending, Failure, Generation, Header, Kind, NotDone, Refusal};

use super::bench::*;

const SECOND: Duration = Duration::from_secs(1);

/// One request to the camera, to which `act` happens, ends in this way, once.
fn check_ending(act: impl FnOnce(&mut Bench), expected: Ending) {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).within(SECOND));
    act(&mut bench);
    assert_eq!(bench.endings(), [(Caller::Local(1), expected)]);
    bench.check_settled();
    bench.later(2 * SECOND);
    bench.die(CAMERA);
    bench.router.close();
    assert!(bench.endings().is_empty(), "it ended twice");
}

fn not_done(why: NotDone) -> Ending {
    Ending::NotDone(why)
}

/// It goes into the pipe, and the camera takes it.
fn taken(bench: &mut Bench) -> Sent {
    let asked = bench.pass(CAMERA).expect("it is sent");
    bench.take(CAMERA);
    asked
}

#[test]
fn a_call_ends_as_its_manager_says() {
    let endings = [
        NotDone::Failed(Failure::text("no")),
        NotDone::Cancelled,
        NotDone::Refused(Refusal::Quitting { command: "Expose".into() }),
    ];
    for why in endings {
        let answer = |bench: &mut Bench| {
            let asked = taken(bench);
            bench.answer(CAMERA, &asked, Err(why.clone()));
        };
        check_ending(answer, not_done(why.clone()));
    }
    let done = |bench: &mut Bench| {
        let asked = taken(bench);
        bench.answer(CAMERA, &asked, Ok(b"image"));
    };
    check_ending(done, Ending::Done(b"image".to_vec().into()));
}

#[test]
fn a_call_expires_at_its_deadline() {
    check_ending(|bench| bench.later(SECOND), not_done(NotDone::Expired));
    let taken_and_late = |bench: &mut Bench| {
        drop(taken(bench));
        bench.later(SECOND);
    };
    check_ending(taken_and_late, not_done(NotDone::Expired));
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).within(SECOND));
    assert_eq!(bench.router.next_deadline(), Some(bench.now + SECOND));
    bench.later(SECOND - Duration::from_nanos(1));
    assert!(bench.endings().is_empty(), "it expired too early");
}

#[test]
fn what_expires_in_the_queue_is_not_sent_and_makes_room() {
    let mut bench = Bench::ready();
    for number in 0..DEPTH as u8 {
        bench.accept(request(EXPOSE).within(SECOND).carrying([number]));
    }
    bench.later(SECOND);
    assert_eq!(bench.endings().len(), DEPTH as usize);
    bench.accept(request(EXPOSE).carrying([9]));
    assert_eq!(bench.payloads(CAMERA), [[9]]);
    let waiting = bench.router.station(CAMERA).waiting(bench.progress.0[CAMERA]);
    assert_eq!(waiting, 1);
}

#[test]
fn an_answer_after_the_end_is_counted_and_discarded() {
    let late = |bench: &mut Bench| {
        let asked = taken(bench);
        bench.later(SECOND);
        bench.answer(CAMERA, &asked, Ok(b"late"));
        assert_eq!(bench.router.totals().late_answers, 1);
    };
    check_ending(late, not_done(NotDone::Expired));
    let twice = |bench: &mut Bench| {
        let asked = taken(bench);
        bench.answer(CAMERA, &asked, Ok(b"once"));
        bench.answer(CAMERA, &asked, Ok(b"twice"));
        assert_eq!(bench.router.totals().late_answers, 1);
    };
    check_ending(twice, Ending::Done(b"once".to_vec().into()));
}

#[test]
fn nobody_answers_for_another_or_for_another_life_or_what_was_not_asked() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    let header = Header { generation: Generation(1), correlation: 1, ..Header::new(Kind::Done) };
    bench.router.answered(CAMERA, &header, b"guessed").expect("it can be read");
    assert_eq!(bench.router.in_flight().0, 1, "an answer came before the question was sent");
    let asked = taken(&mut bench);
    bench.answer(STAGE_X, &asked, Ok(b"not mine"));
    let mut other = asked.clone();
    other.header.generation = Generation(2);
    bench.answer(CAMERA, &other, Ok(b"another life"));
    other = asked.clone();
    other.header.correlation += 1;
    bench.answer(CAMERA, &other, Ok(b"another call"));
    assert!(bench.endings().is_empty());
    assert_eq!(bench.router.totals().late_answers, 4);
    bench.answer(CAMERA, &asked, Ok(b"mine"));
    assert_eq!(bench.endings(), [(Caller::Local(1), Ending::Done(b"mine".to_vec().into()))]);
}

#[test]
fn an_ending_that_cannot_be_read_is_an_error_and_ends_nothing() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    let asked = taken(&mut bench);
    let header = Header { kind: Kind::Ended, ..asked.header };
    assert!(bench.router.answered(CAMERA, &header, &[200]).is_err());
    assert_eq!(bench.router.in_flight().0, 1);
}

#[test]
fn a_reply_too_large_for_an_envelope_is_a_failure_of_its_call_alone() {
    let (mut bench, reply) = (Bench::ready(), vec![7; MAX_PAYLOAD_BYTES + 1]);
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 5));
    let asked = taken(&mut bench);
    bench.answer(CAMERA, &asked, Ok(&reply));
    let told = bench.pass(STAGE_X).expect("an answer");
    assert_eq!((told.header.kind, told.header.correlation), (Kind::Ended, 5));
    assert!(String::from_utf8_lossy(&told.payload).contains(&format!("{} bytes", reply.len())));
    assert_eq!(bench.router.totals().failed, 1);
    bench.check_settled();
}

// --- the death of a manager ---

#[test]
fn what_a_dead_manager_had_taken_is_indeterminate() {
    let taken_and_dead = |bench: &mut Bench| {
        drop(taken(bench));
        bench.die(CAMERA);
    };
    check_ending(taken_and_dead, not_done(NotDone::Indeterminate));
}

#[test]
fn what_a_dead_manager_had_not_taken_is_lost() {
    check_ending(|bench| bench.die(CAMERA), not_done(NotDone::Lost));
    let sent_and_dead = |bench: &mut Bench| {
        drop(bench.pass(CAMERA));
        bench.die(CAMERA);
    };
    check_ending(sent_and_dead, not_done(NotDone::Lost));
}

#[test]
fn an_answered_call_is_done_whatever_becomes_of_its_manager() {
    let answered_and_dead = |bench: &mut Bench| {
        let asked = taken(bench);
        bench.answer(CAMERA, &asked, Ok(b"image"));
        bench.die(CAMERA);
    };
    check_ending(answered_and_dead, Ending::Done(b"image".to_vec().into()));
}

#[test]
fn one_way_commands_lost_with_their_manager_are_told_and_counted() {
    let mut bench = Bench::ready();
    for number in 0..DEPTH as u8 {
        bench.accept(send(EXPOSE).carrying([number]));
    }
    drop((bench.pass(CAMERA), bench.pass(CAMERA)));
    bench.take(CAMERA);
    bench.die(CAMERA);
    let reason = "its manager died before taking it".to_owned();
    let told = ("Expose".to_owned(), "camera".to_owned(), reason);
    assert_eq!(bench.undelivered(), [told.clone(), told]);
    assert_eq!((bench.router.totals().sends, bench.router.totals().undelivered), (3, 2));
}

#[test]
fn a_later_life_begins_with_nothing_of_the_earlier() {
    let mut bench = Bench::ready();
    (0..DEPTH).for_each(|_| bench.accept(request(EXPOSE)));
    drop(bench.pass(CAMERA));
    bench.die(CAMERA);
    assert_eq!(bench.endings().len(), DEPTH as usize);
    bench.progress.0[CAMERA] = 0;
    bench.router.begin_life(CAMERA, Generation(2));
    bench.router.set_life(CAMERA, Life::Ready);
    (0..DEPTH).for_each(|_| bench.accept(request(EXPOSE)));
    assert_eq!(bench.pass_all(CAMERA).len(), DEPTH as usize);
    bench.die(CAMERA);
    assert_eq!(bench.router.totals().lost, 2 * u64::from(DEPTH));
    bench.check_settled();
}

#[test]
fn the_death_of_one_manager_ends_no_call_to_another() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    bench.accept(request(MOVE).to("stage_x"));
    bench.die(STAGE_X);
    assert_eq!(bench.endings(), [(Caller::Local(1), not_done(NotDone::Lost))]);
    assert_eq!(bench.router.in_flight().0, 1);
}

#[test]
fn calls_of_a_dead_manager_end_as_they_end_and_nobody_is_told() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 1));
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 2).within(SECOND));
    bench.accept(send(EXPOSE).by_manager(STAGE_X, 3));
    let asked = taken(&mut bench);
    bench.die(STAGE_X);
    assert_eq!(bench.router.in_flight().0, 2, "accepted is accepted");
    bench.answer(CAMERA, &asked, Ok(b"image"));
    assert_eq!(bench.pass_all(CAMERA).len(), 2, "what was accepted runs");
    bench.later(SECOND);
    let totals = bench.router.totals();
    assert_eq!((totals.done, totals.expired, totals.late_answers), (1, 1, 2));
    assert!(bench.endings().is_empty() && bench.pass(STAGE_X).is_none());
    bench.check_settled();
}

// --- callers that wait no longer, and the end of the rig ---

#[test]
fn an_abandoned_call_leaves_the_table_and_may_still_run() {
    for by in [Caller::Local(1), Caller::Manager { index: 1, generation: Generation(1), correlation: 8 }] {
        let mut bench = Bench::ready();
        bench.accept(request(EXPOSE).by(by));
        bench.router.abandon(by);
        bench.check_settled();
        let asked = taken(&mut bench);
        bench.answer(CAMERA, &asked, Ok(b"image"));
        assert!(bench.endings().is_empty() && bench.pass(STAGE_X).is_none());
        let totals = bench.router.totals();
        assert_eq!((totals.accepted, totals.expired, totals.late_answers), (1, 1, 1));
    }
}

#[test]
fn a_quit_lets_what_runs_end() {
    let steps: [fn(&mut Bench); 3] =
        [|_| {}, |bench| drop(bench.pass(CAMERA)), |bench| bench.router.set_life(CAMERA, Life::Stopping)];
    for step in steps {
        let quit = |bench: &mut Bench| {
            bench.router.begin_quit();
            let asked = bench.pass(CAMERA).expect("it is sent");
            bench.take(CAMERA);
            bench.answer(CAMERA, &asked, Ok(b"image"));
        };
        check_ending(quit, Ending::Done(b"image".to_vec().into()));
        let mut bench = Bench::ready();
        bench.accept(request(EXPOSE));
        step(&mut bench);
        bench.router.begin_quit();
        assert!(bench.endings().is_empty(), "the quit ended a call that may end by itself");
        bench.die(CAMERA);
        assert_eq!(bench.endings(), [(Caller::Local(1), not_done(NotDone::Lost))]);
    }
}

#[test]
fn a_manager_that_is_to_end_is_sent_nothing_more() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).carrying([1]));
    let asked = taken(&mut bench);
    bench.accept(request(EXPOSE).carrying([2]));
    bench.accept(send(EXPOSE).carrying([3]));
    bench.router.stop(CAMERA);
    bench.router.tell(CAMERA, control::seal(&CoordinatorWord::Quit));
    let refused = NotDone::Refused(Refusal::Quitting { command: "Expose".into() });
    assert_eq!(bench.endings(), [(Caller::Local(1), not_done(refused))]);
    assert_eq!(bench.router.totals().undelivered, 1);
    let left: Vec<_> = bench.pass_all(CAMERA).into_iter().map(|sent| sent.header.kind).collect();
    assert_eq!(left, [Kind::Control]);
    bench.answer(CAMERA, &asked, Ok(b"image"));
    bench.check_settled();
}

#[test]
fn the_end_of_the_rig_refuses_what_was_not_sent() {
    let closed = not_done(NotDone::Refused(Refusal::Closed));
    check_ending(|bench| bench.router.close(), closed);
    let sent = |bench: &mut Bench| {
        drop(bench.pass(CAMERA));
        bench.router.close();
    };
    check_ending(sent, not_done(NotDone::Indeterminate));
}

#[test]
fn the_end_of_the_rig_leaves_nothing_to_run() {
    let mut bench = Bench::ready();
    bench.accept(request(SAVE));
    bench.accept(send(SAVE));
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 1));
    bench.router.close();
    assert_eq!(bench.undelivered(), [("Save".into(), "scope".into(), "the rig has ended".into())]);
    for (index, name) in NAMES.iter().enumerate() {
        assert!(bench.pass(index).is_none(), "something is left for {name}");
    }
    assert!(bench.offer(send(SAVE)).is_err());
    bench.check_settled();
}

#[test]
fn what_the_scope_was_given_counts_as_taken() {
    let mut bench = Bench::ready();
    for _ in 0..100 {
        bench.accept(send(SAVE));
        drop(bench.pass(SCOPE));
    }
    bench.accept(request(SAVE));
    drop(bench.pass(SCOPE));
    bench.die(SCOPE);
    assert_eq!(bench.router.totals().undelivered, 0);
    assert_eq!(bench.endings(), [(Caller::Local(1), not_done(NotDone::Indeterminate))]);
}
