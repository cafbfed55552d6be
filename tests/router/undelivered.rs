//! One-way commands that do not run: told to their sender, by reason, and counted.

use labrig::coordinator::router::{Caller, Life, Totals};
use labrig::wire::control::CoordinatorWord;
use labrig::wire::{Generation, Kind, Refusal, Undelivered, UndeliveredReason};

use super::bench::*;

const ME: Caller = Caller::Local(1);
const OTHER: Caller = Caller::Local(2);
const STAGE: Caller = Caller::Manager { index: STAGE_X, generation: Generation(1), correlation: 5 };
/// How many words may wait for a manager before it is told of its losses by their number alone.
const MOST_WORDS: usize = 256;

fn by_reason(totals: &Totals) -> [u64; 4] {
    let Totals { undelivered_displaced, undelivered_lost, undelivered_indeterminate, .. } = totals;
    [*undelivered_displaced, *undelivered_lost, *undelivered_indeterminate, totals.undelivered_refused]
}

/// The reasons told to a manager through its pipe.
fn told_to(bench: &mut Bench, index: usize) -> Vec<Undelivered> {
    let words = bench.pass_all(index).into_iter().filter(|sent| sent.header.kind == Kind::Control);
    let undelivered = |sent: Sent| match sent.word() {
        CoordinatorWord::Undelivered(news) => Some(news),
        _ => None,
    };
    words.filter_map(undelivered).collect()
}

/// A one-way command, on which `act` is done, is told once as undelivered for this reason, and counted in
/// that place; whether a thread of this process sent it or a manager, which is told through its pipe.
fn check_undelivered(
    sending: &Sending,
    act: impl Fn(&mut Bench),
    expected: &UndeliveredReason,
    counted: [u64; 4],
) {
    for sender in [ME, STAGE] {
        let mut bench = Bench::ready();
        bench.accept(sending.clone().by(sender));
        act(&mut bench);
        let told = bench.news().undelivered;
        let [(to, news)] = &told[..] else { panic!("not told once: {told:?}") };
        assert_eq!((*to, &news.reason, news.untold), (sender, expected, 0));
        assert_eq!(news.to, "camera");
        let in_pipe = if sender == STAGE { vec![news.clone()] } else { Vec::new() };
        assert_eq!(told_to(&mut bench, STAGE_X), in_pipe);
        let totals = bench.router.totals();
        assert_eq!((by_reason(&totals), totals.undelivered), (counted, 1));
        bench.die(CAMERA);
        assert!(bench.news().undelivered.iter().all(|(to, _)| *to == OTHER), "it was told again");
    }
}

#[test]
fn what_gave_way_to_a_newer_one_was_displaced() {
    let newer = |command| move |bench: &mut Bench| bench.accept(send(command).by(OTHER));
    let displaced = UndeliveredReason::Displaced;
    check_undelivered(&send(FOLLOW), newer(FOLLOW), &displaced, [1, 0, 0, 0]);
    let full = |bench: &mut Bench| (0..DEPTH).for_each(|_| bench.accept(send(SHOW).by(OTHER)));
    check_undelivered(&send(SHOW), full, &displaced, [1, 0, 0, 0]);
}

#[test]
fn what_a_dead_manager_had_not_taken_is_lost() {
    check_undelivered(&send(EXPOSE), |bench| bench.die(CAMERA), &UndeliveredReason::Lost, [0, 1, 0, 0]);
    let sent = |bench: &mut Bench| {
        drop(bench.pass(CAMERA));
        bench.die(CAMERA);
    };
    check_undelivered(&send(EXPOSE), sent, &UndeliveredReason::Lost, [0, 1, 0, 0]);
}

#[test]
fn what_a_dead_manager_was_at_is_indeterminate() {
    let at_it = |bench: &mut Bench| {
        drop(bench.pass(CAMERA));
        bench.take(CAMERA);
        bench.progress.1[CAMERA] = 1;
        bench.die(CAMERA);
    };
    check_undelivered(&send(EXPOSE), at_it, &UndeliveredReason::Indeterminate, [0, 0, 1, 0]);
}

