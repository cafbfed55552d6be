//! The tables, for people and for programs.

use std::process::Command;

use harness::figures::{Quartiles, short};
use harness::machine::Machine;
use serde_json::{Value, json};

use super::outcome::Outcome;

/// Prints everything as tables in Markdown.
pub(super) fn tables(outcomes: &[Outcome], machine: &Machine) {
    println!("{machine}; {}\n", compiler());
    println!(
        "Medians of the repeats, and their quartiles; a ratio is the median of those within each repeat."
    );
    outcomes.iter().for_each(table);
    summary(outcomes);
}

fn table(outcome: &Outcome) {
    let case = outcome.case;
    println!("\n### {}\n", case.title);
    let (_, first) = case.metrics[0];
    let reference = case.reference.map(|peer| format!(" × {peer} |")).unwrap_or_default();
    let headings: String = case.metrics.iter().map(|(_, heading)| format!(" {heading} |")).collect();
    println!("| contestant | repeats |{headings} {first}, quartiles |{reference}");
    println!("|---|--:|{}", "--:|".repeat(case.metrics.len() + 1 + usize::from(case.reference.is_some())));
    for (index, run) in case.runs.iter().enumerate() {
        let cell = |quartiles: Option<Quartiles>| quartiles.map_or("–".to_owned(), |it| short(it.median));
        let cells: String = case
            .metrics
            .iter()
            .map(|(metric, _)| format!(" {} |", cell(outcome.quartiles(index, metric))))
            .collect();
        let spread = outcome.quartiles(index, case.metrics[0].0).map_or("–".to_owned(), spread_of);
        let ratio =
            |quartiles: Quartiles| format!(" {} ({}) |", short(quartiles.median), spread_of(quartiles));
        let ratio = case.reference.map(|_| outcome.ratios(index).map_or(" – |".to_owned(), ratio));
        let (peer, count) = (run.peer, outcome.count(index));
        println!("| {peer} | {count} |{cells} {spread} |{}", ratio.unwrap_or_default());
    }
    println!("\nOthers took {:.0} % of the processors.", outcome.others_percent());
    for skipped in &outcome.skipped {
        println!("Skipped {skipped}");
    }
    for failure in &outcome.failures {
        println!("FAILED {failure}");
    }
}

fn spread_of(Quartiles { lower, upper, .. }: Quartiles) -> String {
    format!("{} to {}", short(lower), short(upper))
}

fn summary(outcomes: &[Outcome]) {
    println!("\n### Targets\n\n| work | target | measured (quartiles) |\n|---|---|---|");
    for outcome in outcomes {
        for judged in outcome.judged() {
            let name = outcome.case.title.split(':').next().unwrap_or_default();
            let wanted = judged.target.describe(outcome.heading(judged.target.metric));
            let found = judged.measured.map(|(measured, verdict)| verdict.words(&judged.target, measured));
            println!("| {name} | {wanted} | {} |", found.unwrap_or_else(|| "not measured".to_owned()));
        }
    }
}

/// Prints everything as one JSON object.
pub(super) fn json(outcomes: &[Outcome], machine: &Machine) {
    let works: Vec<_> = outcomes.iter().map(json_of).collect();
    let all = json!({
        "machine": Machine::name(),
        "compiler": compiler(),
        "others_percent": machine.others_percent(),
        "works": works,
    });
    println!("{all:#}");
}

fn json_of(outcome: &Outcome) -> Value {
    let case = outcome.case;
    let contestants = case.runs.iter().enumerate().map(|(index, run)| {
        let metrics = case.metrics.iter().filter_map(|(metric, _)| {
            Some(((*metric).to_owned(), json_of_quartiles(outcome.quartiles(index, metric)?)))
        });
        json!({
            "peer": run.peer,
            "repeats": outcome.count(index),
            "metrics": metrics.collect::<serde_json::Map<_, _>>(),
            "ratio": outcome.ratios(index).map(json_of_quartiles),
        })
    });
    let targets = outcome.judged().map(|judged| {
        json!({
            "target": judged.target.describe(judged.target.metric),
            "measured": judged.measured.map(|(measured, _)| json_of_quartiles(measured)),
            "verdict": judged.measured.map(|(_, verdict)| format!("{verdict:?}")),
        })
    });
    json!({
        "work": case.work,
        "title": case.title,
        "pin": case.pin,
        "options": case.options,
        "reference": case.reference,
        "others_percent": outcome.others_percent(),
        "contestants": contestants.collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "failures": outcome.failures,
        "skipped": outcome.skipped,
    })
}

fn json_of_quartiles(Quartiles { lower, median, upper }: Quartiles) -> Value {
    json!({ "lower": lower, "median": median, "upper": upper })
}

/// The compiler that is found here, which has most likely built this.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.ok().filter(|output| output.status.success());
    version.map_or("no rustc here".to_owned(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}
