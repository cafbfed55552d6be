//! A signal of whatever type, as JSON: for recorders, scripts and whoever else learns its name while the rig runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::port::Port;
use super::signal::{Reading, SignalError, SignalReader};
use crate::shm::{Snapshot, TakeError};
use crate::wire::{Field, TypeSchema};

/// Reads one signal whose type is not known to the program. Reading it allocates; a [`SignalReader`] does not.
///
/// ```no_run
/// # use labrig::prelude::*;
/// # fn example(scope: &Scope) -> Result<(), labrig::SignalError> {
/// let mut height = scope.any_signal("motor.height_um")?;
/// let unit = height.field().unit.clone().unwrap_or_default();
/// println!("{} {unit}", height.read()?.value);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AnySignal {
    /// Knows the newest life, and reads nothing of it.
    reader: SignalReader<[u64; 0]>,
    schema: TypeSchema,
    field: Field,
    first: usize,
    words: usize,
}

impl AnySignal {
    /// The reader of the signal `manager.signal`.
    pub(super) fn of(port: &Arc<dyn Port>, name: &str) -> Result<Self, SignalError> {
        let (reader, place) = SignalReader::of_part(port, name, |_, _| Ok(()))?;
        Ok(Self { reader, schema: place.schema, field: place.field, first: place.first, words: place.words })
    }

    /// What is read: `manager.signal`.
    pub fn name(&self) -> &str {
        self.reader.name()
    }

    /// Its type, unit, bounds and doc.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// The latest value. What JSON cannot write, such as NaN, is a text.
    ///
    /// # Errors
    /// Those of [`SignalReader::read`].
    pub fn read(&mut self) -> Result<Reading<Value>, SignalError> {
        let seen = self.reader.read()?;
        self.value_of(&seen)
    }

    /// Sleeps until the value is as wanted, as [`SignalReader::wait_until`] does.
    ///
    /// # Errors
    /// Those of [`SignalReader::wait_until`].
    pub fn wait_until(
        &mut self,
        is_as_wanted: impl Fn(&Value) -> bool,
        patience: Duration,
    ) -> Result<Reading<Value>, SignalError> {
        let until = Instant::now().checked_add(patience);
        loop {
            match self.read() {
                Ok(reading) if !reading.is_stale && is_as_wanted(&reading.value) => return Ok(reading),
                Ok(_) | Err(SignalError::NotPublished { .. }) => {}
                Err(error) => return Err(error),
            }
            let left = until.map_or(patience, |until| until.saturating_duration_since(Instant::now()));
            match self.reader.wait_for_next(left) {
                Err(SignalError::NotInTime { signal, .. }) => {
                    return Err(SignalError::NotInTime { signal, after: patience });
                }
                next => next?,
            };
        }
    }

    /// Sleeps until there is a newer publication, as [`SignalReader::wait_for_next`] does.
    ///
    /// # Errors
    /// Those of [`SignalReader::wait_until`].
    pub fn wait_for_next(&mut self, patience: Duration) -> Result<Reading<Value>, SignalError> {
        let seen = self.reader.wait_for_next(patience)?;
        self.value_of(&seen)
    }

    fn value_of(&self, seen: &Reading<[u64; 0]>) -> Result<Reading<Value>, SignalError> {
        let Snapshot { value: words, at_ns, number } = self.reader.take_words(self.first, self.words)?;
        let value = self.schema.signal_json(&self.field, &words);
        let value = value.ok_or_else(|| self.reader.unread(TakeError::Damaged))?;
        Ok(Reading { value, at_ns, sequence: number, generation: seen.generation, is_stale: seen.is_stale })
    }
}
