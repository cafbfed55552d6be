//! `check` and `commands`: what is known of a rig before anything is started.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::json;

use super::args::{CheckArgs, Listing};
use super::{Program, checking, exit, topology};
use crate::config::Report;
use crate::coordinator::{Proof, Rig};

/// Proves the rig and reports every fault.
pub(super) fn check(program: Program, arguments: &CheckArgs) -> ExitCode {
    let proof = match prove(program, arguments) {
        Ok(proof) => proof,
        Err(code) => return code,
    };
    let report = &proof.report;
    let text = match (arguments.json, report.is_clean()) {
        (true, _) => report.to_json().to_string(),
        (false, true) => format!("{}: no faults; {}", proof.plan.name, content(&proof)),
        (false, false) => coloured(report),
    };
    print(&text, if report.is_clean() { exit::CLEAN } else { exit::REFUSED })
}

/// Prints the route table, the signals or the shared objects; a rig with faults has none worth printing.
pub(super) fn commands(program: Program, arguments: &CheckArgs, listing: Listing) -> ExitCode {
    let proof = match prove(program, arguments) {
        Ok(proof) => proof,
        Err(code) => return code,
    };
    if !proof.report.is_clean() {
        let text = if arguments.json { proof.report.to_json().to_string() } else { coloured(&proof.report) };
        return print(&text, exit::REFUSED);
    }
    let table = proof.registry.bind(&proof.plan);
    let text = match (listing, arguments.json) {
        (Listing::Routes, false) => table.to_string(),
        (Listing::Routes, true) => table.to_json().to_string(),
        (Listing::Signals, false) => table.signals_text(),
        (Listing::Signals, true) => table.signals_json().to_string(),
        (Listing::Shared, false) => table.shares_text(),
        (Listing::Shared, true) => table.shares_json().to_string(),
    };
    print(&text, exit::CLEAN)
}

pub(super) fn prove(program: Program, arguments: &CheckArgs) -> Result<Proof, ExitCode> {
    let topology = checking::with_state(topology(&program, &arguments.source)?, &arguments.source);
    Ok(Rig::builder(topology).scopes_from(program.scopes).prove())
}

fn content(proof: &Proof) -> String {
    let (managers, streams) = (proof.plan.managers.len(), proof.plan.streams.len());
    format!(
        "managers: {managers}, streams: {streams}, commands: {}",
        proof.registry.bind(&proof.plan).routes().len()
    )
}

pub(super) fn print(text: &str, code: u8) -> ExitCode {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Ok(()) => ExitCode::from(code),
        Err(error) => exit::complain(&format!("cannot write to standard output: {error}"), exit::FAILED),
    }
}

/// The report with its codes and hints in colour, where a person reads it on a terminal.
pub(super) fn coloured(report: &Report) -> String {
    let plain = report.to_string();
    if !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        return plain;
    }
    let paint = |line: &str| match line.trim_start() {
        text if text.starts_with("error[") => format!("\x1b[1;31m{line}\x1b[0m"),
        text if text.starts_with("-->") => format!("\x1b[34m{line}\x1b[0m"),
        text if text.starts_with("help:") => format!("\x1b[32m{line}\x1b[0m"),
        _ => line.to_owned(),
    };
    plain.lines().map(paint).collect::<Vec<_>>().join("\n")
}

/// The report for machines, as one line of a run's output.
pub(super) fn refused_line(report: &Report) -> String {
    json!({ "event": "refused", "report": report.to_json() }).to_string()
}
