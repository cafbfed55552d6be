//! Calls that do not simply end with a reply: cancelled, refused as busy, or left by a manager that dies.
//!
//! Moments in two processes are compared by the clock of the whole machine.

use std::collections::VecDeque;
use std::fs;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use labrig::prelude::PendingReply;
use labrig::shm::monotonic_ns;
use labrig::{CallErrorKind, Refusal, Scope};
use rustix::process::{Pid, Signal, kill_process};

use crate::dozer::Doze;
use crate::figures::{Figures, SAMPLES, Sample};
use crate::managers::{Datum, Exchange, HowMany};
use crate::placement::{Place, Placement};
use crate::rigs::{BenchRig, PATIENCE, dozer};

/// How many commands wait behind the handler that is cancelled.
const QUEUED: usize = 10_000;
/// Between a handler's first word and its cancellation: it goes to sleep meanwhile. Not counted.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a stopped process may take to stand still.
const STANDSTILL: Duration = Duration::from_millis(5);
/// What a manager may hold in memory; how long its end takes depends on it.
const MOST_RESIDENT_BYTES: u64 = 50 << 20;

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("calls");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500));
    for (name, queued, computes) in
        [("cancel_idle", 0, false), ("cancel_queued", QUEUED, false), ("cancel_computing", QUEUED, true)]
    {
        bench_cancel(&mut group, figures, name, queued, computes);
    }
    bench_busy(&mut group, figures);
    for calls in [1, 100, 1000] {
        bench_death(&mut group, figures, calls);
    }
}

// --- cancelling ---

/// Calls at one manager: the first runs, the others wait behind it.
struct Dozing {
    rig: BenchRig,
    calls: VecDeque<PendingReply<u64>>,
    computes: bool,
}

fn bench_cancel(
    group: &mut BenchmarkGroup<'_, WallTime>,
    figures: &mut Figures,
    name: &str,
    queued: usize,
    computes: bool,
) {
    group.measurement_time(Duration::from_millis(1500));
    let mut dozing = None;
    figures.bench_parts(group, ("calls", name), ["", "_ended"], 1, |count| {
        let dozing = dozing.get_or_insert_with(|| Dozing::start(queued, computes));
        let (noticed, ended): (Vec<_>, Vec<_>) = (0..count).map(|_| dozing.cancel_first()).unzip();
        [(Sample::of_durations(noticed), None), (Sample::of_durations(ended), None)]
    });
}

impl Dozing {
    fn start(queued: usize, computes: bool) -> Self {
        let rig = BenchRig::launch(dozer(20_000, Placement::Free));
        let mut dozing = Self { rig, calls: VecDeque::new(), computes };
        (0..queued).for_each(|_| dozing.add());
        dozing
    }

    fn add(&mut self) {
        let doze = Doze { computes: self.computes };
        let pending = self.rig.scope.without_deadline().request(doze);
        self.calls.push_back(pending.expect("the queue has room"));
    }

    /// Cancels the handler that runs: how long until it has noticed, and until its caller knows that it ended.
    fn cancel_first(&mut self) -> (u64, u64) {
        self.add();
        let first = self.calls.pop_front().expect("one was just added");
        while first.progress().is_none() {
            assert!(!first.is_ready(), "it ended before it was cancelled");
            thread::sleep(PAUSE / 10);
        }
        thread::sleep(PAUSE);
        let begin = monotonic_ns();
        first.cancel();
        let noticed = first.wait(PATIENCE).expect("a reply is a reply");
        (noticed - begin, monotonic_ns() - begin)
    }
}

impl Drop for Dozing {
    /// The last first: none is to begin because the one before it has ended.
    fn drop(&mut self) {
        self.calls.iter().rev().for_each(PendingReply::cancel);
        self.calls.drain(..).for_each(|call| assert!(call.ready_within(PATIENCE), "a call does not end"));
    }
}

// --- busy ---

/// A rig whose `echo0` can be stopped, while `echo1` goes on.
struct Freezer {
    rig: BenchRig,
    pid: Pid,
    place: Place,
}

fn bench_busy(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures) {
    group.measurement_time(Duration::from_secs(1));
    let mut freezer = None;
    figures.bench(group, ("calls", "busy_send"), 1, |count| {
        let freezer = freezer.get_or_insert_with(|| Freezer::start(Placement::Free));
        freezer.freeze();
        let refused = Sample::of(count, |id| send_in_vain(&freezer.rig.scope, id));
        freezer.thaw();
        (refused, None)
    });
    drop(freezer);
    group.measurement_time(Duration::from_secs(2));
    let mut freezer = None;
    figures.bench(group, ("calls", "busy_beside"), 1, |count| {
        let freezer = freezer.get_or_insert_with(|| Freezer::start(Placement::Same));
        let before = Sample::of(count, |id| ask_the_other(&freezer.rig.scope, id));
        freezer.freeze();
        let beside = (0..count).map(|id| {
            send_in_vain(&freezer.rig.scope, id);
            Sample::of(1, |_| ask_the_other(&freezer.rig.scope, id))
        });
        let beside = Sample::joined(beside);
        freezer.thaw();
        (beside, Some(before))
    });
    drop(freezer);
    bench_flood(group, figures);
}

