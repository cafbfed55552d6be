//! The time of one event: read off the clock when it is first asked for, and the same from then on.
//!
//! Most commands need it once, and many not at all; a look at the clock costs as much as routing one.

use std::cell::Cell;
use std::time::Instant;

/// See the module's words.
#[derive(Debug, Default)]
pub struct Moment(Cell<Option<Instant>>);

impl Moment {
    /// The time at which it is first asked for.
    pub fn now() -> Self {
        Self::default()
    }

    /// That time.
    pub fn at(time: Instant) -> Self {
        Self(Cell::new(Some(time)))
    }

    /// The time.
    pub fn get(&self) -> Instant {
        let time = self.0.get().unwrap_or_else(Instant::now);
        self.0.set(Some(time));
        time
    }
}
