//! Counters, as they are read.

use std::sync::Arc;

use super::{Attached, SharedError};
use crate::remote::port::Port;
use crate::shm::Standing;
use crate::wire::{Column, SharedKind};

/// Reads the counters of a manager, whichever life of it counts: each life begins at 0. Cheap to clone.
///
/// ```no_run
/// # use labrig::prelude::*;
/// # fn example(scope: &Scope) -> Result<(), labrig::SharedError> {
/// let mut counts = scope.counters("grabber.counts")?;
/// for (name, count) in counts.read()? {
///     println!("{name}: {count}");
/// }
/// assert!(counts.get("frames")?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CounterReader {
    attached: Attached,
    columns: Arc<[Column]>,
}

impl CounterReader {
    pub(in crate::remote) fn of(port: &Arc<dyn Port>, name: &str) -> Result<Self, SharedError> {
        let attached = Attached::find(port, name, SharedKind::Counters)?;
        let columns = attached.spec().columns().into();
        Ok(Self { attached, columns })
    }

    /// All of them by name, in the order of their declaration; each was read a moment after the one before it.
    ///
    /// # Errors
    /// [`SharedError::NotThere`]: its manager has not begun yet.
    pub fn read(&mut self) -> Result<Vec<(String, u64)>, SharedError> {
        if self.attached.standing() == Standing::Superseded {
            self.attached.go_over(|_| true);
        }
        let counts = self.attached.place()?.read_counters(&self.columns);
        Ok(self.columns.iter().map(|column| column.name.clone()).zip(counts).collect())
    }

    /// One of them; nothing when there is none of that name.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn get(&mut self, name: &str) -> Result<Option<u64>, SharedError> {
        let all = self.read()?;
        Ok(all.into_iter().find(|(it, _)| it == name).map(|(_, count)| count))
    }

    /// Which life of its manager counts; 0 before the first.
    pub fn generation(&self) -> u32 {
        self.attached.generation()
    }
}
