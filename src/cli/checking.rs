//! `check --live`: one manager alone, its self-checks inside it, and what came of them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;
use log::LevelFilter;
use serde_json::{Value, json};

use super::args::LiveArgs;
use super::{Program, check, exit, logging, run, topology};
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

/// Proves the rig, starts that manager alone, runs its self-checks, and quits.
pub(super) fn check_live(program: Program, arguments: &LiveArgs, manager: &str) -> ExitCode {
    let topology = match topology(&program, &arguments.check.source) {
        Ok(topology) => topology,
        Err(code) => return code,
    };
    let name = topology.resolve().plan.name;
    let state_dir = arguments.state_dir.clone().unwrap_or_else(|| default_state_dir(&name));
    logging::install(LevelFilter::Warn, &MultiProgress::new(), logging::has_colours());
    let is_json = arguments.check.json;
    let builder = Rig::builder(topology.state_dir(state_dir)).scopes_from(program.scopes).alone(manager);
    let proof = builder.prove();
    let checks = match proof.plan.manager(manager) {
        Some(index) if proof.report.is_clean() => {
            proof.registry.bind(&proof.plan).self_checks_of(index).to_vec()
        }
        _ => Vec::new(),
    };
    let rig =
        match run::signals(None).map_err(LaunchError::System).and_then(|it| builder.signals(it).launch()) {
            Ok(rig) => rig,
            Err(error @ LaunchError::NoSuchManager { .. }) => {
                return exit::complain(&error.to_string(), exit::USAGE);
            }
            Err(error) => return run::not_launched(&error, is_json),
        };
    let outcomes: Vec<_> = checks.into_iter().map(|check| run_one(&rig, manager, check, is_json)).collect();
    let summary = rig.shutdown();
    tell(manager, &outcomes, &summary, is_json)
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

fn tell(manager: &str, outcomes: &[Outcome], summary: &RunSummary, is_json: bool) -> ExitCode {
    let failed = outcomes.iter().filter(|outcome| outcome.end.is_err()).count();
    let how = summary.managers.iter().find_map(|it| match &it.end {
        ManagerEnd::Clean { .. } => None,
        ManagerEnd::Failed { why } => Some(why.clone()),
        other => Some(format!("{other:?}")),
    });
    let code = if failed == 0 && summary.is_clean { exit::CLEAN } else { exit::MANAGER_FAILED };
    if is_json {
        let report = json!({
            "rig": summary.rig,
            "manager": manager,
            "checks": outcomes.iter().map(Outcome::to_json).collect::<Vec<_>>(),
            "failed": failed,
            "ended": how.as_deref().unwrap_or("clean"),
            "passed": code == exit::CLEAN,
        });
        return check::print(&report.to_string(), code);
    }
    let checks = match (outcomes.len(), failed) {
        (0, _) => "its kind declares no self-checks".to_owned(),
        (count, 0) => format!("{count} of {count} self-checks passed"),
        (count, failed) => format!("{failed} of {count} self-checks FAILED"),
    };
    let ended = how.map_or_else(|| "ended clean".to_owned(), |how| format!("FAILED: {how}"));
    check::print(&format!("{manager}: set up; {checks}; {ended}"), code)
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
