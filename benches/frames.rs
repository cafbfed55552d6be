//! Frames from one manager process to another through shared memory.
//!
//! *hand_off*: one in flight, from publishing to the first line of the consumer's handler; both processes have
//! slept since the frame before. *touched*: until the consumer has read a byte of each page. *rate*: four slots,
//! filled as fast as they come free; filling is part of it. By hand, for the rate: one process that fills four
//! buffers in turn and looks at nothing.

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use labrig::shm::monotonic_ns;

use crate::figures::{Figures, SAMPLES, Sample, nanoseconds};
use crate::managers::{Expect, FramesSeen, Produce, shade};
use crate::placement::{Place, Placement};
use crate::rigs::{self, BenchRig, PATIENCE};

/// How many frames are in flight at most when the rate is measured.
const SLOTS: u32 = 4;
/// How many frames one report tells of at most, so that it fits an envelope.
const MOST: u64 = 4096;

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    for (size, width, height) in [("1MiB", 1024, 1024), ("4MiB", 2048, 2048)] {
        let name = format!("frames_of_{size}");
        let mut group = criterion.benchmark_group(&name);
        group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
        let mut rig = None;
        for (work, is_touched) in [("hand_off", false), ("touched", true)] {
            figures.bench(&mut group, (&name, work), 1, |count| {
                let (_place, rig) = rig.get_or_insert_with(|| start(width, height));
                (hand_off(rig, count, is_touched), None)
            });
        }
        let mut buffers = vec![vec![0; (width * height) as usize]; SLOTS as usize];
        group.throughput(Throughput::Bytes(u64::from(width * height)));
        figures.bench(&mut group, (&name, "rate"), 1, |count| {
            let (_place, rig) = rig.get_or_insert_with(|| start(width, height));
            let by_hand = fill(&mut buffers, count);
            (rate(rig, count), Some(by_hand))
        });
    }
}

fn start(width: u32, height: u32) -> (Place, BenchRig) {
    let placement = if Placement::Split.is_possible() { Placement::Split } else { Placement::Free };
    let place = Placement::Free.take();
    (place, BenchRig::launch(rigs::frames(width, height, SLOTS, placement)))
}

/// Runs frames through the ring in lots, and gives when each lot was begun and what was seen of it.
fn run(rig: &BenchRig, count: u64, one_by_one: bool) -> Vec<(u64, FramesSeen)> {
    let mut left = count;
    let mut lots = Vec::new();
    while left > 0 {
        let frames = u32::try_from(left.min(MOST)).expect("a lot is small");
        left -= u64::from(frames);
        let pending = rig.scope.request(Expect { frames, one_by_one }).expect("the sink takes commands");
        pending.wait(PATIENCE).expect("the sink answers");
        let begun = monotonic_ns();
        rig.scope.send(Produce { frames, one_by_one }).expect("the source takes commands");
        let seen = rig.seen.recv_timeout(PATIENCE).expect("all frames are seen");
        assert_eq!((seen.wrong, seen.seen_after_ns.len()), (0, frames as usize));
        lots.push((begun, seen));
    }
    lots
}

fn hand_off(rig: &BenchRig, count: u64, is_touched: bool) -> Sample {
    let lots = run(rig, count, true).into_iter();
    let each = lots.flat_map(|(_, seen)| if is_touched { seen.done_after_ns } else { seen.seen_after_ns });
    Sample::of_durations(each.map(u64::from))
}

/// The time per frame of each lot, once for each frame.
fn rate(rig: &BenchRig, count: u64) -> Sample {
    let lots = run(rig, count, false).into_iter();
    Sample::of_durations(lots.flat_map(|(begun, seen)| {
        let frames = seen.seen_after_ns.len();
        std::iter::repeat_n(seen.last_done_ns.saturating_sub(begun) / frames as u64, frames)
    }))
}

fn fill(buffers: &mut [Vec<u8>], count: u64) -> Sample {
    let begin = Instant::now();
    for (index, buffer) in (0..count).zip((0..buffers.len()).cycle()) {
        std::hint::black_box(&mut buffers[buffer]).fill(shade(index));
    }
    let each = nanoseconds(begin.elapsed()) / count.max(1);
    Sample::of_durations(std::iter::repeat_n(each, count as usize))
}
