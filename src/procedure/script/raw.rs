//! The shape of a script's file.

use serde::Deserialize;

use crate::config::Anything;
use crate::macros::Schema;

/// The file.
#[derive(Deserialize, Schema)]
#[serde(default)]
#[derive(Default)]
pub(super) struct RawScript {
    /// What it is called, for people.
    pub(super) name: Option<String>,
    /// Its steps, in order.
    pub(super) step: Vec<Anything>,
}

/// A step: one of `command`, `sleep_s`, `wait`, `wait_until`, `repeat`, `for_each` and `procedure`, and what belongs to it.
#[derive(Deserialize, Schema, Default)]
#[serde(default)]
pub(super) struct RawStep {
    /// The name of a command that is to be done.
    pub(super) command: Option<String>,
    /// Its fields; `"$name"` stands for the variable of a `for_each` around it.
    pub(super) args: Option<Anything>,
    /// The manager that is to take it, when several serve it.
    pub(super) to: Option<String>,
    /// How long it may take.
    #[schema(unit = "ms", min = 1)]
    pub(super) deadline_ms: Option<u64>,
    /// Nothing is done for that time.
    #[schema(unit = "s", min = 0, max = 31_536_000)]
    pub(super) sleep_s: Option<f64>,
    /// A manager that is to have done what was asked of it before.
    pub(super) wait: Option<String>,
    /// A signal that is to meet a condition.
    pub(super) wait_until: Option<String>,
    /// It is that, or more.
    pub(super) at_least: Option<f64>,
    /// It is that, or less.
    pub(super) at_most: Option<f64>,
    /// It is exactly that.
    pub(super) equal: Option<f64>,
    /// It is anything else.
    pub(super) not_equal: Option<f64>,
    /// How long a `wait` or `wait_until` may take.
    #[schema(unit = "s", min = 0, max = 31_536_000)]
    pub(super) within_s: Option<f64>,
    /// How often its `steps` are done.
    #[schema(min = 1, max = 1_000_000_000)]
    pub(super) repeat: Option<u64>,
    /// The variable that has another value each time its `steps` are done.
    pub(super) for_each: Option<String>,
    /// Its values.
    #[serde(rename = "in")]
    pub(super) values: Option<Vec<Anything>>,
    /// Its values, as numbers at one distance from each other.
    pub(super) range: Option<RawRange>,
    /// The kind of a procedure that is to be done.
    pub(super) procedure: Option<String>,
    /// What it is launched with.
    pub(super) inputs: Option<Anything>,
    /// The steps of a `repeat` or `for_each`.
    pub(super) steps: Option<Vec<Anything>>,
}

/// Numbers at one distance from each other, both ends included.
#[derive(Deserialize, Schema, Clone, Copy)]
pub(super) struct RawRange {
    /// The first.
    pub(super) from: f64,
    /// The last, unless the distance leaps over it.
    pub(super) to: f64,
    /// The distance; less than nothing to count down.
    pub(super) by: f64,
}
