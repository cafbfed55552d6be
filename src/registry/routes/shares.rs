//! The shared objects of a plan: which manager shares what, for people and for machines.

use serde_json::{Value, json};

use super::RouteTable;
use crate::wire::{Column, SharedKind, SharedSpec};

impl RouteTable {
    /// Every object that is shared, `manager.object`, by manager, in the order of the source.
    pub fn shares(&self) -> Vec<(String, &SharedSpec)> {
        let all = self.managers.iter().flat_map(|bound| bound.shares.iter().map(move |it| (bound, it)));
        all.map(|(bound, it)| (format!("{}.{}", bound.name, it.spec.name), &it.spec)).collect()
    }

    /// The objects as people read them: a line for each, and below a line for each of its columns.
    pub fn shares_text(&self) -> String {
        let shares = self.shares();
        if shares.is_empty() {
            return "no manager of this rig shares anything".to_owned();
        }
        let lines = shares.iter().flat_map(|(name, spec)| {
            let head = format!("{name}  {}<{}>{}", spec.kind.name(), type_of(spec), room(spec));
            std::iter::once(head).chain(columns_of(spec).iter().map(column_text)).collect::<Vec<_>>()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The objects for machines: an object for each.
    pub fn shares_json(&self) -> Value {
        let column = |it: &Column| json!({ "name": it.name, "unit": it.unit, "doc": it.doc });
        let one = |(name, spec): &(String, &SharedSpec)| {
            json!({
                "name": name,
                "kind": spec.kind.name(),
                "type": spec.item.root.identity(),
                "key": spec.key.as_ref().map(|key| key.root.identity()),
                "capacity": spec.capacity,
                "columns": columns_of(spec).iter().map(column).collect::<Value>(),
            })
        };
        self.shares().iter().map(one).collect()
    }
}

/// What has columns to speak of: a value is what it is.
fn columns_of(spec: &SharedSpec) -> Vec<Column> {
    if spec.kind == SharedKind::Value { Vec::new() } else { spec.columns() }
}

fn type_of(spec: &SharedSpec) -> String {
    let key = spec.key.as_ref().map(|key| format!("{}, ", key.root.describe())).unwrap_or_default();
    format!("{key}{}", spec.item.root.describe())
}

fn room(spec: &SharedSpec) -> String {
    match spec.kind {
        SharedKind::Rows | SharedKind::Table => format!(", {} rows", spec.capacity),
        SharedKind::Dataset => format!(", {} records", spec.capacity),
        SharedKind::Value => format!(", at most {} bytes", spec.capacity),
        SharedKind::Counters => String::new(),
    }
}

fn column_text(column: &Column) -> String {
    let unit = column.unit.as_ref().map(|unit| format!(" [{unit}]")).unwrap_or_default();
    let about = column.doc.lines().next().map(|doc| format!("  {doc}")).unwrap_or_default();
    format!("  {}{unit}{about}", column.name)
}