fn bench_flood(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures) {
    let placement = if Placement::Split.is_possible() { Placement::Split } else { Placement::Free };
    let mut freezer = None;
    figures.bench(group, ("calls", "busy_flooded"), 1, |count| {
        let freezer = freezer.get_or_insert_with(|| Freezer::start(placement));
        let before = Sample::of(count, |id| ask_the_other(&freezer.rig.scope, id));
        freezer.freeze();
        let (scope, place, is_over) = (&freezer.rig.scope, &freezer.place, AtomicBool::new(false));
        let flooded = thread::scope(|threads| {
            threads.spawn(|| flood(scope, place, &is_over));
            let flooded = Sample::of(count, |id| ask_the_other(scope, id));
            is_over.store(true, Ordering::Relaxed);
            flooded
        });
        freezer.thaw();
        (flooded, Some(before))
    });
}

impl Freezer {
    fn start(placement: Placement) -> Self {
        let place = placement.take();
        let rig = BenchRig::of_echoes(2, 1024, placement);
        Self { pid: rig.pid_of("echo0"), rig, place }
    }

    /// Stops `echo0` and fills its queue.
    fn freeze(&self) {
        kill_process(self.pid, Signal::STOP).expect("it lives");
        thread::sleep(STANDSTILL);
        while self.rig.scope.to("echo0").send(Datum::new(0)).is_ok() {}
    }

    /// Lets `echo0` go on, and waits until its queue is empty.
    fn thaw(&self) {
        kill_process(self.pid, Signal::CONT).expect("it lives");
        let pending = loop {
            match self.rig.scope.to("echo0").request(HowMany {}) {
                Ok(pending) => break pending,
                Err(_) => thread::yield_now(),
            }
        };
        assert_eq!(pending.wait(PATIENCE).expect("it answers"), 1024, "the queue was full");
    }
}

/// Sends to `echo0` as fast as it goes, wherever the scheduler puts this thread.
fn flood(scope: &Scope, place: &Place, is_over: &AtomicBool) {
    place.leave();
    while !is_over.load(Ordering::Relaxed) {
        send_in_vain(scope, 0);
    }
}

/// It could not end while it is stopped, as it is when something went wrong.
impl Drop for Freezer {
    fn drop(&mut self) {
        kill_process(self.pid, Signal::CONT).expect("it lives");
    }
}

fn send_in_vain(scope: &Scope, id: u64) {
    let refused = scope.to("echo0").send(Datum::new(id));
    assert!(matches!(refused, Err(Refusal::Busy { .. })), "{refused:?}");
}

fn ask_the_other(scope: &Scope, id: u64) {
    let pending = scope.to("echo1").request(Exchange::new(id)).expect("the manager takes commands");
    assert_eq!(pending.wait(PATIENCE).expect("the manager answers").id, id);
}

// --- death ---

/// A task that notes when it was woken.
struct Noting(Sender<u64>);

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        note(&self.0);
    }
}

fn note(told: &Sender<u64>) {
    told.send(monotonic_ns()).expect("whoever measures listens");
}

fn bench_death(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures, calls: usize) {
    group.measurement_time(Duration::from_millis(100));
    let name = format!("death_of_{calls}");
    figures.bench_parts(group, ("calls", &name), ["_first", "_last"], 1, |count| {
        let (first, last): (Vec<_>, Vec<_>) = (0..count).map(|_| die_with(calls)).unzip();
        [(Sample::of_durations(first), None), (Sample::of_durations(last), None)]
    });
}

/// Kills a manager with so many calls, of which half have a callback and half are awaited by tasks: how long
/// until the first has ended, and from there until all have and their callers were told.
fn die_with(calls: usize) -> (u64, u64) {
    let rig = BenchRig::launch(dozer(20_000, Placement::Free));
    let pid = rig.pid_of("dozer");
    let (told, ends) = channel();
    let mut pending: Vec<_> = (0..calls).map(|index| ask_and_note(&rig.scope, index, &told)).collect();
    while pending[0].progress().is_none() {
        thread::sleep(PAUSE);
    }
    let resident = resident_bytes(pid);
    assert!((1..MOST_RESIDENT_BYTES).contains(&resident), "the manager holds {resident} bytes");
    let begin = monotonic_ns();
    kill_process(pid, Signal::KILL).expect("it lives");
    let (first, last) = first_and_last(&ends, calls);
    for (index, call) in pending.iter_mut().enumerate() {
        let error = call.try_value().expect("it has ended").expect_err("nobody has answered");
        let expected = if index == 0 { CallErrorKind::Indeterminate } else { CallErrorKind::Lost };
        assert_eq!(error.kind(), expected, "call {index}: {error}");
    }
    rig.end_without("dozer");
    (first - begin, last - first)
}

fn ask_and_note(scope: &Scope, index: usize, told: &Sender<u64>) -> PendingReply<u64> {
    let doze = Doze { computes: false };
    let mut pending = scope.without_deadline().request(doze).expect("the queue has room");
    let told = told.clone();
    if index.is_multiple_of(2) {
        pending.on_complete(move |_| note(&told));
    } else {
        let waker = Waker::from(Arc::new(Noting(told)));
        let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Pending), "it takes a minute");
    }
    pending
}

fn first_and_last(ends: &Receiver<u64>, calls: usize) -> (u64, u64) {
    let next = || ends.recv_timeout(PATIENCE).expect("every call ends");
    let (mut first, mut last) = (u64::MAX, 0);
    for at in (0..calls).map(|_| next()) {
        (first, last) = (first.min(at), last.max(at));
    }
    (first, last)
}

/// What a process holds in memory.
fn resident_bytes(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
