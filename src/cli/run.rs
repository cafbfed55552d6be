//! `run`: prove, start, show, and say how it ended.

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use indicatif::MultiProgress;
use log::LevelFilter;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::args::RunArgs;
use super::live::Live;
use super::{OnInterrupt, Program, Then, check, checking, exit, logging, topology};
use crate::config::{Fault, FaultKind, Topology};
use crate::coordinator::{LaunchError, ManagerEnd, Rig, RunSummary};

/// Runs a rig from its proof to its summary.
pub(super) fn run(program: Program, arguments: RunArgs, then: Then<'_>) -> ExitCode {
    let topology = match topology(&program, &arguments.source) {
        Ok(topology) => topology,
        Err(code) => return code,
    };
    let is_demo = arguments.source.config.is_none();
    let duration = arguments.duration.or(program.default_duration.filter(|_| is_demo));
    let is_terminal = std::io::stderr().is_terminal();
    let display = MultiProgress::new();
    logging::install(log_level(&arguments), &display, logging::has_colours());
    let rig = match launch(program, &arguments, topology) {
        Ok(rig) => rig,
        Err(error) => return not_launched(&error, arguments.json),
    };
    let mut live = Live::new(&display, is_terminal, arguments.quiet || arguments.json);
    let beside = match then {
        Some(then) => then(rig.scope()),
        None => {
            watch(&rig, &mut live, &arguments, duration);
            Ok(())
        }
    };
    live.end();
    let summary = rig.shutdown();
    let code = finish(&summary, arguments.json);
    match beside {
        Err(error) if code == exit::CLEAN => exit::complain(&with_causes(&*error), exit::FAILED),
        Err(error) => exit::complain(&with_causes(&*error), code),
        Ok(()) => ExitCode::from(code),
    }
}

fn log_level(arguments: &RunArgs) -> LevelFilter {
    match (arguments.quiet, arguments.verbose) {
        (true, _) => LevelFilter::Warn,
        (false, 0) => LevelFilter::Info,
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    }
}

fn launch(program: Program, arguments: &RunArgs, topology: Topology) -> Result<Rig, LaunchError> {
    let name = topology.resolve().plan.name;
    let run_dir = match &arguments.run_dir {
        Some(folder) => folder.clone(),
        None => fresh_run_dir(Path::new("runs"), &name)?,
    };
    let topology = checking::with_state(topology, &arguments.source).run_dir(run_dir);
    let topology = match &arguments.runtime_dir {
        Some(folder) => topology.runtime_dir(folder),
        None => topology,
    };
    let level = log_level(arguments).to_level().unwrap_or(log::Level::Info).max(log::Level::Info);
    let signals = signals(program.on_interrupt).map_err(LaunchError::System)?;
    let rig = Rig::builder(topology).scopes_from(program.scopes).hooks(program.hooks);
    rig.log_level(level).signals(signals).launch()
}

/// Ctrl-C and SIGTERM as bytes to read; the first Ctrl-C may be for the program itself.
pub(super) fn signals(on_interrupt: Option<OnInterrupt>) -> std::io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGTERM, write.try_clone()?)?;
    match on_interrupt {
        None => drop(signal_hook::low_level::pipe::register(SIGINT, write)?),
        Some(interrupted) => {
            let (mut first, interrupt) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(SIGINT, interrupt)?;
            let pass_on = move || {
                if first.read_exact(&mut [0]).is_ok() {
                    interrupted();
                }
                io::copy(&mut first, &mut &write)
            };
            thread::Builder::new().name("labrig-interrupts".to_owned()).spawn(pass_on)?;
        }
    }
    Ok(read)
}

/// A path below `runs/<rig>/` that no run has used; the folder is made once the rig is proved.
fn fresh_run_dir(base: &Path, rig: &str) -> Result<PathBuf, LaunchError> {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let stamp: String = time.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let folder = base.join(rig);
    let name = |count: u32| if count == 1 { stamp.clone() } else { format!("{stamp}-{count}") };
    let free = (1..).map(|count| folder.join(name(count))).find(|path| !path.exists());
    Ok(free.unwrap_or(folder))
}

