//! One small command to every manager, until all have answered.
//!
//! A single one shares a processor with the coordinator: left to the scheduler, a pair is together in some runs
//! and apart in others, five times slower. Several are left to it.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};

use crate::figures::{Figures, SAMPLES, Sample};
use crate::hand::Hand;
use crate::managers::{Exchange, Tell};
use crate::placement::{Place, Placement};
use crate::rigs::{BenchRig, PATIENCE};

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("broadcast");
    group.sample_size(SAMPLES).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.sampling_mode(SamplingMode::Flat);
    for count in [1, 4, 16, 64] {
        let mut sides = None;
        figures.bench(&mut group, ("broadcast", &count.to_string()), 1, |times| {
            let (_place, rig, hands) = sides.get_or_insert_with(|| start(count));
            let by_hand = Sample::of(times, |id| ask_all(hands, id));
            let ours = Sample::of(times, |id| tell_all(rig, id, count));
            (ours, Some(by_hand))
        });
    }
}

fn start(count: usize) -> (Place, BenchRig, Vec<Hand>) {
    let placement = if count == 1 { Placement::Same } else { Placement::Free };
    let place = placement.take();
    let hands = (0..count).map(|_| Hand::start(placement)).collect();
    (place, BenchRig::of_echoes(count, 1024, placement), hands)
}

fn ask_all(hands: &mut [Hand], id: u64) {
    hands.iter().for_each(|hand| hand.ask(id));
    for hand in hands {
        assert_eq!(hand.answer::<Exchange>().id, id);
    }
}

fn tell_all(rig: &BenchRig, id: u64, count: usize) {
    let pending = rig.scope.broadcast(Tell { id }).expect("managers take commands");
    let report = pending.wait(PATIENCE).expect("every manager answers");
    let answered = report.outcomes.iter().filter(|one| matches!(one.outcome, Ok(answer) if answer == id));
    assert_eq!(answered.count(), count);
}
