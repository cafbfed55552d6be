//! Procedures whose process, or whose whole rig, is killed at any moment: they end, no step is missing, and none that was
//! acknowledged is run again.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::support::{eventually, figure, storm, testbed};
use labrig_testbed::stirrer::scatter;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How often somebody is killed in an ordinary run.
const KILLS: u64 = 8;
/// How many steps there are; as many as to outlast the kills.
const STEPS: u64 = 200;

/// Where a rig runs, again and again.
struct Scene {
    folder: tempfile::TempDir,
    coordinator: Option<Child>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = "schema = 1\n[rig]\nname = \"storm\"\nlease_ms = 60000\n[managers.runner]\n\
                      kind = \"labrig.procedures\"\nmax_restarts = 1000\nrestart_window_s = 1\nrestart_delay_ms = 1\n";
        fs::write(folder.path().join("rig.toml"), config).expect("a config");
        Self { folder, coordinator: None }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(testbed());
        command.args(words).args(["--runtime-dir", "runtime"]).current_dir(self.folder.path());
        command.stdin(Stdio::null());
        command
    }

    /// Starts the rig, and waits until it has begun.
    fn start(&mut self) {
        let words = ["run", "rig.toml", "--json", "--run-dir", "run", "--state-dir", "state"];
        let mut command = self.program(&words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert!(first.contains("\"started\""), "{first}");
        std::thread::spawn(move || lines.for_each(drop));
        self.coordinator = Some(child);
    }

    fn ask(&self, words: &[&str]) -> Output {
        self.program(&[words, &["--json"]].concat()).output().expect("it runs")
    }

    /// What the rig says, when it can.
    fn told(&self, words: &[&str]) -> Option<Value> {
        let output = self.ask(words);
        let last = String::from_utf8_lossy(&output.stdout).lines().last()?.to_owned();
        output.status.success().then(|| serde_json::from_str(&last).expect("JSON"))
    }

    /// Which step was acknowledged last, and whether there is anything more to come.
    fn progress(&self, id: &str) -> (u64, bool) {
        let mut record = Value::Null;
        eventually("a record", || {
            record = self.told(&["procedure", "status", id]).unwrap_or_default();
            record != Value::Null
        });
        let state = record["reply"]["state"].as_str().unwrap_or_default();
        assert!(["created", "running", "finished"].contains(&state), "{record}");
        (record["reply"]["step"].as_u64().unwrap_or(0), state == "finished")
    }

    fn kill_runner(&self) {
        let status = self.told(&["status"]).unwrap_or_default();
        let managers = status["status"]["managers"].as_array().into_iter().flatten();
        let runner = managers.filter_map(|it| it["pid"].as_i64()).find_map(|pid| Pid::from_raw(pid as i32));
        // Between two lives there is nobody to kill.
        if let Some(pid) = runner {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn kill_rig(&mut self) {
        let mut coordinator = self.coordinator.take().expect("it runs");
        coordinator.kill().expect("it lives");
        coordinator.wait().expect("it ends");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(mut coordinator) = self.coordinator.take() {
            let _ = coordinator.kill();
            let _ = coordinator.wait();
        }
    }
}

/// Every step is there, in order; one that a kill has interrupted is there again, under the same key.
fn check_journal(path: &Path, steps: u64) -> usize {
    let text = fs::read_to_string(path).expect("a journal");
    let (mut last, mut keys, mut repeated) = (0, BTreeSet::new(), 0);
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let step: u64 = words[0].parse().expect("a number");
        assert!(step == last || step == last + 1, "step {step} came behind step {last}");
        repeated += usize::from(!keys.insert(words[2].to_owned()));
        last = step;
    }
    assert_eq!((last, keys.len() as u64), (steps, steps));
    repeated
}

#[test]
fn a_procedure_ends_whatever_is_killed_and_no_step_is_missing_or_done_again() {
    let mut scene = Scene::new();
    scene.start();
    let (kills, steps) = (KILLS * storm(), STEPS * storm());
    let (steps_word, journal) = (format!("steps={steps}"), format!("journal={}", scene.journal().display()));
    let launch = ["procedure", "launch", "tally", &steps_word, &journal, "step_ms=4"];
    let launched = scene.told(&launch).expect("it is launched");
    let id = launched["id"].as_str().expect("an id").to_owned();
    let (mut last, mut killed) = (0, (0, 0));
    for number in 0..kills {
        let random = scatter(number);
        // Time is what a storm is made of: nothing is waited for here.
        std::thread::sleep(Duration::from_millis(random >> 32 & 0x3f));
        let (step, is_over) = scene.progress(&id);
        assert!(step >= last, "step {step} was behind step {last}, which was acknowledged");
        last = step;
        if is_over {
            break;
        }
        if random & 3 == 0 {
            scene.kill_rig();
            scene.start();
            killed.1 += 1;
        } else {
            scene.kill_runner();
            killed.0 += 1;
        }
    }
    let mut ended = None;
    eventually("its end", || {
        // Whoever asks between two lives, or through two of them, asks again.
        ended = scene.told(&["procedure", "wait", &id]);
        ended.is_some()
    });
    let ended = ended.expect("it has come");
    assert_eq!(ended["reply"]["step"], steps, "{ended}");
    let repeated = check_journal(&scene.journal(), steps);
    figure("kills of the runner and of the rig, steps begun again", (killed, repeated));
    assert!(scene.ask(&["quit"]).status.success());
}
