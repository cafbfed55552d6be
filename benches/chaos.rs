//! What the others notice of a manager that hangs, floods or dies over and over; and how soon it is noticed itself.
//!
//! The caller, the coordinator and an `echo` share one processor, the manager that misbehaves has another one. Each
//! sample is taken right after one of the same rig while it is quiet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use labrig::managers::chaos::{Aftermath, Misbehave, Misdeed, WhatWasDone, Work};
use labrig::{PendingReply, Rig};
use rustix::process::{Pid, Signal, kill_process};

use crate::figures::{Figures, Sample, nanoseconds};
use crate::managers::Exchange;
use crate::placement::{Place, Placement};
use crate::rigs::{PATIENCE, launch_mortal, pid_in};

/// How often each way is tried, beside a quiet sample each time; criterion takes no fewer than ten.
const REPEATS: usize = 10;
/// How often a manager dies: twenty times a second.
const BETWEEN_DEATHS: Duration = Duration::from_millis(50);
/// How long a handler may go without a sign of life where that is measured.
const WATCHDOG: Duration = Duration::from_millis(100);

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("chaos");
    group.sample_size(REPEATS).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5));
    bench_beside(&mut group, figures, "hung", "watchdog_ms = 0", Disturbed::by_spinning);
    bench_beside(&mut group, figures, "flooding", "", Disturbed::by_flooding);
    let limits = "limits = { envelopes_per_s = 10000 }";
    bench_beside(&mut group, figures, "flooding_limited", limits, Disturbed::by_flooding);
    bench_beside(&mut group, figures, "dying", "", Disturbed::by_dying);
    group.measurement_time(Duration::from_millis(500));
    bench_hang(&mut group, figures);
    bench_stop(&mut group, figures);
}

fn bench_beside(
    group: &mut BenchmarkGroup<'_, WallTime>,
    figures: &mut Figures,
    name: &str,
    keys: &str,
    disturbed: impl Fn(&Disturbed, u64) -> Sample,
) {
    if !Placement::Split.is_possible() {
        return;
    }
    let mut rig = None;
    figures.bench(group, ("chaos", name), 1, |count| {
        let rig = rig.get_or_insert_with(|| Disturbed::start(keys));
        let quiet = rig.round_trips(count);
        (disturbed(rig, count), Some(quiet))
    });
}

/// A rig of which one manager misbehaves from time to time. It need not end well, but it ends.
struct Disturbed {
    rig: Rig,
    _place: Place,
}

impl Disturbed {
    fn start(keys: &str) -> Self {
        let place = Placement::Same.take();
        let (near, far) = (Placement::Split.near(), Placement::Split.far());
        let (near, far) = near.zip(far).expect("there are two processors");
        let toml = format!(
            "schema = 1\n[rig]\nname = \"disturbed\"\n\
             [managers.echo]\nkind = \"echo\"\ncpus = [{near}]\n\
             [managers.bad]\nkind = \"chaos.sim\"\ncpus = [{far}]\n\
             restart_delay_ms = 0\nmax_restart_delay_ms = 0\nmax_restarts = 1000\nrestart_window_s = 1\n{keys}\n"
        );
        Self { rig: launch_mortal(&toml), _place: place }
    }

    fn round_trips(&self, count: u64) -> Sample {
        let scope = self.rig.scope();
        Sample::of(count, |id| {
            let pending = scope.request(Exchange::new(id)).expect("the manager takes commands");
            assert_eq!(pending.wait(PATIENCE).expect("the manager answers").id, id);
        })
    }

    fn tell(&self, how: Misdeed) -> PendingReply<Aftermath> {
        tell(&self.rig, how)
    }

    fn by_spinning(&self, count: u64) -> Sample {
        let hung = self.tell(Misdeed::Spin);
        until_in_state(&self.rig, "bad", "busy");
        let beside = self.round_trips(count);
        assert!(!hung.is_ready(), "it hangs to the end");
        kill(pid_in(&self.rig, "bad"));
        hung.wait(PATIENCE).expect_err("it has died");
        self.until_back();
        beside
    }

