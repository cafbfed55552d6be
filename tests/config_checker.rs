//! The one checker: every shape a Rust type can have, against what a person may write for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use labrig::Schema;
use labrig::config::{Report, Topology, check};
use labrig::wire::{Schema as Described, TypeSchema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The value that `written`, the content of a table, has as a `T`; or the codes of what does not fit.
fn read<T: Described>(written: &str) -> Result<Value, Vec<&'static str>> {
    let text = format!("schema = 1\n[managers.m]\nkind = 'k'\n[managers.m.config]\n{written}\n");
    let resolution = Topology::from_toml(text).resolve();
    assert!(resolution.faults.is_empty(), "{}", Report::new(resolution.faults));
    let checked = check(&resolution.plan.managers[0].config, &TypeSchema::of::<T>(), "m");
    assert!(checked.faults.iter().all(|fault| fault.parties[0].site.line > 3), "every fault has its line");
    match checked.faults.as_slice() {
        [] => Ok(checked.json.expect("what fits has a value")),
        faults => Err(faults.iter().map(|fault| fault.code.text()).collect()),
    }
}

/// What fits is also what serde reads.
fn check_fits<T: Described + DeserializeOwned>(written: &str, expected: Value) {
    let found = read::<T>(written).unwrap_or_else(|codes| panic!("{written}: {codes:?}"));
    assert_eq!(found, expected);
    serde_json::from_value::<T>(found).unwrap_or_else(|error| panic!("{written}: serde says {error}"));
}

fn check_misfits<T: Described>(written: &str, expected: &[&str]) {
    assert_eq!(read::<T>(written), Err(expected.to_vec()), "{written}");
}

#[derive(Serialize, Deserialize, Schema)]
struct Numbers {
    #[serde(default)]
    small: u8,
    #[serde(default)]
    signed: i16,
    #[serde(default)]
    large: u64,
    #[serde(default)]
    wide: u128,
    #[serde(default)]
    short: f32,
    #[schema(unit = "um", min = -1.5, max = 200.0)]
    bounded_um: Option<f64>,
}

#[test]
fn numbers_fit_their_types_and_bounds() {
    check_fits::<Numbers>("small = 255\nsigned = -32768", json!({ "small": 255, "signed": -32768 }));
    check_fits::<Numbers>("large = 18446744073709551615\nwide = 7", json!({ "large": u64::MAX, "wide": 7 }));
    check_fits::<Numbers>("short = 1\nbounded_um = 200", json!({ "short": 1.0, "bounded_um": 200.0 }));
    check_misfits::<Numbers>("small = 256\nsigned = 40000\nlarge = -1", &["L007", "L007", "L007"]);
    check_misfits::<Numbers>("short = 1e39\nbounded_um = -2", &["L007", "L006"]);
    check_misfits::<Numbers>("small = 1.0\nsigned = '1'\nshort = true", &["L005", "L005", "L005"]);
}

#[derive(Serialize, Deserialize, Schema)]
struct Shapes {
    #[serde(default)]
    letter: Option<char>,
    #[serde(default)]
    pair: Option<(u8, String)>,
    #[serde(default)]
    three: [f64; 3],
    #[serde(default)]
    by_channel: BTreeMap<u8, Vec<bool>>,
    #[serde(default)]
    by_mode: BTreeMap<Mode, Name>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    span: Duration,
    #[serde(default)]
    nothing: (),
}

#[derive(Serialize, Deserialize, Schema, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    FreeRunning,
    Triggered(u8),
    Window {
        left: u32,
        right: u32,
    },
}

#[derive(Serialize, Deserialize, Schema)]
struct Name(String);

