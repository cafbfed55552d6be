//! `demo`: a rig that shows itself.
//!
//! Without a name the program's own config runs for its time. `demo chaos` runs a rig with a manager that misbehaves:
//! one fault after the other is injected while the table goes on, each is held against what is promised of it, and
//! the exit code says whether everything was kept.

mod faults;
mod trial;
mod verdict;
mod words;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;

use super::args::RunArgs;
use super::live::Live;
use super::{Program, exit, logging, run};
use crate::config::Topology;
use crate::coordinator::Rig;

use faults::shuffled;
use trial::Stage;
use verdict::Verdict;
pub(super) use words::DemoArgs;
use words::Show;

/// The rig of `demo chaos`.
const CHAOS: &str = include_str!("../../config/chaos.toml");
/// How often the show looks whether it is over while nothing is shown.
const GLANCE: Duration = Duration::from_millis(100);

/// Shows what was asked for.
pub(super) fn demo(program: Program, arguments: DemoArgs) -> ExitCode {
    match arguments.show {
        None if program.default_config.is_none() => {
            exit::complain("this program has no demo of its own; there is `demo chaos`", exit::USAGE)
        }
        None => run::run(program, arguments.as_run(), None),
        Some(Show::Chaos) => chaos(program, &arguments),
    }
}

fn chaos(program: Program, arguments: &DemoArgs) -> ExitCode {
    let run = arguments.as_run();
    let is_terminal = std::io::stderr().is_terminal();
    let display = MultiProgress::new();
    let has_colours = is_terminal && std::env::var_os("NO_COLOR").is_none();
    logging::install(run::log_level(&run), &display, has_colours);
    let rig = match run::launch(program, &run, Topology::from_toml(CHAOS)) {
        Ok(rig) => rig,
        Err(error) => return run::not_launched(&error, false),
    };
    let mut live = Live::new(&display, is_terminal, run.quiet);
    let verdicts = play(&rig, &mut live, &display, (arguments, &run));
    live.end();
    let summary = rig.shutdown();
    let kept = run::keep_summary(&summary);
    let others: Vec<_> = summary.failed().filter(|(name, _)| *name != faults::CULPRIT).collect();
    say(&display, &verdict::summary(&verdicts, &others, &summary.run_dir));
    match verdicts.iter().all(Verdict::is_kept) && others.is_empty() {
        _ if !kept => ExitCode::from(exit::FAILED),
        true => ExitCode::from(exit::CLEAN),
        false => ExitCode::from(exit::MANAGER_FAILED),
    }
}

/// Injects the faults from a thread beside, while this one shows the rig.
fn play(
    rig: &Rig,
    live: &mut Live,
    display: &MultiProgress,
    (arguments, run): (&DemoArgs, &RunArgs),
) -> Vec<Verdict> {
    let is_over = AtomicBool::new(false);
    thread::scope(|threads| {
        let injecting = threads.spawn(|| {
            let verdicts = inject_all(rig, display, arguments, run.duration);
            is_over.store(true, Ordering::Release);
            verdicts
        });
        show(rig, live, run, &is_over);
        injecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn inject_all(
    rig: &Rig,
    display: &MultiProgress,
    arguments: &DemoArgs,
    duration: Option<Duration>,
) -> Vec<Verdict> {
    let end = duration.map(|duration| Instant::now() + duration);
    let faults = shuffled(arguments.seed);
    let wanted = arguments.faults.unwrap_or(faults.len());
    let mut verdicts = Vec::new();
    for fault in faults.iter().cycle().take(wanted) {
        let next = Instant::now() + arguments.every;
        if end.is_some_and(|end| next >= end) || rig.wait(Some(arguments.every)) {
            break;
        }
        say(display, &format!("--- {}: {}", verdicts.len() + 1, fault.title));
        // A rig that quits meanwhile is not to blame for what it did not get to do.
        let Some(verdict) = Stage::new(rig).try_out(fault) else { break };
        say(display, &format!("    {verdict}"));
        verdicts.push(verdict);
    }
    verdicts
}

/// Shows the rig until the faults are through, or it ends by itself.
fn show(rig: &Rig, live: &mut Live, arguments: &RunArgs, is_over: &AtomicBool) {
    let mut shown_at: Option<Instant> = None;
    while !is_over.load(Ordering::Acquire) {
        let is_due = shown_at.is_none_or(|shown| shown.elapsed() >= live.pause());
        if is_due
            && !arguments.quiet
            && let Some(status) = rig.status()
        {
            shown_at = Some(Instant::now());
            if let Some(line) = live.show(&status) {
                // Whoever closed standard error does not want to see it.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
        thread::sleep(GLANCE);
    }
}

/// Prints above whatever the display shows.
fn say(display: &MultiProgress, text: &str) {
    // Whoever closed standard output does not want to read it; the exit code tells all the same.
    let _ = display.suspend(|| writeln!(std::io::stdout(), "{text}"));
}
