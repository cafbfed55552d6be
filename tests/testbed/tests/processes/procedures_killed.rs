//! Procedures whose process, or that of the manager they call, or whose whole rig, is killed at any moment: they end, no step
//! is missing, none that was acknowledged is run again, and the manager knows by its journal which it had begun or done.

use std::collections::BTreeMap;
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
                      kind = \"labrig.procedures\"\nmax_restarts = 1000\nrestart_window_s = 1\nrestart_delay_ms = 1\n\
                      [managers.hand]\nkind = \"careful\"\nconfig = { file = \"journal\" }\nmax_restarts = 1000\n\
                      restart_window_s = 1\nrestart_delay_ms = 1\n";
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

    fn kill(&self, manager: &str) {
        let status = self.told(&["status"]).unwrap_or_default();
        let managers = status["status"]["managers"].as_array().into_iter().flatten();
        let its = managers.filter(|it| it["name"] == manager).filter_map(|it| it["pid"].as_i64());
        // Between two lives there is nobody to kill.
        if let Some(pid) = its.filter(|pid| *pid > 0).find_map(|pid| Pid::from_raw(pid as i32)) {
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

/// What the manager was asked for, and how often it knew of it.
#[derive(Debug, Default)]
struct Known {
    started: usize,
    done: usize,
}

/// Every step is there, in order; one that a kill has interrupted is there again, and was known by its key: never as new,
/// and as nothing but done once it was that.
fn check_journal(path: &Path, steps: u64) -> Known {
    let text = fs::read_to_string(path).expect("a journal");
    let (mut last, mut known, mut keys) = (0, Known::default(), BTreeMap::new());
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let step: u64 = words[0].parse().expect("a number");
        assert!(step == last || step == last + 1, "step {step} came behind step {last}");
        last = step;
        let before = keys.insert(words[2].to_owned(), words[1].to_owned());
        match (before.as_deref(), words[1]) {
            (None, "New") => {}
            (None | Some("New" | "Started"), "Started") => known.started += 1,
            (Some(_), "Done") => known.done += 1,
            wrong => panic!("{line}: {wrong:?}"),
        }
    }
    assert_eq!((last, keys.len() as u64), (steps, steps));
    known
}

#[test]
fn a_procedure_ends_whatever_is_killed_and_no_step_is_missing_or_done_again() {
    let mut scene = Scene::new();
    scene.start();
    let (kills, steps) = (KILLS * storm(), STEPS * storm());
    let launch = ["procedure", "launch", "tally", &format!("steps={steps}"), "hand=hand", "step_ms=4"];
    let launched = scene.told(&launch).expect("it is launched");
    let id = launched["id"].as_str().expect("an id").to_owned();
    let (mut last, mut killed) = (0, (0, 0, 0));
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
        match random & 3 {
            0 => {
                scene.kill_rig();
                scene.start();
                killed.2 += 1;
            }
            1 => {
                scene.kill("hand");
                killed.1 += 1;
            }
            _ => {
                scene.kill("runner");
                killed.0 += 1;
            }
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
    let known = check_journal(&scene.journal(), steps);
    figure("kills of the runner, of its manager and of the rig; deeds asked for again", (killed, known));
    let keys = scene.folder.path().join("state/deeds/hand.journal");
    eventually("a journal without keys", || fs::metadata(&keys).is_ok_and(|file| file.len() == 0));
    assert!(scene.ask(&["quit"]).status.success());
}