#[test]
fn what_was_not_sent_when_the_rig_quit_was_not_delivered() {
    let quit = |bench: &mut Bench| bench.router.stop(CAMERA);
    check_undelivered(&send(EXPOSE), quit, &UndeliveredReason::Quitting, [0, 0, 0, 1]);
    let mut bench = Bench::ready();
    bench.accept(send(EXPOSE));
    bench.router.close();
    assert_eq!(bench.news().undelivered[0].1.reason, UndeliveredReason::Closed);
    assert_eq!(by_reason(&bench.router.totals()), [0, 0, 0, 1]);
}

/// Whether the router still remembers it, or has nothing but the manager's word.
fn check_not_run(sender: Caller, is_remembered: bool) {
    let mut bench = Bench::ready();
    bench.accept(send(MOVE).to("stage_y").by(sender));
    let sent = bench.pass(STAGE_Y).expect("it is sent");
    bench.take(STAGE_Y);
    if !is_remembered {
        bench.accept(send(MOVE).to("stage_y").by(OTHER));
        drop(bench.pass(STAGE_Y));
    }
    bench.router.not_run(STAGE_Y, 1, MOVE, sent.header.correlation);
    let told = bench.news().undelivered;
    let [(to, news)] = &told[..] else { panic!("not told once: {told:?}") };
    let is_same = match (sender, *to) {
        (
            Caller::Manager { index, generation, .. },
            Caller::Manager { index: found, generation: life, .. },
        ) => (index, generation) == (found, life),
        (Caller::Local(_), Caller::Local(_)) => true,
        _ => false,
    };
    assert!(is_same, "{to:?}");
    assert_eq!((news.to.as_str(), &news.reason), ("stage_y", &UndeliveredReason::Frozen));
    assert_eq!(told_to(&mut bench, STAGE_X).len(), usize::from(sender == STAGE));
    assert_eq!(by_reason(&bench.router.totals()), [0, 0, 0, 1]);
    bench.die(STAGE_Y);
    assert_eq!(bench.news().undelivered.len(), usize::from(!is_remembered), "it was told again");
}

#[test]
fn what_its_manager_has_taken_and_not_run_is_told_once() {
    for sender in [ME, STAGE] {
        check_not_run(sender, true);
        check_not_run(sender, false);
    }
}

#[test]
fn a_sender_that_a_manager_has_made_up_is_told_nothing() {
    let mut bench = Bench::ready();
    for sender in [7 << 32 | 1, 1 << 32 | 999, u64::MAX, 1 << 32] {
        bench.router.not_run(STAGE_Y, 1, MOVE, sender);
        assert!((0..3).all(|index| told_to(&mut bench, index).is_empty()), "{sender:#x}");
    }
    assert_eq!(bench.router.totals().undelivered, 4);
}

#[test]
fn what_a_manager_offered_in_vain_is_told_with_its_refusal() {
    let mut bench = Bench::ready();
    let sending = send(MOVE).by(STAGE);
    let refusal = bench.offer(sending.clone()).expect_err("it needs an address");
    bench.router.refuse(STAGE_X, &sending.header, refusal.clone());
    assert!(matches!(refusal, Refusal::AddressNeeded { .. }));
    let to = "stage_x or stage_y".to_owned();
    let reason = UndeliveredReason::Refused(refusal);
    let news = Undelivered { command: "Move".into(), to, reason, untold: 0 };
    assert_eq!(bench.news().undelivered, [(STAGE, news.clone())]);
    assert_eq!(told_to(&mut bench, STAGE_X), [news]);
    assert_eq!(by_reason(&bench.router.totals()), [0, 0, 0, 1]);
}

#[test]
fn what_ran_or_runs_to_its_end_is_not_told() {
    let mut bench = Bench::ready();
    for number in 0..10 {
        bench.accept(send(EXPOSE).carrying([number]));
        drop(bench.pass(CAMERA));
        bench.take(CAMERA);
    }
    bench.die(CAMERA);
    assert!(bench.news().undelivered.is_empty());
}

