//! Signals as people read them: a line for each, with its value, its unit and how old it is.

use serde_json::Value;

use crate::registry::routes::in_columns;

/// All signals of a rig's answer.
pub(super) fn listed(told: &Value) -> String {
    let headings = ["SIGNAL", "VALUE", "UNIT", "AGE", ""].map(str::to_owned);
    let signals = told["signals"].as_array().into_iter().flatten();
    let rows: Vec<_> = std::iter::once(headings).chain(signals.map(row)).collect();
    if rows.len() == 1 {
        return "no manager of this rig publishes signals".to_owned();
    }
    let is_number = |column| column == 1 || column == 3;
    in_columns(&rows, is_number)
}

fn row(signal: &Value) -> [String; 5] {
    let text = |key: &str| signal[key].as_str().unwrap_or_default().to_owned();
    let age = signal["age_ms"].as_f64().map_or_else(|| "–".to_owned(), age);
    [text("name"), value(&signal["value"]), text("unit"), age, note(signal)]
}

/// A value with as many digits as a line has room for.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(self::value).collect::<Vec<_>>().join(", "))
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => short(float),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// A number with six digits that count.
fn short(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        return format!("{number:.5e}");
    }
    let digits = if size < 1.0 { 6 } else { 5_usize.saturating_sub(size.log10() as usize) };
    let long = format!("{number:.digits$}");
    match long.contains('.') {
        true => long.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => long,
    }
}

fn age(ms: f64) -> String {
    match ms {
        10_000.0.. => format!("{:.0} s", ms / 1e3),
        1_000.0.. => format!("{:.1} s", ms / 1e3),
        1.0.. => format!("{ms:.0} ms"),
        _ => format!("{:.0} µs", ms * 1e3),
    }
}

fn note(signal: &Value) -> String {
    let mut notes = Vec::new();
    if signal["sequence"].is_null() {
        notes.push("not published");
    }
    if signal["is_stale"] == true {
        notes.push("stale: its manager has ended");
    }
    if signal["is_within_bounds"] == false {
        notes.push("out of bounds");
    }
    notes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_line(signal: Value, expected: &str) {
        let text = listed(&json!({ "signals": [signal] }));
        assert_eq!(text.lines().nth(1), Some(expected));
    }

    #[test]
    fn a_signal_is_told_with_its_unit_its_age_and_what_is_wrong_with_it() {
        let height = |value: Value, age_ms: Value, more: Value| {
            let mut signal =
                json!({ "name": "motor.height_um", "unit": "um", "value": value, "age_ms": age_ms });
            signal["sequence"] = if age_ms.is_null() { Value::Null } else { json!(1) };
            let more = more.as_object().cloned().unwrap_or_default();
            more.into_iter().for_each(|(key, value)| signal[key] = value);
            signal
        };
        check_line(
            height(json!(12.3456789), json!(0.004), json!({})),
            "motor.height_um  12.3457  um    4 µs",
        );
        let stale = json!({ "is_stale": true, "is_within_bounds": false });
        let expected = "motor.height_um      0  um    1.5 s  stale: its manager has ended, out of bounds";
        check_line(height(json!(0.0), json!(1500.0), stale), expected);
        check_line(
            height(json!(null), json!(null), json!({})),
            "motor.height_um      –  um      –  not published",
        );
    }

    #[test]
    fn values_of_every_kind_have_a_short_text() {
        let texts = [
            (json!(1234567.5), "1234568"),
            (json!(0.000012), "1.20000e-5"),
            (json!(-100.25), "-100.25"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
            (json!([1, 2.5]), "[1, 2.5]"),
            (json!("NaN"), "NaN"),
            (json!(true), "true"),
        ];
        texts.into_iter().for_each(|(json, text)| assert_eq!(value(&json), text));
    }
}
