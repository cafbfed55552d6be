//! What the ways to get a reply cost next to each other: written down, by a callback, by a task, as a stream.
//!
//! Here the reference is labrig too: the same round trip, waited for, in a rig that writes nothing down.

use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use labrig::Scope;
use labrig::prelude::PendingReply;

use crate::dozer::{BLOCK_BYTES, PourBlocks, PourNumbers};
use crate::figures::{Figures, Pair, SAMPLES, Sample};
use crate::managers::{Exchange, shade};
use crate::placement::{Placement, stay_on};
use crate::rigs::{BenchRig, PATIENCE, dozer, traced_echo};

/// How many numbers are streamed at once.
const NUMBERS: u32 = 100_000;
/// How many blocks are: 32 MiB.
const BLOCKS: u32 = 4096;

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("calls");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for placement in [Placement::Same, Placement::Split] {
        if !placement.is_possible() {
            println!("calls/…_{}: skipped, this machine has one processor", placement.word());
            continue;
        }
        bench_trace(&mut group, figures, placement);
        bench_way(&mut group, figures, ("on_complete", placement), by_callback);
        bench_way(&mut group, figures, ("future", placement), by_task);
    }
    group.finish();
    bench_streams(criterion, figures);
}

fn bench_trace(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures, placement: Placement) {
    let mut rigs = None;
    let mut is_turned = false;
    figures.bench(group, ("calls", &format!("trace_{}", placement.word())), 1, |count| {
        let (_place, traced, plain) = rigs.get_or_insert_with(|| {
            let place = placement.take();
            (place, BenchRig::launch(traced_echo(placement)), BenchRig::of_echoes(1, 1024, placement))
        });
        is_turned = !is_turned;
        let times = |rig: &BenchRig| Sample::of(count, |id| check(&by_waiting(ask(&rig.scope, id)), id));
        in_turn(is_turned, || times(traced), || times(plain))
    });
    if let Some((_, traced, _)) = rigs {
        // Twice a second, as long as there are calls.
        let path = traced.run_dir().join("trace.csv");
        let is_written = (0..200).any(|id| {
            check(&by_waiting(ask(&traced.scope, id)), id);
            thread::sleep(Duration::from_millis(20));
            fs::metadata(&path).expect("it is there").len() > 40
        });
        assert!(is_written, "every call is to be written down");
    }
}

/// Takes a sample and its reference; which goes first changes from time to time.
fn in_turn(is_turned: bool, ours: impl FnOnce() -> Sample, reference: impl FnOnce() -> Sample) -> Pair {
    if is_turned {
        let ours = ours();
        (ours, Some(reference()))
    } else {
        let reference = reference();
        (ours(), Some(reference))
    }
}

// --- ways to get a reply ---

fn bench_way(
    group: &mut BenchmarkGroup<'_, WallTime>,
    figures: &mut Figures,
    (name, placement): (&str, Placement),
    get: impl Fn(PendingReply<Exchange>) -> Exchange,
) {
    let mut side = None;
    let mut is_turned = false;
    figures.bench(group, ("calls", &format!("{name}_{}", placement.word())), 1, |count| {
        let (_place, rig) = side.get_or_insert_with(|| {
            let place = placement.take();
            let rig = BenchRig::of_echoes(1, 1024, placement);
            keep_callbacks_near(&rig.scope, placement);
            (place, rig)
        });
        is_turned = !is_turned;
        let ours = || Sample::of(count, |id| check(&get(ask(&rig.scope, id)), id));
        let reference = || Sample::of(count, |id| check(&by_waiting(ask(&rig.scope, id)), id));
        in_turn(is_turned, ours, reference)
    });
}

/// Keeps the thread for callbacks, which outlives every rig, where the asking side belongs.
fn keep_callbacks_near(scope: &Scope, placement: Placement) {
    let (told, heard) = channel();
    ask(scope, 0).on_complete(move |_| {
        placement.near().map_or(Ok(()), stay_on).expect("a processor that this thread may use can be chosen");
        told.send(()).expect("whoever measures listens");
    });
    heard.recv_timeout(PATIENCE).expect("the callback is run");
}

fn ask(scope: &Scope, id: u64) -> PendingReply<Exchange> {
    scope.request(Exchange::new(id)).expect("the manager takes commands")
}

fn by_waiting(pending: PendingReply<Exchange>) -> Exchange {
    pending.wait(PATIENCE).expect("the manager answers")
}

fn by_callback(pending: PendingReply<Exchange>) -> Exchange {
    let (told, heard) = channel();
    pending.on_complete(move |reply| told.send(reply).expect("whoever measures listens"));
    heard.recv_timeout(PATIENCE).expect("the callback is run").expect("the manager answers")
}

fn by_task(pending: PendingReply<Exchange>) -> Exchange {
    block_on(pending).expect("the manager answers")
}

fn check(answer: &Exchange, id: u64) {
    assert!(answer.id == id && answer.x == id as f64 * 0.5 + 1.0, "{answer:?} is no answer to {id}");
}

/// Wakes a task by waking its thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The least that runs a future.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

// --- streams ---

fn bench_streams(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("calls_streamed");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let placement = if Placement::Split.is_possible() { Placement::Split } else { Placement::Free };
    let mut side = None;
    let mut bench = |name, count: u32, item_bytes: usize, read: fn(&Scope)| {
        group.throughput(Throughput::Bytes(u64::from(count) * item_bytes as u64));
        figures.bench(&mut group, ("calls_streamed", name), u64::from(count), |times| {
            let (_place, rig) = side.get_or_insert_with(|| {
                let place = placement.take();
                (place, BenchRig::launch(dozer(1024, placement)))
            });
            (Sample::of(times, |_| read(&rig.scope)), None)
        });
    };
    bench("f64", NUMBERS, size_of::<f64>(), read_numbers);
    bench("8KiB", BLOCKS, BLOCK_BYTES, read_blocks);
}

fn read_numbers(scope: &Scope) {
    let pending = scope.request(PourNumbers { count: NUMBERS }).expect("the manager takes commands");
    let mut expected = 0.0;
    for number in pending.wait(PATIENCE).expect("the manager answers") {
        assert_eq!(number.expect("the stream goes on"), expected);
        expected += 1.0;
    }
    assert_eq!(expected, f64::from(NUMBERS));
}

fn read_blocks(scope: &Scope) {
    let pending = scope.request(PourBlocks { count: BLOCKS }).expect("the manager takes commands");
    let mut count = 0;
    for received in pending.wait(PATIENCE).expect("the manager answers") {
        let received = received.expect("the stream goes on");
        assert!(received.len() == BLOCK_BYTES && received[BLOCK_BYTES - 1] == shade(u64::from(count)));
        count += 1;
    }
    assert_eq!(count, BLOCKS);
}
