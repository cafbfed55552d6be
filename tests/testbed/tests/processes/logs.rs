//! The one log under managers that print more than anybody wants to read.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::support::{PATIENCE, end_cleanly, figure, launch, testbed};
use labrig_testbed::commands::Print;

/// The lines of a manager that were dropped, as the log tells.
fn told_as_dropped(log: &str, what: &str) -> u64 {
    let told = log
        .lines()
        .filter_map(|line| line.split_once(&format!(" {what} were dropped"))?.0.rsplit(' ').next());
    told.map(|count| count.parse::<u64>().expect("a number")).sum()
}

/// Every line is in the log, or counted as dropped.
fn check_counted(log: &str, kept: &str, what: &str, printed: u64) {
    let (kept, dropped) = (log.matches(kept).count() as u64, told_as_dropped(log, what));
    assert!(kept > 0 && dropped > 0, "{kept} kept, {dropped} dropped");
    assert_eq!(kept + dropped, printed, "{kept} kept, {dropped} dropped");
}

#[test]
fn lines_and_records_that_come_too_fast_are_dropped_and_counted_to_the_last() {
    let rig = launch("[managers.left]\nkind = \"worker\"");
    let print = Print { text: "nobody reads this".to_owned(), times: 20_000 };
    rig.scope().request(print).expect("accepted").wait(PATIENCE).expect("done");
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("run.log");
    // The rig's own folder goes with it: a link keeps the log, with the lines that are still to come.
    fs::hard_link(rig.run_dir().join("run.log"), &kept).expect("both are on one file system");
    end_cleanly(rig);
    let log = fs::read_to_string(&kept).expect("a log").replace("#1: err:", "#1: out:");
    check_counted(&log, "left#1: out: nobody", "lines that it printed", 40_000);
    // Those that found no room in the pipe are told apart.
    let log = log.replace("log records were dropped: its pipe was full", "log records were dropped");
    check_counted(&log, "left#1: log: nobody", "log records", 20_000);
}

/// A coordinator in a process of its own, so that nothing else is in its memory.
struct Coordinator(Child);

impl Drop for Coordinator {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn high_water_kb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn run(folder: &Path, megabytes: u64) -> u64 {
    let config = folder.join("rig.toml");
    let text = format!(
        "schema = 1\n[rig]\nname = \"prints\"\nstart_deadline_ms = 60000\ndefault_deadline_ms = 60000\n\
         [managers.bad]\nkind = \"chaos.sim\"\nwatchdog_ms = 0\n\
         startup = [{{ command = \"Misbehave\", args = {{ how = {{ print = {{ megabytes = {megabytes} }} }} }} }}]\n"
    );
    fs::write(&config, text).expect("a config");
    let mut coordinator = Command::new(testbed());
    coordinator.arg("run").arg(&config).args(["--quiet", "--duration", "100ms", "--run-dir", "run"]);
    coordinator.args(["--state-dir", "state"]).current_dir(folder).stdout(Stdio::null());
    let mut child = Coordinator(coordinator.spawn().expect("the program runs"));
    let (end, mut high_water) = (Instant::now() + PATIENCE, 0);
    while child.0.try_wait().expect("it can be waited for").is_none() {
        assert!(Instant::now() < end, "it does not end");
        high_water = high_water_kb(child.0.id()).unwrap_or(0).max(high_water);
        std::thread::yield_now();
    }
    assert!(child.0.wait().expect("it has ended").success());
    high_water
}

#[test]
fn a_hundred_megabytes_of_prints_are_counted_and_take_no_memory_of_the_coordinator() {
    let folder = tempfile::tempdir().expect("a folder");
    let little = run(folder.path(), 0);
    let much = run(folder.path(), 100);
    figure("memory of a coordinator at its highest: nothing printed, and 100 MB, in kB", (little, much));
    assert!(much < little + 16_000, "{much} kB instead of {little} kB");
    let log = fs::read_to_string(folder.path().join("run/run.log")).expect("a log");
    check_counted(&log, "bad#1: the quick brown fox jumps", "lines that it printed", 1_000_000);
}
