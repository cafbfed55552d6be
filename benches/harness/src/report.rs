//! The one line that a contestant prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What was done, and what was measured.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Report {
    /// Who did it.
    pub peer: String,
    /// Which work.
    pub work: String,
    /// How it was done.
    pub params: BTreeMap<String, Value>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// The processes that have nothing to do, the coordinator first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle_pids: Vec<i32>,
}

impl Report {
    /// The report among the lines that a contestant printed; lines that are none are ignored.
    ///
    /// # Errors
    /// When a line begins like a report and is none.
    pub fn among(printed: &str) -> Result<Option<Self>, serde_json::Error> {
        printed.lines().find(|line| line.starts_with('{')).map(serde_json::from_str).transpose()
    }

    /// The report as it is printed.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("a report can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_printed_and_other_lines_are_ignored() {
        let report = Report {
            peer: "ours".to_owned(),
            work: "W1".to_owned(),
            params: BTreeMap::from([("n".to_owned(), Value::from(50_000))]),
            metrics: BTreeMap::from([("p50_us".to_owned(), 3.9)]),
            idle_pids: Vec::new(),
        };
        let printed = format!("a word\n{}\nanother\n", report.line());
        assert_eq!(Report::among(&printed).expect("it is JSON"), Some(report));
        assert_eq!(Report::among("nothing\n").expect("there is nothing to read"), None);
        assert!(Report::among("{torn").is_err());
    }
}
