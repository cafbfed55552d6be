//! One small typed command from the coordinator to a manager and its reply back, one at a time.
//!
//! Pinned, because where the two processes run matters more than what they do. *Sparse*: with a pause before
//! each command, as real commands come, to a manager that has gone to sleep; a closed loop flatters whoever
//! spins.

use std::thread;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};

use crate::figures::{Figures, SAMPLES, Sample};
use crate::hand::Hand;
use crate::managers::Exchange;
use crate::placement::{Place, Placement};
use crate::rigs::{BenchRig, PATIENCE};

/// The pause before a sparse command; it is not counted.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("round_trip");
    group.sample_size(SAMPLES).warm_up_time(Duration::from_secs(1));
    for (placement, pause) in
        [(Placement::Same, None), (Placement::Split, None), (Placement::Split, Some(PAUSE))]
    {
        if !placement.is_possible() {
            println!("round_trip/{}: skipped, this machine has one processor", placement.word());
            continue;
        }
        // criterion does not know of the pauses: what it takes for 100 ms is some 4 s.
        let time = if pause.is_some() { Duration::from_millis(100) } else { Duration::from_secs(3) };
        group.measurement_time(time).sampling_mode(SamplingMode::Flat);
        let name = format!("{}{}", placement.word(), if pause.is_some() { "_sparse" } else { "" });
        let mut sides = None;
        figures.bench(&mut group, ("round_trip", &name), 1, |count| {
            let (_place, rig, hand) = sides.get_or_insert_with(|| start(placement));
            let by_hand = paused(count, pause, |id| check(&hand.exchange(id), id));
            let ours = paused(count, pause, |id| check(&exchange(rig, id), id));
            (ours, Some(by_hand))
        });
    }
}

fn start(placement: Placement) -> (Place, BenchRig, Hand) {
    let place = placement.take();
    (place, BenchRig::of_echoes(1, 1024, placement), Hand::start(placement))
}

fn exchange(rig: &BenchRig, id: u64) -> Exchange {
    let pending = rig.scope.request(Exchange::new(id)).expect("the manager takes commands");
    pending.wait(PATIENCE).expect("the manager answers")
}

fn check(answer: &Exchange, id: u64) {
    assert!(answer.id == id && answer.x == id as f64 * 0.5 + 1.0, "{answer:?} is no answer to {id}");
}

/// Times every call, after a pause if there is to be one.
fn paused(count: u64, pause: Option<Duration>, mut act: impl FnMut(u64)) -> Sample {
    let Some(pause) = pause else { return Sample::of(count, act) };
    let one = |id| {
        thread::sleep(pause);
        Sample::of(1, |_| act(id))
    };
    Sample::joined((0..count).map(one))
}
