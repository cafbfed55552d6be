//! From nothing to eight managers that are ready; the shutdown is not counted.
//!
//! *own*: this program plays the managers, as `labrig::main` does. *named*: the config names a program, which is
//! asked for its manifest first. By hand: eight children started, and one round trip with each.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};

use crate::figures::{Figures, Sample};
use crate::hand::Hand;
use crate::placement::Placement;
use crate::rigs::{BenchRig, echoes};

const MANAGERS: usize = 8;

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("startup_of_8");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(1));
    group.sampling_mode(SamplingMode::Flat);
    let own = echoes(MANAGERS, 1024, Placement::Free);
    let program = std::env::current_exe().expect("this program has a path");
    for (name, topology) in [("own", own.clone()), ("named", own.program(program))] {
        let descriptors = open_descriptors();
        figures.bench(&mut group, ("startup_of_8", name), 1, |count| {
            let by_hand = each_dropped(count, start_by_hand);
            (each_dropped(count, || BenchRig::launch(topology.clone())), Some(by_hand))
        });
        assert_eq!(open_descriptors(), descriptors, "every rig closes what it has opened");
    }
}

/// Times how long things take to make, and not how long they take to end.
fn each_dropped<T>(count: u64, make: impl Fn() -> T) -> Sample {
    Sample::joined((0..count).map(|_| {
        let mut made = None;
        Sample::of(1, |_| made = Some(make()))
    }))
}

fn start_by_hand() -> Vec<Hand> {
    let mut hands: Vec<_> = (0..MANAGERS).map(|_| Hand::start(Placement::Free)).collect();
    for hand in &mut hands {
        assert_eq!(hand.exchange(7).id, 7);
    }
    hands
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this system has /proc").count()
}
