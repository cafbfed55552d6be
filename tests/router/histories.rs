//! Thousands of made-up histories, each the same in every run; `LABRIG_STORM=100000` asks for more of them.

use labrig::coordinator::router::Caller;
use labrig::wire::{Ending, NotDone};

use super::bench::SCOPE;
use super::history::{History, Seen, Token, mistakes_in};
use super::world::World;

const DAILY_DOSE: u64 = 2_000;
const EVENTS: usize = 200;

fn history(seed: u64) -> History {
    World::new(seed).live(EVENTS)
}

#[test]
fn every_history_keeps_every_promise() {
    let dose = std::env::var("LABRIG_STORM").ok().and_then(|dose| dose.parse().ok()).unwrap_or(DAILY_DOSE);
    let mut totals = [0; 8];
    for seed in 0..dose {
        let history = history(seed);
        let mistakes = mistakes_in(&history);
        assert!(mistakes.is_empty(), "history {seed}: {mistakes:#?}");
        let of = history.totals;
        let kinds = [
            of.done,
            of.failed,
            of.expired,
            of.refused,
            of.lost,
            of.indeterminate,
            of.undelivered,
            of.late_answers,
        ];
        totals.iter_mut().zip(kinds).for_each(|(sum, count)| *sum += count);
    }
    assert!(totals.iter().all(|sum| *sum > dose / 20), "some endings hardly ever come about: {totals:?}");
}

/// A mistake planted into a history is found, in every history that has a place for it.
fn check_found(what: &str, plant: impl Fn(&mut History) -> bool) {
    let mut planted = 0;
    for seed in 0..200 {
        let mut history = history(seed);
        if !plant(&mut history) {
            continue;
        }
        planted += 1;
        assert!(!mistakes_in(&history).is_empty(), "{what} in history {seed} went unnoticed");
    }
    assert!(planted > 20, "{what} could be planted {planted} times only");
}

fn position(history: &History, found: impl Fn(&Seen) -> bool) -> Option<usize> {
    history.seen.iter().position(found)
}

/// Whether a thread of the coordinator's process made the call: it lives as long as the rig.
fn is_local(history: &History, token: Token) -> bool {
    history.seen.iter().any(|seen| match seen {
        Seen::Offered { token: offered, caller, .. } => {
            *offered == token && matches!(caller, Caller::Local(_))
        }
        _ => false,
    })
}

/// Replaces the first thing seen that `change` changes.
fn change_first(history: &mut History, change: impl Fn(&mut Seen) -> bool) -> bool {
    history.seen.iter_mut().any(change)
}

#[test]
fn the_checker_finds_an_answer_that_was_dropped() {
    check_found("a dropped answer", |history| {
        let at =
            position(history, |seen| matches!(seen, Seen::Ended { token, .. } if is_local(history, *token)));
        at.map(|at| history.seen.remove(at)).is_some()
    });
    check_found("a dropped report", |history| {
        let at = position(
            history,
            |seen| matches!(seen, Seen::Reported { token, .. } if is_local(history, *token)),
        );
        at.map(|at| history.seen.remove(at)).is_some()
    });
}

#[test]
fn the_checker_finds_an_answer_that_came_twice() {
    check_found("a second answer", |history| {
        let at = position(history, |seen| matches!(seen, Seen::Ended { .. }));
        at.map(|at| history.seen.push(history.seen[at].clone())).is_some()
    });
}

#[test]
fn the_checker_finds_answers_that_were_swapped() {
    check_found("two swapped answers", |history| {
        let done = |seen: &Seen| matches!(seen, Seen::Ended { ending: Ending::Done(_), .. });
        let places: Vec<_> = (0..history.seen.len()).filter(|at| done(&history.seen[*at])).take(2).collect();
        let [first, second] = places[..] else { return false };
        let (Seen::Ended { token: left, .. }, Seen::Ended { token: right, .. }) =
            (history.seen[first].clone(), history.seen[second].clone())
        else {
            return false;
        };
        for (at, other) in [(first, right), (second, left)] {
            if let Seen::Ended { token, .. } = &mut history.seen[at] {
                *token = other;
            }
        }
        true
    });
}

#[test]
fn the_checker_finds_commands_that_overtook_each_other() {
    check_found("two swapped deliveries", |history| {
        let from_here = |seen: &Seen| match seen {
            Seen::Delivered { token, station: SCOPE, .. } => is_local(history, *token),
            _ => false,
        };
        let places = (0..history.seen.len()).filter(|at| from_here(&history.seen[*at]));
        let of_one_sender: Vec<_> = places.take(2).collect();
        let [first, second] = of_one_sender[..] else { return false };
        history.seen.swap(first, second);
        true
    });
}

#[test]
fn the_checker_finds_a_command_that_ran_twice_or_in_the_wrong_life() {
    check_found("a second delivery", |history| {
        let at = position(history, |seen| matches!(seen, Seen::Delivered { .. }));
        at.map(|at| history.seen.insert(at, history.seen[at].clone())).is_some()
    });
    check_found("an answer to another life", |history| {
        change_first(history, |seen| match seen {
            Seen::Heard { life, .. } => {
                *life += 1;
                true
            }
            _ => false,
        })
    });
    check_found("a delivery to another life", |history| {
        change_first(history, |seen| match seen {
            Seen::Delivered { life, .. } => {
                *life += 1;
                true
            }
            _ => false,
        })
    });
}

#[test]
fn the_checker_finds_an_ending_that_is_not_true() {
    check_found("an indeterminate call told as lost", |history| {
        change_first(history, |seen| match seen {
            Seen::Ended { ending: ending @ Ending::NotDone(NotDone::Indeterminate), .. } => {
                *ending = Ending::NotDone(NotDone::Lost);
                true
            }
            _ => false,
        })
    });
    check_found("a lost call told as indeterminate", |history| {
        change_first(history, |seen| match seen {
            Seen::Ended { ending: ending @ Ending::NotDone(NotDone::Lost), .. } => {
                *ending = Ending::NotDone(NotDone::Indeterminate);
                true
            }
            _ => false,
        })
    });
}

#[test]
fn the_checker_finds_a_loss_that_was_not_told_and_figures_that_do_not_add_up() {
    check_found("a loss that was not told", |history| {
        let at = position(history, |seen| matches!(seen, Seen::Undelivered));
        at.map(|at| history.seen.remove(at)).is_some()
    });
    check_found("a call that is still in flight", |history| {
        history.in_flight += 1;
        true
    });
    check_found("a broadcast counted twice", |history| {
        history.totals.accepted += 1;
        history.totals.done += 1;
        true
    });
    check_found("an overfull queue", |history| {
        history.seen.push(Seen::Waiting { station: 0, waiting: 4 });
        true
    });
}
