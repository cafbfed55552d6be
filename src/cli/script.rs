//! `script`: files of steps, held against a rig that need not run, and played by one that does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::CheckArgs;
use super::calling::Way;
use super::client::{Connection, Trouble, connect};
use super::rig_args::RigArgs;
use super::saying::{give_up, say};
use super::{Program, check, exit};
use crate::procedure::{ScriptSource, check_script};
use crate::wire::{Ordered, Problem};

#[derive(Args, Debug)]
pub(super) struct ScriptArgs {
    #[command(subcommand)]
    deed: ScriptDeed,
}

#[derive(Subcommand, Debug)]
enum ScriptDeed {
    /// Hold a script against a rig and report every fault; starts nothing
    Check {
        /// The script, TOML or JSON
        file: PathBuf,
        #[command(flatten)]
        check: CheckArgs,
    },
    /// Have a running rig play a script, and wait until it has ended
    Run {
        /// The script, TOML or JSON
        file: PathBuf,
        /// Return as soon as it is launched
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        rig: RigArgs,
    },
}

/// Does what is asked for.
pub(super) fn script(program: Program, arguments: ScriptArgs) -> ExitCode {
    match arguments.deed {
        ScriptDeed::Check { file, check } => check_file(program, &file, &check),
        ScriptDeed::Run { file, no_wait, rig } => run(&file, !no_wait, &rig),
    }
}

fn read(file: &Path) -> Result<ScriptSource, ExitCode> {
    let text = fs::read_to_string(file).map_err(|error| {
        exit::complain(&format!("cannot read the script `{}`: {error}", file.display()), exit::FAILED)
    })?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    Ok(ScriptSource { name: file.display().to_string(), text, folder })
}

/// A rig with faults of its own has nothing that a script could be held against.
fn check_file(program: Program, file: &Path, arguments: &CheckArgs) -> ExitCode {
    let source = match read(file) {
        Ok(source) => source,
        Err(code) => return code,
    };
    let proof = match check::prove(program, arguments) {
        Ok(proof) => proof,
        Err(code) => return code,
    };
    let (score, report) = match proof.report.is_clean() {
        true => match check_script(&source, &proof.registry.bind(&proof.plan)) {
            Ok(score) => (Some(score), proof.report),
            Err(report) => (None, report),
        },
        false => (None, proof.report),
    };
    let text = match (&score, arguments.json) {
        (_, true) => report.to_json().to_string(),
        (Some(score), false) => format!("{}: no faults; {} steps", score.name, score.length()),
        (None, false) => check::coloured(&report),
    };
    check::print(&text, if score.is_some() { exit::CLEAN } else { exit::REFUSED })
}

fn run(file: &Path, waits: bool, arguments: &RigArgs) -> ExitCode {
    let source = match read(file) {
        Ok(source) => source,
        Err(code) => return code,
    };
    let mut rig = match connect(arguments) {
        Ok(rig) => rig,
        Err(trouble) => return give_up(&trouble, arguments.json),
    };
    let mut way = Way::new(arguments.json);
    let asked = launch(&mut rig, &source).and_then(|id| match waits {
        true => rig.call(ordered("AwaitProcedure", json!({ "id": id }), Some(0)), &mut |told| way.show(told)),
        false => Ok(json!({ "id": id, "state": "launched" })),
    });
    way.end();
    say(asked, arguments.json, |told| {
        let text = |key: &str| told[key].as_str().unwrap_or_default();
        let said = format!("`{}` is {}", text("id"), text("state"));
        match text("state") {
            "finished" | "launched" => (said, exit::CLEAN),
            _ => (format!("{said}: {}", text("text")), exit::FAILED),
        }
    })
}

/// Checks it first, so that its faults are told as those of `script check`.
fn launch(rig: &mut Connection, source: &ScriptSource) -> Result<Value, Trouble> {
    let ScriptSource { name, text, folder } = source;
    let script = json!({ "name": name, "text": text, "folder": folder });
    let checked = rig.call(ordered("CheckScript", script.clone(), None), &mut |_| {})?;
    let faults: Vec<_> =
        checked["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !faults.is_empty() {
        let report = checked["report"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let problem =
            Problem::new("refused", format!("the script cannot be played\n{}", faults.join("\n\n")));
        return Err(Trouble::Problem(problem.fact("report", report.unwrap_or_default())));
    }
    let by = format!("labrig script run, process {}", std::process::id());
    let launch = json!({ "kind": "script", "inputs": script.to_string(), "by": by });
    rig.call(ordered("LaunchProcedure", launch, None), &mut |_| {})
}

fn ordered(command: &str, args: Value, deadline_ms: Option<u64>) -> Ordered {
    Ordered { command: command.to_owned(), args: Some(args), deadline_ms, ..Ordered::default() }
}
