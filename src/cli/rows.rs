//! Rows as people read them: a column for each of theirs, under its name and unit.

use serde_json::Value;

use crate::registry::routes::in_columns;

/// The rows of a rig's answer.
pub(super) fn listed(told: &Value) -> String {
    let rows = told["rows"].as_array().into_iter().flatten().map(row);
    let rows: Vec<_> = std::iter::once(heading(&told["columns"])).chain(rows).collect();
    in_columns(&rows, |_| true)
}

/// What stands above the rows.
pub(super) fn heading(columns: &Value) -> Vec<String> {
    let columns = columns.as_array().into_iter().flatten();
    let heading = columns.map(|column| {
        let name = column["name"].as_str().unwrap_or_default();
        column["unit"].as_str().map_or_else(|| name.to_owned(), |unit| format!("{name} [{unit}]"))
    });
    ["ROW".to_owned(), "TIME [s]".to_owned()].into_iter().chain(heading).collect()
}

/// A row, cell by cell.
pub(super) fn row(row: &Value) -> Vec<String> {
    let seconds = row["at_ns"].as_u64().unwrap_or(0) as f64 / 1e9;
    let values = row["values"].as_array().into_iter().flatten().map(value);
    [row["number"].to_string(), format!("{seconds:.6}")].into_iter().chain(values).collect()
}

/// Whole numbers as they are, others with four places.
fn value(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 => format!("{number}"),
        Some(number) => format!("{number:.4}"),
        None => value.as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_stand_under_the_names_and_units_of_their_columns() {
        let columns = json!([{ "name": "frame", "unit": null }, { "name": "x_px", "unit": "px" }]);
        let rows = json!([{ "number": 9, "at_ns": 1_500_000_000_u64, "values": [12.0, 3.25] },
                          { "number": 10, "at_ns": 1_500_000_001_u64, "values": [13.0, "NaN"] }]);
        let expected = "ROW  TIME [s]  frame  x_px [px]\n  9  1.500000     12     3.2500\n 10  1.500000     13        NaN";
        assert_eq!(listed(&json!({ "columns": columns, "rows": rows })), expected);
    }
}