/// Shows the rig until it ends or its time is over.
fn watch(rig: &Rig, live: &mut Live, arguments: &RunArgs, duration: Option<Duration>) {
    let end = duration.and_then(|duration| Instant::now().checked_add(duration));
    let is_shown = !arguments.quiet;
    if arguments.json {
        print_json(&json!({ "event": "started", "run_dir": rig.run_dir() }));
    }
    loop {
        if is_shown && let Some(status) = rig.status() {
            let line = live.show(&status);
            if arguments.json {
                print_json(&json!({ "event": "status", "status": status }));
            } else if let Some(line) = line {
                // Whoever closed standard error does not want to see it.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let pause = if is_shown { Some(live.pause()) } else { None };
        if rig.wait(left.into_iter().chain(pause).min()) {
            return;
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            rig.scope().quit();
            rig.wait(None);
            return;
        }
    }
}

pub(super) fn not_launched(error: &LaunchError, is_json: bool) -> ExitCode {
    let code = match error {
        LaunchError::Refused(report) => {
            let text = if is_json { check::refused_line(report) } else { check::coloured(report) };
            let _ = writeln!(std::io::stdout(), "{text}");
            let is_outside = |fault: &Fault| fault.kind() == FaultKind::Surroundings;
            let all_outside = report.faults().iter().all(is_outside);
            return ExitCode::from(if all_outside { exit::FAILED } else { exit::REFUSED });
        }
        LaunchError::Folder { .. }
        | LaunchError::System(_)
        | LaunchError::Socket(_)
        | LaunchError::StateFolderHeld { .. } => exit::FAILED,
        _ => exit::NOT_STARTED,
    };
    let text = with_causes(error);
    if is_json {
        print_json(&json!({ "event": "not-started", "error": text }));
    }
    exit::complain(&text, code)
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}\n  because {cause}"))
}

fn print_json(value: &serde_json::Value) {
    // A reader that is gone has seen enough; the run goes on.
    let _ = writeln!(std::io::stdout(), "{value}");
}

/// Prints the summary, keeps it in the run's folder, and chooses the exit code.
fn finish(summary: &RunSummary, is_json: bool) -> u8 {
    let path = summary.run_dir.join("summary.json");
    let text = serde_json::to_string_pretty(summary).expect("a summary holds only plain values");
    let kept = fs::write(&path, text + "\n");
    if let Err(error) = &kept {
        exit::complain(&format!("cannot write `{}`: {error}", path.display()), exit::FAILED);
    }
    if is_json {
        print_json(&json!({ "event": "summary", "summary": summary }));
    } else {
        let _ = writeln!(std::io::stdout(), "{}", summary_text(summary));
    }
    match (kept.is_ok(), summary.is_clean, summary.has_losses()) {
        (false, _, _) => exit::FAILED,
        (true, false, _) => exit::MANAGER_FAILED,
        (true, true, true) => exit::LOST,
        (true, true, false) => exit::CLEAN,
    }
}

fn summary_text(summary: &RunSummary) -> String {
    let mut lines = vec![format!("{} ran {:.1} s; {}", summary.rig, summary.duration_s, summary.reason)];
    for manager in &summary.managers {
        let end = match &manager.end {
            ManagerEnd::Clean { safe_state_us } => {
                format!("ended clean, safe in {:.1} ms", *safe_state_us as f64 / 1e3)
            }
            ManagerEnd::Failed { why } => format!("FAILED: {why}"),
            ManagerEnd::NotStarted => "was not started".to_owned(),
            ManagerEnd::Absent { why } => format!("absent (optional): {why}"),
        };
        lines.push(format!(
            "  {:<14} {:<14} {:>6} commands, {end}",
            manager.name, manager.kind, manager.taken
        ));
    }
    lines.extend(summary.faults.iter().map(|fault| format!("  FAULT: {fault}")));
    for stream in &summary.streams {
        let dropped = stream.dropped();
        lines.push(format!(
            "  stream {}: {} produced by {}, dropped {dropped}",
            stream.name, stream.published, stream.producer
        ));
        for reader in &stream.readers {
            let mode = if reader.is_lossless { "lossless" } else { "latest" };
            let passed =
                if reader.skipped > 0 { format!(", passed over {}", reader.skipped) } else { String::new() };
            lines.push(format!("    {} took {} ({mode}){passed}", reader.manager, reader.taken));
        }
        if stream.waits > 0 {
            lines.push(format!(
                "    the producer waited {} times, {:.0} ms in all",
                stream.waits, stream.waited_ms
            ));
        }
    }
    lines.extend(summary.deaths.iter().map(|death| format!("  DIED at {:.1} s: {death}", death.at_s)));
    for loss in &summary.losses {
        lines.push(format!(
            "  LOST at {}: {} × {} (first: {})",
            loss.manager, loss.count, loss.what, loss.first
        ));
    }
    let totals = &summary.totals;
    let bad = totals.accepted - totals.done;
    lines.push(format!("  calls: {} accepted, {} done, {bad} ended otherwise", totals.accepted, totals.done));
    lines.push(format!("run folder: {}", summary.run_dir.display()));
    lines.join("\n")
}
