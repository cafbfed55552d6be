//! The list of capabilities names tests that exist, so that what is promised is what is tested.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How many there will be.
const ALL: u32 = 77;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    capability: Vec<Capability>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capability {
    number: u32,
    title: String,
    /// What of it is still to come.
    partly: Option<String>,
    /// `file::test`, or a file that is a case of its own.
    tests: Vec<String>,
}

fn list() -> Vec<Capability> {
    toml::from_str::<List>(include_str!("capabilities.toml")).expect("the list can be read").capability
}

fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Whether the file has a test of that name: `#[test]`, other attributes at will, then `fn name()`.
fn has_test(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(path_of(file)).unwrap_or_default();
    let behind_marks = text.split("#[test]").skip(1);
    let mut names = behind_marks.filter_map(|behind| behind.split("fn ").nth(1)?.split('(').next());
    names.any(|found| found == name)
}

fn exists(test: &str) -> bool {
    match test.split_once("::") {
        Some((file, name)) => has_test(file, name),
        None => path_of(test).is_file(),
    }
}

fn check_list(mistakes: &[String]) {
    assert!(mistakes.is_empty(), "tests/capabilities.toml:\n{}", mistakes.join("\n"));
}

#[test]
fn every_named_test_exists() {
    let missing = list().into_iter().flat_map(|capability| {
        let missing = capability.tests.into_iter().filter(|test| !exists(test));
        missing
            .map(move |test| format!("capability {}: there is no `{test}`", capability.number))
            .collect::<Vec<_>>()
    });
    check_list(&missing.collect::<Vec<_>>());
}

#[test]
fn every_capability_is_listed_once_with_a_title_and_a_test() {
    let (mut mistakes, mut met, mut last) = (Vec::new(), BTreeSet::new(), 0);
    for Capability { number, title, partly, tests } in list() {
        let named_once = tests.iter().collect::<BTreeSet<_>>().len() == tests.len();
        let rules = [
            ((1..=ALL).contains(&number), "is no number of a capability"),
            (met.insert(number), "is listed twice"),
            (number > last, "is out of order"),
            (!title.trim().is_empty(), "has no title"),
            (partly.is_none_or(|rest| !rest.trim().is_empty()), "does not say what is to come"),
            (!tests.is_empty(), "names no test"),
            (named_once, "names a test twice"),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        mistakes.extend(broken.map(|(_, what)| format!("capability {number} {what}")));
        last = number;
    }
    check_list(&mistakes);
}

#[test]
fn a_test_that_is_gone_is_missed() {
    assert!(exists("tests/capabilities.rs::a_test_that_is_gone_is_missed"));
    assert!(!exists("tests/capabilities.rs::check_list"), "not every function is a test");
    assert!(!exists("tests/capabilities.rs::a_test"));
    assert!(!exists("tests/no_such_file.rs::a_test"));
    assert!(exists("tests/capabilities.toml") && !exists("tests/ui/no_such_case.rs"));
}
