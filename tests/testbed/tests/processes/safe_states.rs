//! A manager whose coordinator goes, freezes or orders a stop; the coordinator is played by the test, at the other
//! end of the pipe.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, eventually, figure, storm, testbed};
use labrig::prelude::*;
use labrig::shm::{Doorbell, StatusPage, Urgent, monotonic_ns};
use labrig::transport::{Child, Pipe, PipeError, Spawned};
use labrig::wire::control::{self, Configure, CoordinatorWord, ManagerWord};
use labrig::wire::{Envelope, Header, Kind, MAX_ENVELOPE_BYTES, SafeEntry, codec};
use labrig_testbed::guarded::{Moving, Swing};
use rustix::process::Signal;
use tempfile::TempDir;

/// How long a manager has in all, in ms.
const SAFE_DEADLINE_MS: u64 = 2_000;
/// Longer than the tests last.
const LEASE_NS: u64 = 3_600_000_000_000;

/// The process of one manager, and what its coordinator holds of it.
struct Manager {
    spawned: Spawned,
    page: StatusPage,
    urgent: Doorbell,
    journal: PathBuf,
    _folder: TempDir,
}

impl Manager {
    /// One that is set up; `config` is more of its table, as JSON.
    fn start(config: &str) -> Self {
        let manager = Self::begin(config);
        assert_eq!(manager.hear(), ManagerWord::Ready);
        assert!(manager.page.is_safe(), "nothing has moved yet");
        manager
    }

    fn begin(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be had");
        let journal = folder.path().join("journal");
        let child = Child { program: Some(testbed()), label: "labrig:guarded".into(), ..Child::default() };
        let spawned = child.spawn().expect("the testbed can be started");
        let page = StatusPage::create(1).expect("memory can be had");
        let urgent = Doorbell::create().expect("a bell");
        // This coordinator knows what goes on: it need not be told of what begins.
        page.set_watched(true);
        let manager = Self { spawned, page, urgent, journal, _folder: folder };
        assert!(matches!(manager.hear(), ManagerWord::Hello { .. }));
        let word = CoordinatorWord::Configure(manager.configure(config));
        let descriptors = [manager.page.fd(), manager.urgent.as_fd()];
        manager.pipe().send_with(&control::seal(&word), &descriptors).expect("there is room");
        manager
    }

    fn configure(&self, config: &str) -> Configure {
        let journal = serde_json::to_string(&self.journal).expect("a path");
        Configure {
            version: env!("CARGO_PKG_VERSION").into(),
            agreed: Vec::new(),
            rig: "test".into(),
            manager: "guarded".into(),
            kind: "guarded".into(),
            generation: 1,
            index: 0,
            roster: vec!["guarded".into()],
            commands: Vec::new(),
            config_json: format!("{{\"journal\":{journal}{config}}}"),
            run_dir: String::new(),
            state_dir: String::new(),
            default_deadline_ms: 5_000,
            safe_deadline_ms: SAFE_DEADLINE_MS,
            log_level: 1,
            sends_traces: true,
            watchdog_ms: 2_000,
            lease_ms: 250,
            restarts_on_panic: false,
        }
    }

    fn pipe(&self) -> &Pipe {
        &self.spawned.pipe
    }

    /// Its next word; nothing else is expected.
    fn hear(&self) -> ManagerWord {
        let (kind, payload) = self.receive();
        assert_eq!(kind, Kind::Control);
        control::open(&payload).expect("a word")
    }

    fn hear_safe(&self) -> SafeEntry {
        match self.hear() {
            ManagerWord::Safe(entry) => entry,
            other => panic!("it said {other:?}"),
        }
    }

    fn receive(&self) -> (Kind, Vec<u8>) {
        let mut buffer = vec![0; MAX_ENVELOPE_BYTES];
        let mut received = None;
        eventually("a word of the manager", || {
            received = match self.pipe().receive(&mut buffer) {
                Err(PipeError::NotReady) => None,
                other => Some(other.expect("it lives")),
            };
            received.is_some()
        });
        let length = received.expect("it has come").length;
        let envelope = Envelope::open(&buffer[..length]).expect("it can be read");
        (envelope.header.kind, envelope.payload.to_vec())
    }

    /// Has it move, and waits until it does.
    fn swing(&self, moving: Moving) {
        let before = self.page.activity().taken;
        self.page.set_lease_until_ns(monotonic_ns() + LEASE_NS);
        let payload = codec::to_postcard(&Swing { moving }).expect("plain values");
        let header =
            Header { command: Swing::spec().id, correlation: before + 1, ..Header::new(Kind::Request) };
        self.pipe().send(&header.seal(&payload)).expect("there is room");
        eventually("a move", || self.page.activity().taken > before && !self.page.is_safe());
    }

    fn order(&self, reason: SafeReason) {
        self.page.set_argument(0, self.page.activity().taken);
        self.page.set_argument(1, reason.code());
        self.page.raise(Urgent::SAFE);
        self.urgent.ring();
    }

