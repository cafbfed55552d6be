//! Commands that move where they may not, retries that are none, pools that crowd an instance, stops unheeded.

use labrig::coordinator::router::Caller;
use labrig::wire::{Ending, NotDone, Refusal, UndeliveredReason};

use super::super::bench::{HAZARDOUS, POOL, SCOPE};
use super::super::history::{History, Seen, Token};
use super::{change_first, check_found, deliver_after, repeat, was_offered};

fn is_inactive(seen: &Seen) -> bool {
    match seen {
        Seen::Offered { offer, .. } => matches!(offer.refusal, Some(Refusal::Inactive { .. })),
        _ => false,
    }
}

#[test]
fn what_moves_at_an_inactive_manager_is_found_and_so_is_a_refusal_for_nothing() {
    check_found("a command that moves, accepted by an inactive manager", "for who is inactive", |history| {
        change_first(history, |seen| {
            let was_refused = is_inactive(seen);
            if let Seen::Offered { offer, .. } = seen
                && was_refused
            {
                offer.refusal = None;
                offer.reached.clone_from(&offer.goals);
            }
            was_refused
        })
    });
    check_found("a refusal of what does not move", "for who is inactive", |history| {
        change_first(history, |seen| match seen {
            Seen::Offered { offer, .. } if offer.refusal.is_none() && !HAZARDOUS.contains(&offer.command) => {
                let (manager, command) = (super::super::bench::name(0), String::new());
                offer.refusal = Some(Refusal::Inactive { manager, command });
                true
            }
            _ => false,
        })
    });
}

#[test]
fn safe_states_that_are_left_in_silence_or_for_nothing_are_found() {
    let leaves = |seen: &Seen| matches!(seen, Seen::LeavesSafe { .. });
    check_found("a safe state that is left twice", "for no reason", |history| repeat(history, leaves));
    check_found("a safe state that is left in silence", "which counts as safe", |history| {
        let is_delivered = |token: Token, at: usize| {
            let is_it = |seen: &Seen| matches!(seen, Seen::Delivered { token: of, station, .. } if *of == token && *station == at);
            history.seen.iter().any(is_it)
        };
        let first = history.seen.windows(2).position(|pair| match (&pair[0], &pair[1]) {
            (Seen::Offered { token, offer }, Seen::LeavesSafe { station }) => {
                offer.refusal.is_none() && is_delivered(*token, *station)
            }
            _ => false,
        });
        first.map(|at| history.seen.remove(at + 1)).is_some()
    });
    check_found(
        "a manager that counts as safe and is not",
        "something that moves is ahead: true",
        |history| {
            let moves = |token: Token| {
                history.seen.iter().any(|seen| matches!(seen, Seen::Offered { token: of, offer } if *of == token && HAZARDOUS.contains(&offer.command)))
            };
            let place = history.seen.iter().enumerate().find_map(|(at, seen)| match seen {
                Seen::Delivered { token, station, .. } if *station != SCOPE && moves(*token) => {
                    Some((at, *station))
                }
                _ => None,
            });
            let Some((at, station)) = place else { return false };
            history.seen.insert(at + 1, Seen::SaidSafe { station, is_safe: true });
            true
        },
    );
    check_found("a safe manager that does not count so", "something that moves is ahead: false", |history| {
        history.seen.insert(0, Seen::SaidSafe { station: 0, is_safe: false });
        true
    });
}

/// A command that came out of the pipes of two lives of one manager: where it did, and where the first ended.
fn given_again(history: &History) -> Option<(usize, usize, Token)> {
    history.seen.iter().enumerate().find_map(|(again, seen)| {
        let Seen::Delivered { token, station, .. } = seen else { return None };
        let before = &history.seen[..again];
        let is_first = |seen: &Seen| matches!(seen, Seen::Delivered { token: of, station: at, .. } if of == token && at == station);
        let first = before.iter().position(is_first)?;
        let died = before[first..].iter().position(|seen| matches!(seen, Seen::Died { station: at, .. } if at == station))?;
        Some((first + died, again, *token))
    })
}

#[test]
fn retries_where_there_is_no_next_life_or_that_hide_the_first_one_are_found() {
    check_found("a retry in spite of it all", "came ", |history| {
        let Some((died, ..)) = given_again(history) else { return false };
        let Seen::Died { returns, .. } = &mut history.seen[died] else { return false };
        std::mem::replace(returns, false)
    });
    check_found("a retry that was not counted", "retried", |history| {
        history.totals.retried += 1;
        true
    });
    check_found("what may have run is said not to have", "ended otherwise than NotDone(Lost)", |history| {
        change_first(history, |seen| match seen {
            Seen::Ended { ending: ending @ Ending::NotDone(NotDone::Indeterminate), .. } => {
                *ending = Ending::NotDone(NotDone::Lost);
                true
            }
            _ => false,
        })
    });
}

#[test]
fn an_instance_that_is_given_a_second_task_is_found() {
    check_found("two tasks at once", "which is at", |history| {
        let is_task = |token: Token| {
            history.seen.iter().any(|seen| matches!(seen, Seen::Offered { token: of, offer } if *of == token && offer.goals == [POOL]))
        };
        let tasks = history.seen.iter().enumerate().filter_map(|(at, seen)| match seen {
            Seen::Delivered { token, station, .. } if is_task(*token) => Some((at, *token, *station)),
            _ => None,
        });
        let tasks = tasks.collect::<Vec<_>>();
        let pair = tasks.iter().enumerate().find_map(|(number, (first, _, at))| {
            let next = tasks[number + 1..].iter().find(|(_, _, other)| other == at)?;
            was_offered(history, next.1, *first).then_some((*first, next.0))
        });
        let Some((first, second)) = pair else { return false };
        let seen = history.seen.remove(second);
        history.seen.insert(first + 1, seen);
        true
    });
}

#[test]
fn what_goes_on_after_a_stop_is_found() {
    let is_stopped = |seen: &Seen| match seen {
        Seen::Undelivered { sender: Caller::Local(token), news }
            if news.reason == UndeliveredReason::Stopped =>
        {
            Some(*token)
        }
        _ => None,
    };
    check_found("a stopped command that is sent", "after it had ended", |history| {
        deliver_after(history, is_stopped)
    });
    check_found("a stop that is told as a loss", "was told Undelivered", |history| {
        change_first(history, |seen| match seen {
            Seen::Undelivered { news, .. } if news.reason == UndeliveredReason::Stopped => {
                news.reason = UndeliveredReason::Lost;
                true
            }
            _ => false,
        })
    });
}
