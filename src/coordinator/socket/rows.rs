//! `rows`: the latest rows of a ring, for those who ask by the rig's socket.

use std::sync::Arc;

use serde_json::{Value, json};

use super::server::Server;
use crate::remote::{Row, Scope, SharedError};
use crate::wire::{Column, Problem};

/// How many rows are told at most: few enough for one message.
const MOST: u64 = 1000;

impl Server {
    /// Tells the latest rows of a ring, as they are at this moment.
    pub(super) fn rows(&mut self, client: u64, id: u64, name: &str, latest: u64) {
        let told = Scope::new(Arc::clone(&self.core) as _).rows(name).and_then(|mut reader| {
            let columns = reader.columns().iter().map(described).collect::<Value>();
            let appended = reader.appended();
            let batch = reader.latest(latest.min(MOST))?;
            let rows = batch.iter().map(row).collect::<Value>();
            let generation = batch.generation();
            Ok(json!({ "name": name, "columns": columns, "rows": rows, "appended": appended, "generation": generation }))
        });
        self.answer(client, id, told.map_err(|error| problem(&error)));
    }
}

pub(super) fn described(column: &Column) -> Value {
    json!({ "name": column.name, "unit": column.unit, "doc": column.doc })
}

/// What JSON cannot write, such as NaN, is a text.
pub(super) fn row(row: Row<'_>) -> Value {
    let value = |value: f64| if value.is_finite() { json!(value) } else { json!(value.to_string()) };
    json!({ "number": row.number(), "at_ns": row.at_ns(), "values": row.values().map(value).collect::<Value>() })
}

pub(super) fn problem(error: &SharedError) -> Problem {
    let kind = match error {
        SharedError::Unknown { .. } | SharedError::WrongType { .. } => "unknown-object",
        _ => "not-readable",
    };
    Problem::new(kind, error.to_string())
}
