//! The latest value of any type, as it is read.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::{Attached, SharedError, Stopper};
use crate::remote::port::Port;
use crate::remote::signal::Reading;
use crate::shm::{Snapshot, Standing, TakeError};
use crate::wire::{Schema, SharedKind, TypeSchema, codec};

/// Reads the latest value, whichever life of its manager published it. Cheap to clone; each thread has its own.
///
/// ```no_run
/// # use std::time::Duration;
/// # use labrig::prelude::*;
/// # #[derive(Serialize, Deserialize, Schema, Debug)]
/// # struct Calibration { factors: Vec<f64> }
/// # fn example(scope: &Scope) -> Result<(), labrig::SharedError> {
/// let mut calibration = scope.latest_value::<Calibration>("stage.calibration")?;
/// println!("{:?}", calibration.read()?.value.factors);
/// let next = calibration.wait_for_next(Duration::from_secs(5))?;
/// println!("number {} of life {}", next.sequence, next.generation);
/// # Ok(())
/// # }
/// ```
pub struct ValueReader<T> {
    attached: Attached,
    /// Life and number of the last that was read.
    seen: (u32, u64),
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for ValueReader<T> {
    fn clone(&self) -> Self {
        Self { attached: self.attached.clone(), seen: self.seen, value: PhantomData }
    }
}

impl<T: Schema + DeserializeOwned + 'static> ValueReader<T> {
    pub(in crate::remote) fn of(port: &Arc<dyn Port>, name: &str) -> Result<Self, SharedError> {
        let attached = Attached::find(port, name, SharedKind::Value)?;
        attached.check_item::<T>()?;
        Ok(Self { attached, seen: (0, 0), value: PhantomData })
    }

    /// The latest value. That of a life that has ended stays, marked as stale, until the next one has published.
    ///
    /// # Errors
    /// - [`SharedError::NotThere`], [`SharedError::NotPublished`]: there is no value yet.
    /// - [`SharedError::Unreadable`]: its writer is broken.
    pub fn read(&mut self) -> Result<Reading<T>, SharedError> {
        if self.attached.standing() == Standing::Superseded {
            self.attached.go_over(|place| place.news() > 0);
        }
        let place = self.attached.place()?;
        let is_stale = place.page().standing() != Standing::Open;
        let taken = place.take_bytes().map_err(|error| self.attached.unread(error))?;
        let Snapshot { value: bytes, at_ns, number: sequence } = taken;
        let value = codec::from_postcard(&bytes, TypeSchema::known::<T>())
            .map_err(|_| self.attached.unread(TakeError::Damaged))?;
        let generation = self.attached.generation();
        self.seen = (generation, sequence);
        Ok(Reading { value, at_ns, sequence, generation, is_stale })
    }

    /// Sleeps until there is a value newer than the last that this reader has given, for at most `patience`.
    ///
    /// # Errors
    /// - [`SharedError::NotInTime`], [`SharedError::Ended`], [`SharedError::Cancelled`]: none has come.
    /// - Those of [`read`](Self::read).
    pub fn wait_for_next(&mut self, patience: Duration) -> Result<Reading<T>, SharedError> {
        let (until, seen) = (Instant::now().checked_add(patience), self.seen);
        loop {
            let there = match self.read() {
                Ok(reading) if (reading.generation, reading.sequence) != seen => return Ok(reading),
                Ok(reading) => reading.sequence,
                Err(SharedError::NotPublished { .. }) => 0,
                Err(error) => return Err(error),
            };
            self.attached.sleep(there, until, patience)?;
        }
    }

    /// What ends this reader's waits from another thread.
    pub fn stopper(&self) -> Stopper {
        self.attached.stopper.clone()
    }
}
