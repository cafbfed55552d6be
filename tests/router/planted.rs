//! The checker put to the test: mistakes that are planted into histories, and found.

mod losses;
mod safety;
mod streams;
mod waits;

use std::sync::LazyLock;

use labrig::coordinator::router::Caller;
use labrig::wire::{Ending, NotDone};

use super::bench::SCOPE;
use super::checker::mistakes_in;
use super::histories::history;
use super::history::{History, Said, Seen, Token};

/// The histories that are looked at for a place to plant in.
static GARDEN: LazyLock<Vec<History>> = LazyLock::new(|| (0..500).map(history).collect());

/// In how many histories each mistake is planted.
const ENOUGH: usize = 50;

/// A mistake planted into a history is found and called by that name, in every history that has a place for it.
fn check_found(what: &str, name: &str, plant: impl Fn(&mut History) -> bool) {
    let mut planted = 0;
    for (seed, history) in GARDEN.iter().enumerate() {
        let mut history = history.clone();
        if !plant(&mut history) {
            continue;
        }
        planted += 1;
        if planted > ENOUGH {
            break;
        }
        let mistakes = mistakes_in(&history);
        assert!(
            mistakes.iter().any(|mistake| mistake.contains(name)),
            "{what} in history {seed} went unnoticed: {mistakes:#?}"
        );
    }
    assert!(planted > 20, "{what} could be planted {planted} times only");
}

fn position(history: &History, found: impl Fn(&Seen) -> bool) -> Option<usize> {
    history.seen.iter().position(found)
}

/// Takes the first one out that is `found`.
fn remove(history: &mut History, found: impl Fn(&Seen) -> bool) -> bool {
    let at = position(history, found);
    at.map(|at| history.seen.remove(at)).is_some()
}

/// Lets the first one come again at once that is `found`.
fn repeat(history: &mut History, found: impl Fn(&Seen) -> bool) -> bool {
    let at = position(history, found);
    at.map(|at| history.seen.insert(at, history.seen[at].clone())).is_some()
}

/// Replaces the first thing seen that `change` changes.
fn change_first(history: &mut History, change: impl Fn(&mut Seen) -> bool) -> bool {
    history.seen.iter_mut().any(change)
}

/// Whether the command was offered before that place.
fn was_offered(history: &History, token: Token, place: usize) -> bool {
    let offered = |seen: &Seen| matches!(seen, Seen::Offered { token: offered, .. } if *offered == token);
    history.seen[..place].iter().any(offered)
}

/// Two places, the first of them after both commands were offered that are seen there.
fn two_places(history: &History, found: impl Fn(&Seen) -> Option<Token>) -> Option<(usize, usize)> {
    let places: Vec<_> =
        history.seen.iter().enumerate().filter_map(|(at, seen)| Some((at, found(seen)?))).collect();
    places.windows(2).find_map(|pair| {
        let [(first, one), (second, other)] = pair else { return None };
        (one != other && was_offered(history, *other, *first)).then_some((*first, *second))
    })
}

fn caller_of(history: &History, token: Token) -> Option<Caller> {
    history.seen.iter().find_map(|seen| match seen {
        Seen::Offered { token: offered, offer } if *offered == token => Some(offer.caller),
        _ => None,
    })
}

/// Whether a thread of the coordinator's process made the call: it lives as long as the rig.
fn is_local(history: &History, token: Token) -> bool {
    matches!(caller_of(history, token), Some(Caller::Local(_)))
}

/// Puts a delivery of that command behind the first thing seen of it that is `found`.
fn deliver_after(history: &mut History, found: impl Fn(&Seen) -> Option<Token>) -> bool {
    let goal = |history: &History, token: Token| {
        history.seen.iter().find_map(|seen| match seen {
            Seen::Offered { token: offered, offer } if *offered == token => offer.reached.first().copied(),
            _ => None,
        })
    };
    let was_delivered = |history: &History, token: Token| {
        history
            .seen
            .iter()
            .any(|seen| matches!(seen, Seen::Delivered { token: other, .. } if *other == token))
    };
    let place = history.seen.iter().enumerate().find_map(|(at, seen)| {
        let token = found(seen).filter(|token| !was_delivered(history, *token))?;
        Some((at, token, goal(history, token)?))
    });
    let Some((at, token, station)) = place else { return false };
    history.seen.insert(at + 1, Seen::Delivered { token, station, life: 1, marked: 1 });
    true
}

#[test]
fn a_lost_reply_is_found() {
    check_found("a dropped answer", "was told 0 times", |history| {
        let is_local = |history: &History, seen: &Seen| matches!(seen, Seen::Ended { token, .. } if is_local(history, *token));
        let at = position(history, |seen| is_local(history, seen));
        at.map(|at| history.seen.remove(at)).is_some()
    });
    check_found("a dropped report", "was told 0 times", |history| {
        let is_local = |history: &History, seen: &Seen| matches!(seen, Seen::Reported { token, .. } if is_local(history, *token));
        let at = position(history, |seen| is_local(history, seen));
        at.map(|at| history.seen.remove(at)).is_some()
    });
}

#[test]
fn a_double_reply_is_found() {
    check_found("a second answer", "was told 2 times", |history| {
        repeat(history, |seen| matches!(seen, Seen::Ended { .. }))
    });
}

