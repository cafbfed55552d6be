//! One-way commands of 64 bytes, as fast as they go: many sends, then a request whose reply gives the count.
//!
//! *deep*: the queue holds them all. *default*: the queue holds 1024, and a sender that is told `Busy` offers
//! the processor and tries again.

use std::thread;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use labrig::Refusal;

use crate::figures::{Figures, SAMPLES, Sample};
use crate::hand::Hand;
use crate::managers::{Datum, HowMany};
use crate::placement::{Place, Placement};
use crate::rigs::{BenchRig, PATIENCE};

/// How many sends are counted at once.
const BATCH: u64 = 10_000;

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("sends");
    group.sample_size(SAMPLES).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(BATCH)).sampling_mode(SamplingMode::Flat);
    for (name, depth) in [("deep", 65_536), ("default", 1024)] {
        let mut sides = None;
        let mut refused = 0;
        figures.bench(&mut group, ("sends", name), BATCH, |count| {
            let (_place, rig, hand) = sides.get_or_insert_with(|| start(depth));
            let by_hand = Sample::of(count, |_| {
                (0..BATCH).for_each(|id| hand.send(id));
                assert_eq!(hand.how_many(), BATCH);
            });
            let ours = Sample::of(count, |_| refused += send_batch(rig));
            (ours, Some(by_hand))
        });
        if refused > 0 {
            println!("sends/{name}: refused as busy and sent again {refused} times");
        }
    }
}

fn start(depth: u32) -> (Place, BenchRig, Hand) {
    let placement = if Placement::Split.is_possible() { Placement::Split } else { Placement::Free };
    let place = placement.take();
    (place, BenchRig::of_echoes(1, depth, placement), Hand::start(placement))
}

/// Sends a batch and checks that all of it has arrived; says how often the queue was full.
fn send_batch(rig: &BenchRig) -> u64 {
    let mut refused = 0;
    for id in 0..BATCH {
        while let Err(refusal) = rig.scope.send(Datum::new(id)) {
            assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal}");
            refused += 1;
            thread::yield_now();
        }
    }
    let pending = loop {
        match rig.scope.request(HowMany {}) {
            Ok(pending) => break pending,
            Err(_) => thread::yield_now(),
        }
    };
    assert_eq!(pending.wait(PATIENCE).expect("the manager answers"), BATCH);
    refused
}