#[test]
fn texts_lists_and_tables_fit() {
    check_fits::<Shapes>("letter = 'µ'\npair = [1, 'a']", json!({ "letter": "µ", "pair": [1, "a"] }));
    check_fits::<Shapes>("three = [1, 2, 3.5]", json!({ "three": [1.0, 2.0, 3.5] }));
    check_fits::<Shapes>("by_channel = { 7 = [true] }", json!({ "by_channel": { "7": [true] } }));
    check_fits::<Shapes>("by_mode = { free-running = 'a' }", json!({ "by_mode": { "free-running": "a" } }));
    check_fits::<Shapes>("span = { secs = 1, nanos = 5 }", json!({ "span": { "secs": 1, "nanos": 5 } }));
    check_fits::<Shapes>("nothing = {}", json!({ "nothing": null }));
    check_misfits::<Shapes>("letter = 'ab'\npair = [1]\nthree = [1, 2, 'x']", &["L005", "L005", "L005"]);
    check_misfits::<Shapes>("by_channel = { 256 = [true], 1 = [0] }", &["L005", "L005"]);
    check_misfits::<Shapes>("by_mode = { sometimes = 'a' }\nnothing = { a = 1 }", &["L005", "L003"]);
}

#[test]
fn choices_are_written_as_text_or_as_a_table_of_one_key() {
    check_fits::<Shapes>("mode = 'free-running'", json!({ "mode": "free-running" }));
    check_fits::<Shapes>("mode = { triggered = 2 }", json!({ "mode": { "triggered": 2 } }));
    let window = json!({ "mode": { "window": { "left": 1, "right": 2 } } });
    check_fits::<Shapes>("mode.window = { left = 1, right = 2 }", window);
    check_misfits::<Shapes>("mode = 'free-runing'", &["L008"]);
    check_misfits::<Shapes>("mode = 'triggered'", &["L005"]);
    check_misfits::<Shapes>("mode = { window = { left = 1 } }", &["L004"]);
    check_misfits::<Shapes>("mode = { window = 3 }", &["L005"]);
    check_misfits::<Shapes>("mode = { triggered = 1, window = 2 }", &["L005"]);
    check_misfits::<Shapes>("mode = 3", &["L005"]);
}

#[derive(Serialize, Deserialize, Schema)]
struct Tree {
    #[serde(default)]
    children: Vec<Tree>,
}

#[derive(Serialize, Deserialize, Schema)]
struct Endless(Option<Box<Endless>>);

#[derive(Serialize, Deserialize, Schema)]
struct Around {
    endless: Option<Endless>,
}

#[test]
fn recursion_ends_where_the_tree_or_the_limit_does() {
    check_fits::<Tree>("children = [{ children = [{}] }]", json!({ "children": [{ "children": [{}] }] }));
    check_misfits::<Tree>("children = [{ children = [{ child = 1 }] }]", &["L003"]);
    check_misfits::<Around>("endless = 1", &["L011"]);
}

#[derive(Serialize, Deserialize, Schema)]
struct Places {
    folder: PathBuf,
    more: Vec<Option<PathBuf>>,
}

#[test]
fn paths_become_absolute_and_texts_stay() {
    let here = std::env::current_dir().expect("a working folder");
    let expected = json!({ "folder": here.join("a/b"), "more": ["/c", here.join("../d")] });
    check_fits::<Places>("folder = './a/./b'\nmore = ['/c', '../d']", expected);
    check_misfits::<Places>("folder = 3", &["L005", "L004"]);
}

#[test]
fn a_type_without_content_takes_no_keys() {
    check_fits::<()>("", Value::Null);
    check_misfits::<()>("a = 1\nb = 2", &["L003", "L003"]);
}

#[test]
fn what_does_not_fit_is_left_out_and_the_rest_is_kept() {
    let text = "schema = 1\n[managers.m]\nkind = 'k'\nconfig = { small = 999, signed = 3 }";
    let plan = Topology::from_toml(text).resolve().plan;
    let checked = check(&plan.managers[0].config, &TypeSchema::of::<Numbers>(), "m");
    assert_eq!((checked.faults.len(), checked.json), (1, Some(json!({ "signed": 3 }))));
}
