//! Everything at once: whatever happens, every call ends once, and nothing is left behind.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{end_empty, eventually, figure, launch, pid_of};
use labrig::{Rig, Scope};
use labrig_testbed::stirrer::*;
use rustix::process::{Signal, kill_process};

const MANAGERS: [&str; 4] = ["a", "b", "c", "d"];

/// The calls of one thread, each with how often it has ended.
#[derive(Default)]
struct Ledger(Mutex<Vec<Arc<AtomicU8>>>);

impl Ledger {
    /// Asks one of the managers for many things at once.
    fn ask_for_many(&self, scope: &Scope, random: u64) {
        let whom = MANAGERS[random as usize % MANAGERS.len()];
        (0..random >> 4 & 0x3f).for_each(|number| self.ask(scope, whom, scatter(random + number)));
    }

    /// Asks for something, and counts its endings.
    fn ask(&self, scope: &Scope, whom: &str, random: u64) {
        let nap = Nap { number: random >> 40, duration_us: (random >> 24) % 300 };
        let Ok(pending) = scope.to(whom).request(nap) else { return };
        let ends = Arc::new(AtomicU8::new(0));
        self.0.lock().expect("nobody panics with it").push(Arc::clone(&ends));
        pending.on_complete(move |_| {
            ends.fetch_add(1, Ordering::SeqCst);
        });
        match random >> 60 {
            0..4 => pending.cancel(),
            4..8 => pending.set_expiry(Some(Duration::from_micros(random >> 50 & 0x3ff))),
            8 => drop(pending.wait(Duration::from_micros(random >> 50 & 0x3ff))),
            _ => {}
        }
    }

    fn check(&self) {
        let calls = self.0.lock().expect("nobody panics with it");
        figure("calls with callbacks in one thread", calls.len());
        eventually("an end of every call", || calls.iter().all(|ends| ends.load(Ordering::SeqCst) > 0));
        assert!(calls.iter().all(|ends| ends.load(Ordering::SeqCst) == 1), "a call has ended twice");
    }
}

/// How long it storms.
fn span() -> Duration {
    if std::env::var_os("LABRIG_STORM").is_some() { Duration::from_secs(30) } else { Duration::from_secs(2) }
}

/// Kills two of the managers, one after a third of the time and one after two.
fn kill_some(rig: &Rig) {
    for name in ["b", "d"] {
        // Time is what a storm is made of: nothing is waited for here.
        thread::sleep(span() / 3);
        kill_process(pid_of(rig, name), Signal::KILL).expect("it lives");
    }
    thread::sleep(span() / 3);
}

#[test]
fn in_a_storm_every_call_ends_once_and_nothing_is_left_behind() {
    let managers = MANAGERS.map(|name| format!("[managers.{name}]\nkind = \"stirrer\"\n")).concat();
    let rig = launch(&format!("default_deadline_ms = 2000\n{managers}"));
    let (is_over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let ledgers: [Ledger; 3] = Default::default();
    thread::scope(|threads| {
        for (number, ledger) in (1..).zip(&ledgers) {
            let (scope, is_over, done) = (rig.scope(), &is_over, &done);
            threads.spawn(move || stir_until_over(number, scope, ledger, is_over, done));
        }
        kill_some(&rig);
        is_over.store(true, Ordering::SeqCst);
    });
    ledgers.iter().for_each(Ledger::check);
    for survivor in ["a", "c"] {
        check_callbacks(&rig, survivor);
    }
    figure("calls of the coordinator's threads that were done", done);
    let summary = end_empty(rig, "storm");
    figure("how the storm's calls ended", summary.totals);
    let failed: Vec<_> = summary.failed().map(|(name, _)| name).collect();
    assert_eq!(failed, ["b", "d"], "{summary:#?}");
}

fn stir_until_over(number: u64, scope: Scope, ledger: &Ledger, is_over: &AtomicBool, done: &AtomicU64) {
    let begin = Instant::now();
    let whom = MANAGERS.iter().chain(&["scope"]).map(|name| (*name).to_owned()).collect();
    let spoon = Spoon { scope, depth: 3, whom };
    let mut seed = number;
    while !is_over.load(Ordering::SeqCst) {
        assert!(begin.elapsed() < 10 * span(), "a call hangs");
        seed = scatter(seed);
        done.fetch_add(stir(&spoon, seed, 4), Ordering::SeqCst);
        ledger.ask_for_many(&spoon.scope, seed);
    }
}

/// In a manager that has survived, every callback has been run.
fn check_callbacks(rig: &Rig, manager: &str) {
    let mut tally = None;
    eventually("the last callback", || {
        tally = rig.scope().to(manager).call(CountCallbacks {}).ok();
        // On a machine that has other things to do there may have been none to leave.
        tally.as_ref().is_some_and(|tally| tally.left == tally.run)
    });
    figure(&format!("callbacks run in `{manager}`"), tally.map_or(0, |tally| tally.run));
}
