//! The signals of a plan: which manager publishes which, for people, for machines, and for whatever refers to one.

use serde_json::{Value, json};

use super::RouteTable;
use super::columns::in_columns;
use crate::config::{nearest, quoted_list};
use crate::wire::{Field, Node, TypeSchema};

/// A signal of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalEntry<'a> {
    /// What it is called: `manager.signal`.
    pub name: String,
    /// The set that it is published with.
    pub set: &'a TypeSchema,
    /// Its type, unit, bounds and doc text.
    pub field: &'a Field,
}

/// A signal that no manager of a plan publishes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signal is called `{name}`: {hint}")]
pub struct UnknownSignal {
    /// The name.
    pub name: String,
    /// What may have been meant.
    pub hint: String,
}

impl RouteTable {
    /// Every signal that is published, by manager, in the order of the source.
    pub fn signals(&self) -> Vec<SignalEntry<'_>> {
        let mut entries = Vec::new();
        for bound in &self.managers {
            for set in bound.signals.iter().map(|set| &set.schema) {
                let signals = set.signals().into_iter().map(|placed| placed.field);
                entries.extend(signals.map(|field| {
                    let name = format!("{}.{}", bound.name, field.name);
                    SignalEntry { name, set, field }
                }));
            }
        }
        entries
    }

    /// The signal of that name, `manager.signal`: for checking what refers to it before anything starts.
    ///
    /// # Errors
    /// [`UnknownSignal`], with the nearest name that there is, or all of them.
    pub fn signal(&self, name: &str) -> Result<SignalEntry<'_>, UnknownSignal> {
        let mut known = self.signals();
        if let Some(at) = known.iter().position(|entry| entry.name == name) {
            return Ok(known.swap_remove(at));
        }
        let names = || known.iter().map(|entry| entry.name.as_str());
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "no manager of this rig publishes any".to_owned(),
            None => format!("this rig has {}", quoted_list(names())),
        };
        Err(UnknownSignal { name: name.to_owned(), hint })
    }

    /// The signals as people read them: a line for each, columns aligned.
    pub fn signals_text(&self) -> String {
        let headings = ["SIGNAL", "TYPE", "UNIT", "BOUNDS", "ABOUT"].map(str::to_owned);
        let entries = self.signals();
        let rows: Vec<_> = std::iter::once(headings).chain(entries.iter().map(row)).collect();
        in_columns(&rows, |_| false)
    }

    /// The signals for machines: an object for each.
    pub fn signals_json(&self) -> Value {
        let one = |entry: &SignalEntry<'_>| {
            json!({
                "name": entry.name,
                "set": entry.set.root.identity(),
                "type": type_name(&entry.field.node),
                "unit": entry.field.unit,
                "min": entry.field.min,
                "max": entry.field.max,
                "doc": entry.field.doc,
            })
        };
        self.signals().iter().map(one).collect()
    }
}

fn row(entry: &SignalEntry<'_>) -> [String; 5] {
    let Field { node, unit, min, max, doc, .. } = entry.field;
    let end = |bound: &Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
    let bounds =
        if min.is_none() && max.is_none() { String::new() } else { format!("{}..{}", end(min), end(max)) };
    let about = doc.lines().next().unwrap_or_default().to_owned();
    [entry.name.clone(), type_name(node), unit.clone().unwrap_or_default(), bounds, about]
}

/// A signal's type as people write it; an array as in Rust.
pub fn type_name(node: &Node) -> String {
    match node {
        Node::Tuple(parts) => match parts.split_first() {
            Some((first, rest)) if rest.iter().all(|part| part == first) => {
                format!("[{}; {}]", type_name(first), parts.len())
            }
            _ => node.describe(),
        },
        other => other.describe(),
    }
}
