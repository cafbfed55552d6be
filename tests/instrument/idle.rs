//! An idle rig wakes nobody.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use labrig::{Rig, Topology};

use crate::support::{PATIENCE, end_cleanly, program, project};
use crate::verbs::Running;

/// How long the rig is watched; the figure is per second, so a longer look only makes it finer.
const WATCHED: Duration = Duration::from_secs(10);

/// Of each thread of a process: its CPU time in ns, and how often it went to sleep.
struct Spent(BTreeMap<String, (u64, u64)>);

impl Spent {
    fn by(pid: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
        let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
        let spent = tasks.flatten().map(|task| {
            let clock = read(task.path().join("schedstat"));
            let cpu_ns = clock.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
            let status = read(task.path().join("status"));
            let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let sleeps = sleeps.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
            (task.file_name().to_string_lossy().into_owned(), (cpu_ns, sleeps))
        });
        Self(spent.collect())
    }

    /// What the threads that are there have spent since then, those that have begun since then included. A thread of
    /// the start may still end in between, on a busy machine: what it had spent is not missed.
    fn since(&self, before: &Self) -> (u64, u64) {
        let spent = self.0.iter().map(|(thread, after)| {
            let before = before.0.get(thread).copied().unwrap_or_default();
            (after.0 - before.0, after.1 - before.1)
        });
        spent.fold((0, 0), |sum, spent| (sum.0 + spent.0, sum.1 + spent.1))
    }
}

#[test]
fn an_idle_rig_wakes_nobody() {
    let topology = Topology::from_file(project("config/idle.toml")).expect("a config").program(program());
    let rig = Rig::launch(topology).unwrap_or_else(|error| panic!("{error}"));
    let status = rig.status().expect("the rig runs");
    let pids: Vec<_> = status.managers.iter().map(|manager| manager.pid).collect();
    // The managers have been told to begin just now; each goes to sleep after that.
    assert!(!rig.wait(Some(Duration::from_millis(500))));
    let before: Vec<_> = pids.iter().map(|pid| Spent::by(*pid)).collect();
    let begin = Instant::now();
    // Not to wait for something that happens, but to see that nothing does.
    assert!(!rig.wait(Some(WATCHED)));
    let seconds = begin.elapsed().as_secs_f64();
    let spent = pids.iter().zip(&before).map(|(pid, before)| Spent::by(*pid).since(before));
    let (cpu_ns, sleeps) = spent.fold((0, 0), |sum, spent| (sum.0 + spent.0, sum.1 + spent.1));
    let percent = cpu_ns as f64 / 1e9 / seconds * 100.0;
    println!("idle managers: {percent:.5} % of a core, {sleeps} wake-ups in {seconds:.1} s");
    assert!(percent < 0.1, "{percent} % of a core");
    // On a loaded machine a manager may go to sleep for the first time only now; whoever polls wakes again.
    assert!(sleeps <= pids.len() as u64, "{sleeps} wake-ups in {seconds} s");
    end_cleanly(rig);
}

#[test]
fn an_idle_coordinator_sleeps_too() {
    let work = tempfile::tempdir().expect("a folder");
    let mut coordinator = std::process::Command::new(program())
        .args(["run", "--quiet", "--run-dir", "run", "--state-dir", "state"])
        .arg(project("config/idle.toml"))
        .current_dir(work.path())
        .spawn()
        .expect("the program runs");
    let log = work.path().join("run/run.log");
    let end = Instant::now() + crate::support::PATIENCE;
    while !fs::read_to_string(&log).is_ok_and(|text| text.contains("2 managers are ready")) {
        assert!(Instant::now() < end, "the rig is not ready");
        std::thread::yield_now();
    }
    let before = Spent::by(coordinator.id());
    let begin = Instant::now();
    // Not to wait for something that happens, but to see that nothing does.
    std::thread::sleep(WATCHED);
    let seconds = begin.elapsed().as_secs_f64();
    let (cpu_ns, sleeps) = Spent::by(coordinator.id()).since(&before);
    let percent = cpu_ns as f64 / 1e9 / seconds * 100.0;
    println!("idle coordinator: {percent:.5} % of a core, {sleeps} wake-ups");
    assert!(percent < 0.1, "{percent} % of a core");
    let pid = rustix::process::Pid::from_child(&coordinator);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    assert_eq!(coordinator.wait().expect("it ends").code(), Some(0));
}

/// Whether the coordinator's main loop waits without a time, as the system sees it: that of an `epoll_pwait` is the
/// fourth of its arguments.
fn sleeps_for_ever(coordinator: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{coordinator}/task")).expect("the process lives").flatten();
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    let main = tasks.into_iter().find(|task| read(task.path().join("comm")).trim() == "labrig-main");
    let call = read(main.expect("the main loop runs").path().join("syscall"));
    call.split(' ').nth(4).is_some_and(|patience| patience.ends_with("ffffffff"))
}

#[test]
fn a_deadline_of_a_call_that_was_answered_wakes_nobody() {
    let work = tempfile::tempdir().expect("a folder");
    let config = "default_deadline_ms = 3600000\n[managers.x]\nkind = \"motor.sim\"\nwatchdog_ms = 3600000\n";
    let rig = Running::start(work.path(), "lab", config);
    for _ in 0..2 {
        rig.check_json(&["call", "WhereIs"], 0);
        let end = Instant::now() + PATIENCE;
        while !sleeps_for_ever(rig.pid()) {
            assert!(Instant::now() < end, "the main loop waits for something that is over");
            std::thread::yield_now();
        }
    }
    rig.quit();
}
