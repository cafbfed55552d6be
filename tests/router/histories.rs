//! Thousands of made-up histories, each the same in every run; `LABRIG_STORM=1000` asks for a thousand times
//! as many.

use std::collections::BTreeMap;

use labrig::wire::{Ending, Kind, NotDone, Refusal};

use super::bench::POOL;
use super::checker::mistakes_in;
use super::history::{History, Seen};
use super::world::World;

const DAILY_DOSE: u64 = 2_000;
const EVENTS: usize = 240;

pub(crate) fn history(seed: u64) -> History {
    World::new(seed).live(EVENTS)
}

/// What a history is rich in, by name.
fn treasures(history: &History) -> Vec<(&'static str, u64)> {
    let of = history.totals;
    let count = |is: fn(&Seen) -> bool| history.seen.iter().filter(|seen| is(seen)).count() as u64;
    vec![
        ("done", of.done),
        ("failed", of.failed),
        ("cancelled", of.cancelled),
        ("expired", of.expired),
        ("refused", of.refused),
        ("lost", of.lost),
        ("indeterminate", of.indeterminate),
        ("displaced", of.undelivered_displaced),
        ("lost one-way", of.undelivered_lost),
        ("half run", of.undelivered_indeterminate),
        ("refused one-way", of.undelivered_refused),
        ("late answers", of.late_answers),
        ("stopped one-way", of.undelivered_stopped),
        ("retried", of.retried),
        (
            "refused as inactive",
            count(
                |seen| matches!(seen, Seen::Offered { offer, .. } if matches!(offer.refusal, Some(Refusal::Inactive { .. }))),
            ),
        ),
        ("safe states that were left", count(|seen| matches!(seen, Seen::LeavesSafe { .. }))),
        ("stops of everything", count(|seen| matches!(seen, Seen::StopOrdered))),
        ("failures of one-way tasks", count(|seen| matches!(seen, Seen::TaskFailed { .. }))),
        (
            "tasks of pools",
            count(|seen| matches!(seen, Seen::Offered { offer, .. } if offer.goals == [POOL])),
        ),
        ("waits", count(is_wait)),
        ("refused calls that would wait for ever", count(is_refused_wait)),
        ("waits that ended because they would be for ever", count(is_deadlock)),
        ("streams", count(|seen| matches!(seen, Seen::OpenHeard { .. }))),
        ("chunks", count(|seen| matches!(seen, Seen::ChunkHeard { .. }))),
        ("chunks too many", history.overflows),
        ("steps", count(|seen| matches!(seen, Seen::StepHeard { .. }))),
        ("told losses", count(|seen| matches!(seen, Seen::LossHeard { .. }))),
        ("cancellations", count(|seen| matches!(seen, Seen::ToldToCancel { .. }))),
        ("quiet ends", count(|seen| matches!(seen, Seen::Quiet { .. }))),
    ]
}

fn is_wait(seen: &Seen) -> bool {
    let is_call = |seen: &Seen| match seen {
        Seen::Offered { offer, .. } => offer.kind == Kind::Call && offer.refusal.is_none(),
        _ => false,
    };
    is_call(seen) || matches!(seen, Seen::WaitBegan { .. })
}

pub(crate) fn is_refused_wait(seen: &Seen) -> bool {
    match seen {
        Seen::Offered { offer, .. } => matches!(offer.refusal, Some(Refusal::WouldDeadlock { .. })),
        _ => false,
    }
}

pub(crate) fn is_deadlock(seen: &Seen) -> bool {
    matches!(seen, Seen::Ended { ending: Ending::NotDone(NotDone::Deadlock { .. }), .. })
}

#[test]
fn every_history_keeps_every_promise() {
    let storm = std::env::var("LABRIG_STORM").ok().and_then(|storm| storm.parse().ok()).unwrap_or(1);
    let dose = DAILY_DOSE * storm;
    let (mut sums, mut high_water) = (BTreeMap::new(), 0);
    for seed in 0..dose {
        let history = history(seed);
        let mistakes = mistakes_in(&history);
        assert!(mistakes.is_empty(), "history {seed}: {mistakes:#?}");
        treasures(&history).into_iter().for_each(|(what, count)| *sums.entry(what).or_insert(0) += count);
        high_water = high_water.max(history.high_water);
    }
    println!("{dose} histories of {EVENTS} events; at most {high_water} calls were in flight; {sums:?}");
    let rare: Vec<_> = sums.iter().filter(|(_, sum)| **sum <= dose / 50).collect();
    assert!(rare.is_empty(), "these hardly ever come about: {rare:?}");
}