#[test]
fn a_crossed_reply_is_found() {
    check_found("two swapped answers", "ended otherwise than", |history| {
        let replied = |seen: &Seen| match seen {
            Seen::Ended { token, ending: Ending::Done(reply), .. } if !reply.is_empty() => Some(*token),
            _ => None,
        };
        let Some((first, second)) = two_places(history, replied) else { return false };
        let [left, right] = [first, second].map(|at| history.seen[at].clone());
        for (at, other) in [(first, right), (second, left)] {
            if let (Seen::Ended { token, .. }, Seen::Ended { token: other, .. }) =
                (&mut history.seen[at], other)
            {
                *token = other;
            }
        }
        true
    });
}

#[test]
fn a_reorder_is_found() {
    check_found("two swapped deliveries", "after a later command of its sender", |history| {
        if history.is_pooled {
            return false;
        }
        let places = (0..=SCOPE).find_map(|goal| {
            two_places(history, |seen| match seen {
                Seen::Delivered { token, station, .. } if *station == goal && is_local(history, *token) => {
                    Some(*token)
                }
                _ => None,
            })
        });
        places.map(|(first, second)| history.seen.swap(first, second)).is_some()
    });
}

#[test]
fn a_command_that_ran_twice_or_in_the_wrong_life_is_found() {
    check_found("a second delivery", "came twice", |history| {
        repeat(history, |seen| matches!(seen, Seen::Delivered { .. }))
    });
    check_found("an answer to another life", "was told of", |history| {
        change_first(history, |seen| match seen {
            Seen::Heard { life, .. } => {
                *life += 1;
                true
            }
            _ => false,
        })
    });
}

#[test]
fn a_command_given_to_the_next_generation_is_found() {
    check_found("a delivery to another life", "is marked for life", |history| {
        change_first(history, |seen| match seen {
            Seen::Delivered { life, .. } => {
                *life += 1;
                true
            }
            _ => false,
        })
    });
    check_found("a command that waited for the next life", "after it had ended there: Lost", |history| {
        deliver_after(history, |seen| match seen {
            Seen::Ended { token, ending: Ending::NotDone(NotDone::Lost), .. } => Some(*token),
            _ => None,
        })
    });
}

#[test]
fn a_reply_after_expiry_is_found() {
    check_found("an answer that came after the end", "was told 2 times", |history| {
        let expired = |seen: &Seen| match seen {
            Seen::Ended { token, ending: Ending::NotDone(NotDone::Expired), .. } => Some(*token),
            _ => None,
        };
        let place = history.seen.iter().enumerate().find_map(|(at, seen)| Some((at, expired(seen)?)));
        let Some((at, token)) = place else { return false };
        let late = Seen::Ended { token, ending: Ending::Done(vec![1].into()), by: String::new() };
        history.seen.insert(at + 1, late);
        true
    });
    check_found("an answer instead of an expiry", "ended otherwise than Done", |history| {
        change_first(history, |seen| match seen {
            Seen::Ended { ending: ending @ Ending::NotDone(NotDone::Expired), .. } => {
                *ending = Ending::Done(vec![1].into());
                true
            }
            _ => false,
        })
    });
}

#[test]
fn what_ran_though_it_was_cancelled_or_had_expired_in_the_queue_is_found() {
    check_found("a command that expired and ran", "after it had ended there: Expired", |history| {
        deliver_after(history, |seen| match seen {
            Seen::Ended { token, ending: Ending::NotDone(NotDone::Expired), .. } => Some(*token),
            _ => None,
        })
    });
    check_found("a cancelled command that ran", "after it had ended there: Cancelled", |history| {
        deliver_after(history, |seen| match seen {
            Seen::Ended { token, ending: Ending::NotDone(NotDone::Cancelled), .. } => Some(*token),
            _ => None,
        })
    });
}

#[test]
fn an_ending_that_is_not_true_is_found() {
    let swap = |from: NotDone, to: NotDone| {
        move |history: &mut History| {
            change_first(history, |seen| match seen {
                Seen::Ended { ending: ending @ Ending::NotDone(_), .. }
                    if *ending == Ending::NotDone(from.clone()) =>
                {
                    *ending = Ending::NotDone(to.clone());
                    true
                }
                _ => false,
            })
        }
    };
    let (lost, indeterminate) = (NotDone::Lost, NotDone::Indeterminate);
    let (cancelled, expired) = (NotDone::Cancelled, NotDone::Expired);
    for (from, to) in [(&lost, &indeterminate), (&indeterminate, &lost), (&cancelled, &expired)] {
        let what = format!("{from:?} told as {to:?}");
        check_found(&what, "ended otherwise than", swap(from.clone(), to.clone()));
    }
    check_found("an answer told by nobody", "ended otherwise than", |history| {
        let done = |seen: &Seen| match seen {
            Seen::Ended { token, ending: Ending::Done(_), .. } => Some(*token),
            _ => None,
        };
        let Some(token) = history.seen.iter().find_map(done) else { return false };
        change_first(history, |seen| match seen {
            Seen::Answered { token: of, said, .. } if *of == token => {
                *said = Said::Failed;
                true
            }
            _ => false,
        })
    });
}
