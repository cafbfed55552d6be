//! One-way commands that vanish, cancellations that do, traces, and figures that do not add up.

use labrig::coordinator::router::Caller;
use labrig::wire::{Generation, Undelivered, UndeliveredReason};

use super::super::bench::SCOPE;
use super::super::history::Seen;
use super::{change_first, check_found, position, remove, repeat};

#[test]
fn an_undelivered_command_told_to_the_wrong_sender_is_found() {
    check_found("a loss told to another caller", "was told Undelivered", |history| {
        change_first(history, |seen| match seen {
            Seen::Undelivered { sender, .. } => {
                *sender = match *sender {
                    Caller::Manager { index, generation, correlation } => {
                        Caller::Manager { index: (index + 1) % SCOPE, generation, correlation }
                    }
                    Caller::Local(token) => {
                        Caller::Manager { index: 0, generation: Generation(1), correlation: token }
                    }
                    other => other,
                };
                true
            }
            _ => false,
        })
    });
    check_found("a loss told to another manager", "own", |history| {
        let has_such = |index: usize, told: &Undelivered| {
            history.seen.iter().any(|seen| match seen {
                Seen::Undelivered { sender: Caller::Manager { index: of, .. }, news } => {
                    *of == index && news == told
                }
                _ => false,
            })
        };
        let next = |station: usize| (station + 1) % SCOPE;
        let is_place = |seen: &Seen| matches!(seen, Seen::LossHeard { station, news, .. } if !has_such(next(*station), news));
        let at = position(history, is_place);
        let Some(Seen::LossHeard { station, .. }) = at.map(|at| &mut history.seen[at]) else { return false };
        *station = next(*station);
        true
    });
    check_found("a loss told to another life", "was its own", |history| {
        change_first(history, |seen| match seen {
            Seen::LossHeard { life, .. } => {
                *life += 1;
                true
            }
            _ => false,
        })
    });
}

#[test]
fn a_loss_that_was_not_told_or_for_another_reason_is_found() {
    let is_loss = |seen: &Seen| matches!(seen, Seen::Undelivered { .. });
    check_found("a loss that was not told", "was told 0 times to be undelivered", |history| {
        remove(history, is_loss)
    });
    check_found("a loss that was told twice", "was told 2 times to be undelivered", |history| {
        repeat(history, is_loss)
    });
    check_found("a loss for another reason", "was told Undelivered", |history| {
        change_first(history, |seen| match seen {
            Seen::Undelivered { news, .. } => {
                news.reason = match news.reason {
                    UndeliveredReason::Lost => UndeliveredReason::Indeterminate,
                    _ => UndeliveredReason::Lost,
                };
                true
            }
            _ => false,
        })
    });
}

#[test]
fn cancellations_that_are_forgotten_or_out_of_the_blue_are_found() {
    let is_one = |seen: &Seen| matches!(seen, Seen::ToldToCancel { .. });
    check_found("a forgotten cancellation", "were not cancelled", |history| remove(history, is_one));
    check_found("a second cancellation", "for no reason", |history| repeat(history, is_one));
    check_found("a cancellation of nothing", "for no reason", |history| {
        history.seen.push(Seen::ToldToCancel { token: None, station: 0 });
        true
    });
}

#[test]
fn traces_that_are_missing_or_wrong_are_found() {
    let is_trace = |seen: &Seen| matches!(seen, Seen::Traced { .. });
    check_found("a missing trace", "was not traced", |history| remove(history, is_trace));
    check_found("a second trace", "was not traced", |history| repeat(history, is_trace));
    check_found("a wrong trace", "was not traced", |history| {
        change_first(history, |seen| match seen {
            Seen::Traced { ending, .. } => {
                *ending = if *ending == "done" { "lost" } else { "done" };
                true
            }
            _ => false,
        })
    });
}

#[test]
fn figures_that_do_not_add_up_are_found() {
    check_found("a call that is still in flight", "there is left", |history| {
        history.remembered.calls += 1;
        true
    });
    check_found("what a caller asked for is still remembered", "there is left", |history| {
        history.remembered.asked += 1;
        true
    });
    check_found("a broadcast counted twice", "accepted calls", |history| {
        history.totals.accepted += 1;
        history.totals.done += 1;
        true
    });
    check_found("a loss counted for another reason", "displaced", |history| {
        history.totals.undelivered_displaced += 1;
        history.totals.undelivered += 1;
        true
    });
    check_found("an overfull queue", "commands wait", |history| {
        history.seen.push(Seen::Waiting { station: 0, waiting: 5 });
        true
    });
}