    /// Lets go of it as a coordinator does that dies, and waits until the process is gone too; says what is in its
    /// journal then.
    fn leave(self) -> Vec<String> {
        let Self { spawned, journal, _folder, .. } = self;
        let Spawned { pipe, mut process, .. } = spawned;
        drop(pipe);
        process.wait().expect("it was not waited for before");
        fs::read_to_string(journal).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Kills what a test leaves.
    fn kill(mut self) {
        self.spawned.process.signal(Signal::KILL).expect("it lives");
        self.spawned.process.wait().expect("it was not waited for before");
    }
}

/// The coordinator goes while a manager is at that; what its journal says, when it is gone itself.
fn check_left(config: &str, moving: Option<Moving>, expected: &[&str]) {
    let manager = Manager::start(config);
    if let Some(moving) = moving {
        manager.swing(moving);
    }
    assert_eq!(manager.leave(), expected, "{moving:?}");
}

#[test]
fn a_manager_whose_coordinator_is_gone_enters_its_safe_state_and_ends_whatever_it_is_at() {
    let by_worker = ["worker: the coordinator is gone"];
    for moving in [None, Some(Moving::Done), Some(Moving::Asleep)] {
        check_left("", moving, &by_worker);
        check_left(",\"emergency\":\"works\"", moving, &by_worker);
    }
}

#[test]
fn a_stuck_manager_whose_coordinator_is_gone_is_made_safe_by_its_handle_and_ends() {
    check_left(",\"emergency\":\"works\"", Some(Moving::Stuck), &["handle: the coordinator is gone"]);
}

#[test]
fn a_stuck_manager_ends_even_if_its_handle_hangs_too_or_there_is_none() {
    check_left(",\"emergency\":\"hangs\"", Some(Moving::Stuck), &[]);
    check_left("", Some(Moving::Stuck), &[]);
}

#[test]
fn a_manager_that_hangs_in_set_up_ends_with_its_coordinator() {
    let manager = Manager::begin(",\"emergency\":\"works\",\"hangs_in\":\"setup\"");
    eventually("a set-up", || manager.journal.exists());
    assert_eq!(manager.leave(), ["setup: a stop was ordered", "handle: the coordinator is gone"]);
}

#[test]
fn a_lease_that_is_not_renewed_makes_a_manager_safe_and_it_goes_on() {
    let manager = Manager::start("");
    manager.swing(Moving::Asleep);
    manager.page.set_lease_until_ns(monotonic_ns() + 1);
    // Whoever renews rings no bell; this bell stands for the end of the time that the manager sleeps.
    manager.urgent.ring();
    assert_eq!(manager.receive().0, Kind::Ended);
    assert_eq!(manager.hear_safe().reason, SafeReason::CoordinatorFrozen);
    manager.swing(Moving::Done);
    assert_eq!(manager.receive().0, Kind::Done);
    assert_eq!(manager.leave(), ["worker: the coordinator is frozen", "worker: the coordinator is gone"]);
}

#[test]
fn a_stop_makes_a_stuck_manager_safe_by_its_handle() {
    let manager = Manager::start(",\"emergency\":\"works\"");
    manager.swing(Moving::Stuck);
    manager.order(SafeReason::StopOrdered);
    let entry = manager.hear_safe();
    assert!(entry.by_emergency_handle && entry.reason == SafeReason::StopOrdered);
    assert!(manager.page.is_safe());
    manager.kill();
}

/// How long a manager takes from the order until its page says that it is safe, and which part of all takes longer.
fn measure(what: &str, moving: Moving, order: impl Fn(&mut Manager)) {
    let mut times: Vec<Duration> = (0..20 * storm())
        .map(|_| {
            let mut manager = Manager::start("");
            manager.swing(moving);
            let begun = Instant::now();
            order(&mut manager);
            while !manager.page.is_safe() {
                assert!(begun.elapsed() < PATIENCE, "it does not enter its safe state");
                std::hint::spin_loop();
            }
            let took = begun.elapsed();
            manager.kill_if_alive();
            took
        })
        .collect();
    times.sort_unstable();
    let part = |percent: usize| times[(times.len() - 1) * percent / 100];
    figure(&format!("safe after {what}, {moving:?}: p50, p99, most"), (part(50), part(99), part(100)));
}

impl Manager {
    fn kill_if_alive(mut self) {
        // It may end by itself at the same time.
        let _ = self.spawned.process.signal(Signal::KILL);
        self.spawned.process.wait().expect("it was not waited for before");
    }

    /// The other end of the pipe closes, as it does when the coordinator is killed.
    fn hang_up(&mut self) {
        let (other, _) = Pipe::pair().expect("a pair");
        drop(std::mem::replace(&mut self.spawned.pipe, other));
    }
}

#[test]
fn the_time_until_a_manager_is_safe_is_measured() {
    for moving in [Moving::Done, Moving::Asleep] {
        measure("the pipe's end", moving, Manager::hang_up);
        measure("a stop", moving, |manager| manager.order(SafeReason::StopOrdered));
    }
}