    /// It floods itself, so that all that is noticed is the flood on its way.
    fn by_flooding(&self, count: u64) -> Sample {
        let floods = || self.tell(Misdeed::Flood { whom: String::new(), duration_ms: 100 });
        let (is_over, begun) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let flood = floods();
                    begun.store(true, Ordering::Relaxed);
                    assert!(flood.wait(PATIENCE).expect("it replies").count > 0);
                }
            });
            while !begun.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            let beside = self.round_trips(count);
            is_over.store(true, Ordering::Relaxed);
            beside
        })
    }

    fn by_dying(&self, count: u64) -> Sample {
        let is_over = AtomicBool::new(false);
        let (beside, deaths) = thread::scope(|threads| {
            let killer = threads.spawn(|| {
                let mut deaths = 0;
                while !is_over.load(Ordering::Relaxed) {
                    kill(pid_in(&self.rig, "bad"));
                    deaths += 1;
                    thread::sleep(BETWEEN_DEATHS);
                    self.until_back();
                }
                deaths
            });
            let beside = self.round_trips(count);
            is_over.store(true, Ordering::Relaxed);
            (beside, killer.join().expect("the killer does not panic"))
        });
        assert!(deaths > 0);
        beside
    }

    fn until_back(&self) {
        let end = Instant::now() + PATIENCE;
        while self.rig.scope().call(WhatWasDone {}).is_err() {
            assert!(Instant::now() < end, "it does not come back");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

// --- how soon ---

/// A hang: how long after its allowance it is shown as stuck. Whoever asks adds half of what an answer takes.
fn bench_hang(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures) {
    let toml = format!(
        "schema = 1\n[rig]\nname = \"hanging\"\n[managers.bad]\nkind = \"chaos.sim\"\n\
         watchdog_ms = {}\ncancel_deadline_ms = 10000\n\
         rearm = \"auto\"\nrestart_delay_ms = 0\nmax_restart_delay_ms = 0\nmax_restarts = 1000\nrestart_window_s = 1\n",
        WATCHDOG.as_millis()
    );
    let mut rig = None;
    figures.bench(group, ("chaos", "hang_noticed"), 1, |count| {
        let rig = rig.get_or_insert_with(|| launch_mortal(&toml));
        (Sample::of_durations((0..count).map(|_| nanoseconds(notice_hang(rig)))), None)
    });
}

fn notice_hang(rig: &Rig) -> Duration {
    let begin = Instant::now();
    // It heeds nothing, so that the state lasts until it has been seen.
    let hung = tell(rig, Misdeed::Sleep);
    until_in_state(rig, "bad", "stuck");
    let noticed = begin.elapsed();
    kill(pid_in(rig, "bad"));
    hung.wait(PATIENCE).expect_err("it has died");
    until_in_state(rig, "bad", "ready");
    noticed.saturating_sub(WATCHDOG)
}

/// Everything stops: from the order until the last of four managers has said that it is safe, while one works.
fn bench_stop(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures) {
    let manager = |index: u32| format!("[managers.bad{index}]\nkind = \"chaos.sim\"\n");
    let managers: String = (0..4).map(manager).collect();
    let toml = format!("schema = 1\n[rig]\nname = \"stopping\"\n{managers}");
    let mut rig = None;
    figures.bench(group, ("chaos", "stop_all"), 1, |count| {
        let rig = rig.get_or_insert_with(|| launch_mortal(&toml));
        let stop = |_| {
            let work = rig.scope().to("bad0").request(Work { duration_ms: 60_000 }).expect("accepted");
            until_in_state(rig, "bad0", "busy");
            let begin = Instant::now();
            let report = rig.scope().stop_all().expect("the rig runs").wait(PATIENCE).expect("a report");
            let took = begin.elapsed();
            assert!(report.is_safe() && work.wait(PATIENCE).is_err(), "{report:?}");
            nanoseconds(took)
        };
        (Sample::of_durations((0..count).map(stop)), None)
    });
}

fn tell(rig: &Rig, how: Misdeed) -> PendingReply<Aftermath> {
    rig.scope().without_deadline().request(Misbehave { how }).expect("accepted")
}

fn kill(pid: Pid) {
    // It may be on its way to its next life: then there is nobody to be killed.
    let _ = kill_process(pid, Signal::KILL);
}

fn until_in_state(rig: &Rig, name: &str, state: &str) {
    let end = Instant::now() + PATIENCE;
    let is_so = || {
        let status = rig.status().expect("the rig runs");
        status.managers.iter().any(|one| one.name == name && one.state == state)
    };
    while !is_so() {
        assert!(Instant::now() < end, "`{name}` does not come to be {state}");
    }
}
