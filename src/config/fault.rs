//! One start-up fault, and the report of all of them.
//!
//! A fault is a value: code, message, every party with file and line, and what to do. It is rendered
//! as plain text by `Display`; who wants colour has the parts. Nothing here decides what is a fault.

use std::fmt;

use serde_json::{Value, json};

use super::code::{Code, FaultKind};
use crate::wire::Site;

/// Something that keeps the rig from starting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What kind of fault, for programs and for the manual.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// Every place that takes part, the guilty one first.
    pub parties: Vec<Party>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place that takes part in a fault.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Party {
    /// Where it is.
    pub site: Site,
    /// What stands there.
    pub what: String,
}

impl Fault {
    /// A fault without parties or hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), parties: Vec::new(), hint: None }
    }

    /// Adds a party; the guilty one comes first.
    pub fn at(mut self, site: Site, what: impl Into<String>) -> Self {
        self.parties.push(Party { site, what: what.into() });
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the fault is about.
    pub fn kind(&self) -> FaultKind {
        self.code.kind()
    }

    /// The fault for machines: `code`, `message`, `parties` (`file`, `line`, `what`) and `hint`.
    pub fn to_json(&self) -> Value {
        let party =
            |party: &Party| json!({ "file": party.site.file, "line": party.site.line, "what": party.what });
        json!({
            "code": self.code.text(),
            "message": self.message,
            "parties": self.parties.iter().map(party).collect::<Vec<_>>(),
            "hint": self.hint,
        })
    }

    fn order(&self) -> (Option<&Site>, Code, &str) {
        (self.parties.first().map(|party| &party.site), self.code, &self.message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        let sites: Vec<_> = self.parties.iter().map(|party| party.site.to_string()).collect();
        let width = sites.iter().map(|site| site.chars().count()).max().unwrap_or(0);
        for (site, party) in sites.iter().zip(&self.parties) {
            write!(f, "\n  --> {site:width$}  {}", party.what)?;
        }
        for (index, line) in self.hint.iter().flat_map(|hint| hint.lines()).enumerate() {
            write!(f, "\n  {} {line}", if index == 0 { "help:" } else { "     " })?;
        }
        Ok(())
    }
}

/// All faults of a rig, sorted by place, each once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    faults: Vec<Fault>,
}

impl Report {
    /// Sorts the faults by file and line of the guilty party, then by code; equal ones count once.
    pub fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| a.order().cmp(&b.order()));
        faults.dedup();
        Self { faults }
    }

    /// The same report with more faults.
    pub fn with(mut self, faults: Vec<Fault>) -> Self {
        self.faults.extend(faults);
        Self::new(self.faults)
    }

    /// The faults.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether there are none.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// The closing line: how many faults there are.
    pub fn summary(&self) -> String {
        match self.faults.len() {
            0 => "no faults".to_owned(),
            1 => "1 fault; nothing was started".to_owned(),
            count => format!("{count} faults; nothing was started"),
        }
    }

    /// The report for machines: `count` and `faults`.
    pub fn to_json(&self) -> Value {
        let faults: Vec<_> = self.faults.iter().map(Fault::to_json).collect();
        json!({ "count": faults.len(), "faults": faults })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            write!(f, "{fault}\n\n")?;
        }
        f.write_str(&self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(faults: &[Fault], expected: &str) {
        assert_eq!(Report::new(faults.to_vec()).to_string(), expected);
    }

    #[test]
    fn a_report_is_sorted_by_place_and_counts_equal_faults_once() {
        let late = Fault::new(Code::UnknownKey, "unknown key `b`").at(Site::new("rig.toml", 12), "`b`");
        let early = Fault::new(Code::WrongType, "wrong")
            .at(Site::new("rig.toml", 9), "here")
            .at(Site::new("rig.toml", 110), "there")
            .hint("write this\nor that");
        let expected = "error[L005]: wrong\n  --> rig.toml:9    here\n  --> rig.toml:110  there\n  help: write this\n        or that\n\n\
                        error[L003]: unknown key `b`\n  --> rig.toml:12  `b`\n\n2 faults; nothing was started";
        check_text(&[late.clone(), early, late], expected);
    }

    #[test]
    fn a_report_without_faults_says_so() {
        check_text(&[], "no faults");
    }

    #[test]
    fn machines_get_every_part_by_name() {
        let fault = Fault::new(Code::UnknownKey, "unknown key `b`").at(Site::new("rig.toml", 12), "`b`");
        let expected = json!({
            "code": "L003",
            "message": "unknown key `b`",
            "parties": [{ "file": "rig.toml", "line": 12, "what": "`b`" }],
            "hint": null,
        });
        assert_eq!(fault.to_json(), expected);
    }
}
