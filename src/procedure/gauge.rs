//! Signals as numbers, whichever type they have.

use std::time::Duration;

use serde_json::Value;

use crate::remote::{Scope, SignalError};
use crate::wire::Node;

/// Whether a signal of that type can be waited for: a number, or a truth value.
pub(in crate::procedure) fn is_number(node: &Node) -> bool {
    matches!(node, Node::Bool | Node::F64 | Node::F32 | Node::U64 | Node::I64 | Node::U32)
}

/// What gives the next value of a signal that is a number or a truth value, or nothing within a time; at first the value
/// that is there.
pub(super) fn gauge(
    scope: &Scope,
    name: &str,
) -> Result<impl FnMut(Duration) -> Result<Option<f64>, SignalError> + use<>, SignalError> {
    let mut signal = scope.any_signal(name)?;
    let node = &signal.field().node;
    if !is_number(node) {
        let (signal, found) = (name.to_owned(), node.describe());
        return Err(SignalError::WrongType { signal, found, expected: "a number".to_owned() });
    }
    let mut has_read = false;
    Ok(move |patience| {
        let reading = if has_read { signal.wait_for_next(patience) } else { signal.read() };
        has_read = true;
        match reading {
            Ok(reading) => Ok(Some(number(&reading.value))),
            Err(SignalError::NotInTime { .. }) => Ok(None),
            Err(why) => Err(why),
        }
    })
}

/// A truth value counts as 1 or 0; what JSON cannot write as a number is a text.
fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(is_so) => f64::from(u8::from(*is_so)),
        Value::String(text) => text.parse().unwrap_or(f64::NAN),
        value => value.as_f64().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_number_s_type_is_a_number() {
        for (json, expected) in
            [("1.5", 1.5), ("true", 1.0), ("-3", -3.0), ("18446744073709551615", 2f64.powi(64))]
        {
            assert_eq!(number(&serde_json::from_str(json).expect("JSON")), expected);
        }
        for text in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| value.to_string()) {
            let expected: f64 = text.parse().expect("a number");
            assert_eq!(number(&Value::String(text)).total_cmp(&expected), std::cmp::Ordering::Equal);
        }
    }
}
