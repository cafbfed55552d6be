//! Waits that ought to be refused, and refusals that ought not to be.

use labrig::wire::{Ending, Kind, NotDone, Refusal};

use super::super::histories::is_refused_wait;
use super::super::history::{Seen, name_at, station_of};
use super::{change_first, check_found, position};

#[test]
fn a_deadlock_that_was_let_through_is_found() {
    check_found("a call that closes a cycle", "closes a cycle", |history| {
        change_first(history, |seen| match seen {
            Seen::Offered { offer, .. } if matches!(offer.refusal, Some(Refusal::WouldDeadlock { .. })) => {
                offer.refusal = None;
                offer.reached.clone_from(&offer.goals);
                true
            }
            _ => false,
        })
    });
    check_found("a wait that closes a cycle and goes on", "ended otherwise than Done", |history| {
        change_first(history, |seen| match seen {
            Seen::Ended { ending: ending @ Ending::NotDone(NotDone::Deadlock { .. }), .. } => {
                *ending = Ending::Done(vec![1].into());
                true
            }
            _ => false,
        })
    });
    check_found("a station that waits for ever", "for ever", |history| {
        history.seen.push(Seen::Stuck { station: 0, token: 1 });
        true
    });
}

#[test]
fn a_refused_wait_without_a_cycle_is_found() {
    check_found("a call refused for no reason", "for a cycle that is none", |history| {
        change_first(history, |seen| match seen {
            Seen::Offered { offer, .. } if offer.kind == Kind::Call && offer.refusal.is_none() => {
                let way = [station_of(offer.caller), offer.goals[0], station_of(offer.caller)];
                let cycle = way.map(|station| name_at(station).to_owned()).to_vec();
                offer.refusal = Some(Refusal::WouldDeadlock { command: "Move".into(), cycle });
                true
            }
            _ => false,
        })
    });
    check_found("a refusal that names another cycle", "for a cycle that is none", |history| {
        let at = position(history, is_refused_wait);
        let Some(Seen::Offered { offer, .. }) = at.map(|at| &mut history.seen[at]) else { return false };
        let Some(Refusal::WouldDeadlock { cycle, .. }) = &mut offer.refusal else { return false };
        cycle.pop();
        true
    });
    check_found("a call that ended for no cycle", "for a cycle that is none", |history| {
        change_first(history, |seen| match seen {
            Seen::Ended { ending, .. } if matches!(ending, Ending::Done(_)) => {
                let cycle = vec!["camera".to_owned(), "camera".to_owned()];
                *ending = Ending::NotDone(NotDone::Deadlock { cycle });
                true
            }
            _ => false,
        })
    });
}
