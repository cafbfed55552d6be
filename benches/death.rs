//! The death of a manager: from the kill until whoever waits for it knows.
//!
//! The kernel frees a process's memory before it tells anybody of its end: the more private memory it has written to,
//! the later. That is what the reference shows: a child by hand with as much memory and as many threads, whose killer
//! waits for the end of its socket and does nothing else.

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use labrig::managers::chaos::{Misbehave, Misdeed};
use labrig::{CallErrorKind, Rig};
use rustix::process::{Signal, kill_process};

use crate::figures::{Figures, SAMPLES, Sample, nanoseconds};
use crate::hand::Idler;
use crate::rigs::{PATIENCE, launch_mortal, pid_in};

/// How many managers a rig has that are killed one after the other.
const MANAGERS: u64 = 5;

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("death");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    for (name, memory_mb, measured_ms) in [("small", 0, 200), ("50MB", 50, 500), ("256MB", 256, 2000)] {
        group.warm_up_time(Duration::from_millis(100));
        group.measurement_time(Duration::from_millis(measured_ms));
        figures.bench(&mut group, ("death", name), 1, |count| {
            let (mut each, mut by_hand) = (Vec::new(), Vec::new());
            while (each.len() as u64) < count {
                each.extend(die_one_by_one(memory_mb, MANAGERS.min(count - each.len() as u64)));
            }
            while by_hand.len() < each.len() {
                by_hand.push(die_by_hand(memory_mb));
            }
            (Sample::of_durations(each), Some(Sample::of_durations(by_hand)))
        });
    }
}

fn die_by_hand(memory_mb: u64) -> u64 {
    let mut idler = Idler::start(memory_mb);
    let begin = Instant::now();
    idler.kill();
    nanoseconds(begin.elapsed())
}

/// Kills as many managers, each with a call: how long until its caller knows.
fn die_one_by_one(memory_mb: u64, count: u64) -> Vec<u64> {
    let manager = |index| {
        format!(
            "[managers.m{index}]\nkind = \"chaos.sim\"\nrestart_policy = \"never\"\nwatchdog_ms = 0\n\
             [managers.m{index}.config]\nmemory_mb = {memory_mb}\n"
        )
    };
    let managers: String = (0..count).map(manager).collect();
    let toml = format!("schema = 1\n[rig]\nname = \"mortal\"\nstart_deadline_ms = 60000\n{managers}");
    let rig = launch_mortal(&toml);
    let durations = (0..count).map(|index| nanoseconds(die(&rig, &format!("m{index}")))).collect();
    let summary = rig.shutdown();
    assert_eq!(summary.failed().count() as u64, count, "all were killed: {summary:#?}");
    durations
}

fn die(rig: &Rig, name: &str) -> Duration {
    let scope = rig.scope().without_deadline();
    let pending = scope.to(name).request(Misbehave { how: Misdeed::Sleep }).expect("accepted");
    let is_at_it = || {
        rig.status().is_some_and(|it| it.managers.iter().any(|one| one.name == name && one.state == "busy"))
    };
    while !is_at_it() {}
    let pid = pid_in(rig, name);
    let begin = Instant::now();
    kill_process(pid, Signal::KILL).expect("it lives");
    let error = pending.wait(PATIENCE).expect_err("nobody has answered");
    let known = begin.elapsed();
    assert_eq!(error.kind(), CallErrorKind::Indeterminate, "{error}");
    known
}