#[test]
fn a_page_that_says_nonsense_hides_nothing() {
    // It claims to be at everything that it has taken; but a manager is at one command at a time.
    let mut bench = Bench::ready();
    for number in 0..DEPTH as u8 {
        bench.accept(send(EXPOSE).carrying([number]));
        drop(bench.pass(CAMERA));
        bench.take(CAMERA);
        bench.progress.1[CAMERA] += 1;
    }
    bench.die(CAMERA);
    let told: Vec<_> = bench.news().undelivered.into_iter().map(|(_, news)| news.reason).collect();
    assert_eq!(told, [UndeliveredReason::Indeterminate]);
    let mut bench = Bench::ready();
    bench.accept(send(EXPOSE));
    drop(bench.pass(CAMERA));
    bench.progress.0[CAMERA] = u64::MAX;
    bench.progress.1[CAMERA] = u64::MAX;
    bench.die(CAMERA);
    bench.check_settled();
}

#[test]
fn only_the_life_that_sent_a_command_is_told() {
    let mut bench = Bench::ready();
    bench.accept(send(EXPOSE).by(STAGE));
    bench.die(STAGE_X);
    bench.router.begin_life(STAGE_X, Generation(2));
    bench.router.set_life(STAGE_X, Life::Ready);
    bench.die(CAMERA);
    assert_eq!(bench.news().undelivered.len(), 1, "it is counted and told here");
    assert!(told_to(&mut bench, STAGE_X).is_empty());
}

#[test]
fn a_manager_that_does_not_read_is_told_how_many_more_there_were() {
    let mut bench = Bench::ready();
    let lose = |bench: &mut Bench| {
        bench.accept(send(FOLLOW).by(STAGE));
        bench.news().undelivered.len()
    };
    assert_eq!(lose(&mut bench), 0, "the first stays until another comes");
    for _ in 0..MOST_WORDS + 5 {
        assert_eq!(lose(&mut bench), 1, "here each is told");
    }
    let first = bench.pass(STAGE_X).expect("a word");
    assert!(matches!(first.word(), CoordinatorWord::Undelivered(news) if news.untold == 0));
    lose(&mut bench);
    lose(&mut bench);
    let untold: Vec<_> = told_to(&mut bench, STAGE_X).into_iter().map(|news| news.untold).collect();
    let (before, last) = untold.split_at(MOST_WORDS - 1);
    assert!(before.iter().all(|untold| *untold == 0));
    assert_eq!(last, [4, 1], "the last of five and of two, though nothing more was lost");
    lose(&mut bench);
    let next = told_to(&mut bench, STAGE_X).pop().expect("a word");
    assert_eq!(next.untold, 0);
    assert_eq!(bench.router.totals().undelivered, bench.router.totals().undelivered_displaced);
}

#[test]
fn a_successor_is_not_told_of_what_its_predecessor_did_not_hear() {
    let mut bench = Bench::ready();
    for _ in 0..MOST_WORDS + 5 {
        bench.accept(send(FOLLOW).by(STAGE));
    }
    bench.die(STAGE_X);
    bench.router.begin_life(STAGE_X, Generation(2));
    bench.router.set_life(STAGE_X, Life::Ready);
    let successor = Caller::Manager { index: STAGE_X, generation: Generation(2), correlation: 1 };
    (0..2).for_each(|_| bench.accept(send(FOLLOW).by(successor)));
    let told = told_to(&mut bench, STAGE_X);
    assert_eq!(told.iter().map(|news| news.untold).collect::<Vec<_>>(), [0]);
}

#[test]
fn what_is_in_the_pipe_of_a_manager_that_ended_as_it_was_told_is_told_as_the_quit() {
    let quit = |bench: &mut Bench| {
        drop(bench.pass(CAMERA));
        bench.router.stop(CAMERA);
        bench.die(CAMERA);
    };
    check_undelivered(&send(EXPOSE), quit, &UndeliveredReason::Quitting, [0, 0, 0, 1]);
}

#[test]
fn the_reasons_add_up() {
    let mut bench = Bench::ready();
    (0..3).for_each(|_| bench.accept(send(FOLLOW)));
    bench.accept(send(EXPOSE));
    bench.accept(send(MOVE).to("stage_x"));
    bench.accept(send(SAVE));
    drop(bench.pass(CAMERA));
    bench.take(CAMERA);
    bench.progress.1[CAMERA] = 1;
    bench.die(CAMERA);
    bench.router.stop(STAGE_X);
    bench.router.close();
    let totals = bench.router.totals();
    assert_eq!(by_reason(&totals), [2, 1, 1, 2]);
    assert_eq!((totals.sends, totals.undelivered), (6, 6));
}
