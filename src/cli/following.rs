//! `rows --follow`: rows as they come, a line for each, until the rig ends.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::{Trouble, connect};
use super::rig_args::RowsArgs;
use super::saying::{event, give_up, print};
use super::{exit, rows};
use crate::wire::{Problem, Request};

/// The narrowest column, in letters: what comes later is not known when the first rows are shown.
const LEAST_WIDTH: usize = 10;

/// Prints each row as it comes.
pub(super) fn rows(arguments: &RowsArgs) -> ExitCode {
    match follow(arguments) {
        Ok(()) => ExitCode::from(exit::CLEAN),
        Err(trouble) => give_up(&trouble, arguments.rig.json),
    }
}

fn follow(arguments: &RowsArgs) -> Result<(), Trouble> {
    let mut rig = connect(&arguments.rig)?;
    let mut early = Vec::new();
    let (name, latest) = (arguments.name.clone(), arguments.latest);
    let told = rig.ask(&Request::FollowRows { name, latest }, &mut |event| early.push(event.clone()))?;
    let lines = Lines::under(&told["columns"], arguments.rig.json);
    // Whoever closes standard output, as `head` does, has seen enough.
    if !lines.is_json && print(&lines.line(&rows::heading(&told["columns"]))).is_err() {
        return Ok(());
    }
    let mut early = early.into_iter();
    while let Some(event) = early.next().map(Ok).or_else(|| rig.next_event().transpose()).transpose()? {
        if event["event"] == "rows-ended" {
            return Err(Trouble::Problem(reason(&event["why"])));
        }
        let lines = lines.of(&event);
        if !lines.is_empty() && print(&lines.join("\n")).is_err() {
            break;
        }
    }
    Ok(())
}

/// Why there are no more rows.
fn reason(why: &Value) -> Problem {
    serde_json::from_value(why.clone()).unwrap_or_else(|error| Problem::new("unreadable", error.to_string()))
}

/// How rows become lines.
struct Lines {
    columns: Vec<String>,
    widths: Vec<usize>,
    is_json: bool,
}

impl Lines {
    fn under(columns: &Value, is_json: bool) -> Self {
        let widths = rows::heading(columns).iter().map(|it| it.chars().count().max(LEAST_WIDTH)).collect();
        let columns = columns.as_array().into_iter().flatten();
        let columns = columns.map(|column| column["name"].as_str().unwrap_or_default().to_owned());
        Self { columns: columns.collect(), widths, is_json }
    }

    /// What one event says: how many rows were lost before its rows, and these.
    fn of(&self, told: &Value) -> Vec<String> {
        let lost = told["lost"].as_u64().filter(|lost| *lost > 0).map(|lost| self.loss(lost));
        let rows = told["rows"].as_array().into_iter().flatten();
        lost.into_iter().chain(rows.map(|row| self.row(row, &told["generation"]))).collect()
    }

    fn loss(&self, count: u64) -> String {
        match self.is_json {
            true => event("lost", json!({ "count": count })),
            false => format!("… {count} rows are lost: they had to give way before they were read"),
        }
    }

    fn row(&self, row: &Value, generation: &Value) -> String {
        if !self.is_json {
            return self.line(&rows::row(row));
        }
        let values = row["values"].as_array().into_iter().flatten();
        let values: Value =
            self.columns.iter().cloned().zip(values.cloned()).collect::<serde_json::Map<_, _>>().into();
        let (number, at_ns) = (&row["number"], &row["at_ns"]);
        event("row", json!({ "generation": generation, "number": number, "at_ns": at_ns, "values": values }))
    }

    fn line(&self, cells: &[String]) -> String {
        let cells = cells.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_lines(is_json: bool, expected: &[&str]) {
        let columns = json!([{ "name": "x_px", "unit": "px" }]);
        let told = json!({ "event": "rows", "generation": 2, "lost": 3,
            "rows": [{ "number": 9, "at_ns": 1_500_000_000_u64, "values": [3.25] },
                     { "number": 10, "at_ns": 1_500_000_001_u64, "values": ["NaN"] }] });
        assert_eq!(Lines::under(&columns, is_json).of(&told), expected);
    }

    #[test]
    fn each_row_is_a_line_and_what_is_lost_is_said_before_them() {
        let people = [
            "… 3 rows are lost: they had to give way before they were read",
            "         9    1.500000      3.2500",
            "        10    1.500000         NaN",
        ];
        check_lines(false, &people);
        let machines = [
            r#"{"count":3,"event":"lost"}"#,
            r#"{"at_ns":1500000000,"event":"row","generation":2,"number":9,"values":{"x_px":3.25}}"#,
            r#"{"at_ns":1500000001,"event":"row","generation":2,"number":10,"values":{"x_px":"NaN"}}"#,
        ];
        check_lines(true, &machines);
    }
}
