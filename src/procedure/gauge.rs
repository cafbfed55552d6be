//! Signals as numbers, whichever type they have.

use std::time::Duration;

use crate::remote::{Scope, SignalError};
use crate::wire::SignalValue;

/// The next value of a signal, or nothing within that time.
pub(super) type Gauge = Box<dyn FnMut(Duration) -> Result<Option<f64>, SignalError>>;

type Find = fn(&Scope, &str) -> Result<Gauge, SignalError>;

/// Finds a signal that is a number or a truth value.
pub(super) fn gauge(scope: &Scope, name: &str) -> Result<Gauge, SignalError> {
    let tries: [Find; 6] = [
        |scope, name| of::<f64>(scope, name, |value| value),
        |scope, name| of::<bool>(scope, name, |value| f64::from(u8::from(value))),
        |scope, name| of::<u64>(scope, name, |value| value as f64),
        |scope, name| of::<i64>(scope, name, |value| value as f64),
        |scope, name| of::<u32>(scope, name, f64::from),
        |scope, name| of::<f32>(scope, name, f64::from),
    ];
    let mut last = SignalError::Closed;
    for find in tries {
        match find(scope, name) {
            Err(wrong @ SignalError::WrongType { .. }) => last = wrong,
            found => return found,
        }
    }
    Err(last)
}

fn of<T: SignalValue + 'static>(
    scope: &Scope,
    name: &str,
    number: impl Fn(T) -> f64 + 'static,
) -> Result<Gauge, SignalError> {
    let mut reader = scope.signal::<T>(name)?;
    let mut has_read = false;
    Ok(Box::new(move |patience| {
        let reading = if has_read { reader.wait_for_next(patience) } else { reader.read() };
        has_read = true;
        match reading {
            Ok(reading) => Ok(Some(number(reading.value))),
            Err(SignalError::NotInTime { .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }))
}
