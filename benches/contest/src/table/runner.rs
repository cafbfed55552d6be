//! Runs contestants, one at a time, and reads what they print.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use harness::processes::{cpu_ns, wakeups};
use harness::report::Report;
use rustix::process::{Pid, Signal, kill_process};

use super::cases::{Case, Run};
use super::outcome::{Metrics, Trouble};

/// Longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long idle processes are watched, and how long they have to become idle.
const WATCHED: Duration = Duration::from_secs(5);
const SETTLED: Duration = Duration::from_millis(500);

/// The programs of the contestants, all in one folder.
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Those beside this program. They are brought up to date when cargo has started this one.
    pub(super) fn beside_this() -> Result<Self, String> {
        let this = env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
        let folder = this.parent().unwrap_or(Path::new("/")).to_owned();
        if folder.ends_with("debug") {
            return Err("this is a debug build, which measures nothing\n\
                        help: cargo run --release -p contest -- table"
                .to_owned());
        }
        if let Some(cargo) = env::var_os("CARGO") {
            build(Command::new(cargo))?;
        }
        let programs = Self { folder };
        match ["limits", "peers"].into_iter().find(|name| !programs.folder.join(name).exists()) {
            None => Ok(programs),
            Some(missing) => Err(format!(
                "there is no `{missing}` in {}\nhelp: cargo build --release -p contest -p limits -p peers",
                programs.folder.display()
            )),
        }
    }

    /// Runs one contestant once.
    pub(super) fn run(&self, case: &Case, run: &Run) -> Result<Metrics, Trouble> {
        match run.verb {
            "route" => super::routing::measure(&self.folder.join("contest")),
            "W6" => Ok(self.watch_idle(case, run)?),
            _ => {
                let child = self.command(case, run).spawn().map_err(|error| error.to_string())?;
                let output = ended(child)?;
                let printed = String::from_utf8_lossy(&output.stdout);
                if !output.status.success() {
                    return Err(format!("{}: {}", output.status, last_lines(&output.stderr)).into());
                }
                Ok(report_in(&printed)?.metrics)
            }
        }
    }

    fn command(&self, case: &Case, run: &Run) -> Command {
        let program = program_of(run.peer);
        let mut command = Command::new(self.folder.join(program));
        if program != "contest" {
            command.arg(run.peer);
        }
        command.arg(run.verb).args(case.options.split_whitespace()).env("PEERS_PIN", case.pin);
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// Watches processes that have nothing to do.
    fn watch_idle(&self, case: &Case, run: &Run) -> Result<Metrics, String> {
        let mut command = self.command(case, run);
        // Nobody reads what it says meanwhile, and a full pipe would be something to wait for.
        let mut child = command.stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        let watched = idle_pids(&mut child).map(|pids| watch(&pids));
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or("a process has a number")?;
        // It may have ended by itself; then its code says more.
        let told = kill_process(pid, Signal::TERM);
        let end = child.wait().map_err(|error| error.to_string())?;
        let metrics = watched?;
        told.map_err(|error| format!("it cannot be told to end: {error}"))?;
        // Whoever does not take the signal ends by it.
        end.success().then_some(metrics).ok_or_else(|| end.to_string())
    }
}

/// Waits for the end of a run; one that hangs is killed, and fails.
fn ended(child: Child) -> Result<Output, String> {
    let pid = Pid::from_raw(child.id().cast_signed()).ok_or("a process has a number")?;
    let (ended, has_ended) = channel::<()>();
    let watchdog = thread::spawn(move || {
        let hangs = has_ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        // A process that is waited for keeps its number until it has ended, and then nobody waits here for long.
        hangs && kill_process(pid, Signal::KILL).is_ok()
    });
    let output = child.wait_with_output().map_err(|error| error.to_string());
    drop(ended);
    match watchdog.join() {
        Ok(false) => output,
        _ => Err(format!("it had not ended after {} s, and was killed", PATIENCE.as_secs())),
    }
}

/// Builds the programs that this one runs.
fn build(mut cargo: Command) -> Result<(), String> {
    cargo.args(["build", "--release", "--quiet", "-p", "limits", "-p", "peers"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::null());
    eprintln!("building the other contestants, which takes some minutes the first time");
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the other contestants cannot be built: cargo ended with {status}")),
        Err(error) => Err(format!("the other contestants cannot be built: {error}")),
    }
}

/// In which program a contestant is.
fn program_of(peer: &str) -> &'static str {
    match peer {
        "labrig" => "contest",
        _ if peer.starts_with("hand-") || peer.starts_with("limit-") => "limits",
        _ => "peers",
    }
}

fn report_in(printed: &str) -> Result<Report, String> {
    match Report::among(printed) {
        Ok(Some(report)) => Ok(report),
        Ok(None) => Err("it printed no report".to_owned()),
        Err(error) => Err(format!("its report cannot be read: {error}")),
    }
}

fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("note:")).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

/// Reads until the report is there; the process stays.
fn idle_pids(child: &mut Child) -> Result<Vec<i32>, String> {
    let stdout = child.stdout.take().ok_or("its output is not read")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| error.to_string())?;
        if let Some(report) = Report::among(&line).map_err(|error| error.to_string())? {
            return Ok(report.idle_pids);
        }
    }
    Err("it ended without a report".to_owned())
}

fn watch(pids: &[i32]) -> Metrics {
    thread::sleep(SETTLED);
    let begun = Instant::now();
    let read = || (cpu_ns(pids) as f64, cpu_ns(&pids[..1]) as f64, wakeups(pids) as f64);
    let before = read();
    thread::sleep(WATCHED);
    let after = read();
    let seconds = begun.elapsed().as_secs_f64();
    Metrics::from([
        ("cpu_per_s".to_owned(), (after.0 - before.0) / 1e9 / seconds),
        ("coord_cpu_per_s".to_owned(), (after.1 - before.1) / 1e9 / seconds),
        ("wakeups_per_s".to_owned(), (after.2 - before.2) / seconds),
    ])
}
