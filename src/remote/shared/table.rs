//! A table's rows, as they are read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Attached, SharedError, Stopper, check_type};
use crate::remote::port::Port;
use crate::shm::{Entry, Occupancy, Standing, TakeError};
use crate::wire::shared::{value_of_words, words_of};
use crate::wire::{SharedKind, SignalValue, Signals};

/// A row that was read, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TableRow<R> {
    /// The row.
    pub row: R,
    /// The number of the change of the table that put it.
    pub version: u64,
    /// When that was, in ns of [`monotonic_ns`](crate::shm::monotonic_ns).
    pub at_ns: u64,
}

/// A whole table, as it was at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSnapshot<K: Eq + Hash, R> {
    /// Its rows.
    pub rows: HashMap<K, TableRow<R>>,
    /// How many changes it had seen.
    pub version: u64,
    /// Which life of its manager wrote it.
    pub generation: u32,
    /// Whether that life has ended: nothing changes any more.
    pub is_stale: bool,
}

/// Reads a table of the newest life of its manager. Cheap to clone; each thread has its own.
///
/// ```no_run
/// # use std::time::Duration;
/// # use labrig::prelude::*;
/// # #[derive(Signals, Schema, Clone, Copy, Debug)]
/// # struct Cell { x_um: f64 }
/// # fn example(scope: &Scope) -> Result<(), labrig::SharedError> {
/// let mut cells = scope.table::<u32, Cell>("sorter.cells")?;
/// if let Some(cell) = cells.get(&7)? {
///     println!("{:?}, put by change {}", cell.row, cell.version);
/// }
/// let all = cells.wait_for_change(0, Duration::from_secs(5))?;
/// println!("{} cells after {} changes", all.rows.len(), all.version);
/// # Ok(())
/// # }
/// ```
pub struct TableReader<K, R> {
    attached: Attached,
    /// In which slot a key was last, in the life that is read.
    hints: HashMap<K, usize>,
    row: std::marker::PhantomData<fn() -> R>,
}

impl<K: Clone, R> Clone for TableReader<K, R> {
    fn clone(&self) -> Self {
        Self { attached: self.attached.clone(), hints: self.hints.clone(), row: std::marker::PhantomData }
    }
}

impl<K: SignalValue + Eq + Hash, R: Signals> TableReader<K, R> {
    pub(in crate::remote) fn of(port: &Arc<dyn Port>, name: &str) -> Result<Self, SharedError> {
        let attached = Attached::find(port, name, SharedKind::Table)?;
        attached.check_item::<R>()?;
        if let Some(key) = &attached.spec().key {
            check_type::<K>(key).map_err(|expected| attached.wrong_type(format!("one by {expected}")))?;
        }
        Ok(Self { attached, hints: HashMap::new(), row: std::marker::PhantomData })
    }

    /// The row of that key; nothing when there is none. Quick where the row stays in its place, else it is looked for.
    ///
    /// # Errors
    /// - [`SharedError::NotThere`]: its manager has not begun yet.
    /// - [`SharedError::Unreadable`]: it changes faster than it can be read, or its writer is broken.
    pub fn get(&mut self, key: &K) -> Result<Option<TableRow<R>>, SharedError> {
        self.go_over();
        let (words, hint) = (words_of(key), self.hints.get(key).copied());
        let found =
            self.attached.place()?.find_row(&words, hint).map_err(|error| self.attached.unread(error))?;
        let Some((slot, entry)) = found else { return Ok(None) };
        if hint != Some(slot) {
            self.hints.insert(*key, slot);
        }
        self.row_of(&entry).map(Some)
    }

    /// The whole table, as it is at one time.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn snapshot(&mut self) -> Result<TableSnapshot<K, R>, SharedError> {
        self.go_over();
        let place = self.attached.place()?;
        let is_stale = place.page().standing() != Standing::Open;
        let scan = place.scan_table().map_err(|error| self.attached.unread(error))?;
        let rows = scan.entries.iter().map(|(_, entry)| Ok((self.key_of(entry)?, self.row_of(entry)?)));
        let (rows, generation) = (rows.collect::<Result<_, SharedError>>()?, self.attached.generation());
        Ok(TableSnapshot { rows, version: scan.version, generation, is_stale })
    }

    /// Sleeps until the table has seen other changes than `version` (0: until there is any), or is that of a next life, for at
    /// most `patience`.
    ///
    /// # Errors
    /// - [`SharedError::NotInTime`], [`SharedError::Ended`], [`SharedError::Cancelled`]: there was none.
    /// - Those of [`get`](Self::get).
    pub fn wait_for_change(
        &mut self,
        version: u64,
        patience: Duration,
    ) -> Result<TableSnapshot<K, R>, SharedError> {
        if !self.go_over() {
            let until = Instant::now().checked_add(patience);
            self.attached.sleep(version, until, patience)?;
        }
        self.snapshot()
    }

    /// How full it is.
    ///
    /// # Errors
    /// [`SharedError::NotThere`]: its manager has not begun yet.
    pub fn occupancy(&mut self) -> Result<Occupancy, SharedError> {
        self.go_over();
        Ok(self.attached.place()?.occupancy())
    }

    /// What ends this reader's waits from another thread.
    pub fn stopper(&self) -> Stopper {
        self.attached.stopper.clone()
    }

    /// Goes over to the next life, if there is one; says whether it went.
    fn go_over(&mut self) -> bool {
        let goes = self.attached.standing() == Standing::Superseded && self.attached.go_over(|_| true);
        if goes {
            self.hints.clear();
        }
        goes
    }

    fn key_of(&self, entry: &Entry) -> Result<K, SharedError> {
        value_of_words(&entry.words).ok_or_else(|| self.attached.unread(TakeError::Damaged))
    }

    fn row_of(&self, entry: &Entry) -> Result<TableRow<R>, SharedError> {
        let row = entry.words.get(K::WORDS..).and_then(value_of_words);
        let row = row.ok_or_else(|| self.attached.unread(TakeError::Damaged))?;
        Ok(TableRow { row, version: entry.version, at_ns: entry.at_ns })
    }
}
