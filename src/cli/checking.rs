//! `check --live`: one manager alone, its self-checks inside it, and what came of them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;
use log::LevelFilter;
use serde_json::{Value, json};

use super::args::{LiveArgs, Source};
use super::{Program, check, exit, logging, run, topology};
use crate::config::Topology;
use crate::coordinator::{LaunchError, ManagerEnd, Rig, RunSummary, default_state_dir};
use crate::registry::SelfCheckDescription;
use crate::remote::CallError;

/// A check ends when its call does; only a coordinator that says nothing at all makes it wait so long.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What became of one self-check.
struct Outcome {
    check: SelfCheckDescription,
    end: Result<(), CallError>,
    took: Duration,
}

/// What came of starting a manager alone and running its self-checks.
pub(super) struct Trial {
    outcomes: Vec<Outcome>,
    summary: RunSummary,
}

/// Proves the rig, starts that manager alone, runs its self-checks, and quits.
pub(super) fn check_live(program: Program, arguments: &LiveArgs, manager: &str) -> ExitCode {
    let is_json = arguments.check.json;
    let trial = topology(&program, &arguments.check.source).and_then(|topology| {
        try_alone(program, with_state(topology, &arguments.check.source), manager, is_json)
    });
    match trial {
        Ok(trial) => tell(manager, &trial, is_json),
        Err(code) => code,
    }
}

/// The topology with the folder in which the rig keeps state: the devices of a rig have one owner.
pub(super) fn with_state(topology: Topology, source: &Source) -> Topology {
    let state_dir = || default_state_dir(&topology.resolve().plan.name);
    let state_dir = source.state_dir.clone().unwrap_or_else(state_dir);
    topology.state_dir(state_dir)
}

/// Starts that manager alone and runs its self-checks; what kept it from starting is told here.
pub(super) fn try_alone(
    program: Program,
    topology: Topology,
    manager: &str,
    is_json: bool,
) -> Result<Trial, ExitCode> {
    logging::install(LevelFilter::Warn, &MultiProgress::new(), logging::has_colours());
    let builder = Rig::builder(topology).scopes_from(program.scopes).alone(manager);
    let proof = builder.prove();
    let checks = match proof.plan.manager(manager) {
        Some(index) if proof.report.is_clean() => {
            proof.registry.bind(&proof.plan).self_checks_of(index).to_vec()
        }
        _ => Vec::new(),
    };
    let rig = run::signals(None).map_err(LaunchError::System).and_then(|it| builder.signals(it).launch());
    let rig = rig.map_err(|error| match error {
        LaunchError::NoSuchManager { .. } => exit::complain(&error.to_string(), exit::USAGE),
        error => run::not_launched(&error, is_json),
    })?;
    let outcomes = checks.into_iter().map(|check| run_one(&rig, manager, check, is_json)).collect();
    Ok(Trial { outcomes, summary: rig.shutdown() })
}

/// Runs one check, and tells a person what came of it as soon as that is known.
fn run_one(rig: &Rig, manager: &str, check: SelfCheckDescription, is_json: bool) -> Outcome {
    let begun = Instant::now();
    let asked = rig.scope().self_check(manager, &check.name).map_err(CallError::from);
    let end = asked.and_then(|pending| pending.wait(LONGEST));
    let outcome = Outcome { check, end, took: begun.elapsed() };
    if !is_json {
        check::print(&outcome.text(), exit::CLEAN);
    }
    outcome
}

impl Trial {
    /// Whether every self-check passed and the manager ended in good order.
    pub(super) fn has_passed(&self) -> bool {
        self.failed() == 0 && self.summary.is_clean
    }

    fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.end.is_err()).count()
    }

    /// How the manager ended, when that was not in good order.
    fn bad_end(&self) -> Option<String> {
        self.summary.managers.iter().find_map(|it| match &it.end {
            ManagerEnd::Clean { .. } => None,
            ManagerEnd::Failed { why } => Some(why.clone()),
            other => Some(format!("{other:?}")),
        })
    }

    pub(super) fn to_json(&self, manager: &str) -> Value {
        json!({
            "rig": self.summary.rig,
            "manager": manager,
            "checks": self.outcomes.iter().map(Outcome::to_json).collect::<Vec<_>>(),
            "failed": self.failed(),
            "ended": self.bad_end().as_deref().unwrap_or("clean"),
            "passed": self.has_passed(),
        })
    }

    pub(super) fn text(&self, manager: &str) -> String {
        let checks = match (self.outcomes.len(), self.failed()) {
            (0, _) => "its kind declares no self-checks".to_owned(),
            (count, 0) => format!("{count} of {count} self-checks passed"),
            (count, failed) => format!("{failed} of {count} self-checks FAILED"),
        };
        let ended = self.bad_end().map_or_else(|| "ended clean".to_owned(), |how| format!("FAILED: {how}"));
        format!("{manager}: set up; {checks}; {ended}")
    }
}

fn tell(manager: &str, trial: &Trial, is_json: bool) -> ExitCode {
    let text = if is_json { trial.to_json(manager).to_string() } else { trial.text(manager) };
    check::print(&text, if trial.has_passed() { exit::CLEAN } else { exit::MANAGER_FAILED })
}

impl Outcome {
    fn text(&self) -> String {
        let (verdict, why) = match &self.end {
            Ok(()) => ("passed", String::new()),
            Err(error) => ("FAILED", format!("\n    {error}")),
        };
        let doc = self.check.doc.lines().next().unwrap_or_default();
        format!("  {verdict} {:>9.1} ms  {}  {doc}{why}", self.took.as_secs_f64() * 1e3, self.check.name)
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.check.name,
            "doc": self.check.doc,
            "passed": self.end.is_ok(),
            "error": self.end.as_ref().err().map(ToString::to_string),
            "took_ms": self.took.as_secs_f64() * 1e3,
        })
    }
}
