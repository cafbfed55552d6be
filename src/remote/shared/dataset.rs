//! A dataset's records, as they are read.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Attached, SharedError, Stopper};
use crate::remote::port::Port;
use crate::shm::{DatasetState, Standing, TakeError};
use crate::wire::shared::value_of_words;
use crate::wire::{SharedKind, Signals};

/// How many words are copied at once, about.
const AT_ONCE: usize = 1 << 16;

/// Records that follow each other, of one filling.
#[derive(Debug, Clone, PartialEq)]
pub struct Records<R> {
    /// The records, in their order.
    pub records: Vec<R>,
    /// The place of the first, from 0 on.
    pub first: u64,
    /// How many records of this filling are committed.
    pub committed: u64,
    /// How the filling stands.
    pub state: DatasetState,
    /// The how many-th filling of that life it is: 0, 1, 2 …
    pub epoch: u64,
    /// Which life of its manager wrote it.
    pub generation: u32,
    /// Whether that life has ended: of a dataset that is not complete no more comes.
    pub is_stale: bool,
}

/// Follows a dataset. Cheap to clone; each thread has its own.
///
/// ```no_run
/// # use std::time::Duration;
/// # use labrig::prelude::*;
/// # #[derive(Signals, Schema, Clone, Copy, Debug)]
/// # struct Sample { reading_v: f64 }
/// # fn example(scope: &Scope) -> Result<(), labrig::SharedError> {
/// let mut scan = scope.dataset::<Sample>("scanner.scan")?;
/// while scan.read()?.state == DatasetState::Filling {
///     scan.wait(Duration::from_secs(5))?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct DatasetReader<R> {
    attached: Attached,
    /// The filling that is read: life and epoch.
    filling: (u32, u64),
    next: u64,
    /// What the head was at the last read.
    seen: u64,
    record: PhantomData<fn() -> R>,
}

impl<R> Clone for DatasetReader<R> {
    fn clone(&self) -> Self {
        Self { attached: self.attached.clone(), record: PhantomData, ..*self }
    }
}

impl<R: Signals> DatasetReader<R> {
    pub(in crate::remote) fn of(port: &Arc<dyn Port>, name: &str) -> Result<Self, SharedError> {
        let attached = Attached::find(port, name, SharedKind::Dataset)?;
        attached.check_item::<R>()?;
        Ok(Self { attached, filling: (0, 0), next: 0, seen: 0, record: PhantomData })
    }

    /// The records that are committed and that this reader has not given yet, at most some thousand at once. When
    /// another filling has begun, it begins with that one's first.
    ///
    /// # Errors
    /// - [`SharedError::NotThere`]: its manager has not begun yet.
    /// - [`SharedError::Unreadable`]: it is begun anew all the time, or its writer is broken.
    pub fn read(&mut self) -> Result<Records<R>, SharedError> {
        let place = self.attached.place.as_ref();
        let is_read = place.is_none_or(|place| place.news() == self.seen && self.is_all_read());
        if self.attached.standing() == Standing::Superseded && is_read {
            self.attached.go_over(|_| true);
        }
        let is_stale = self.attached.standing() != Standing::Open;
        let (place, mut words) = (self.attached.place()?, Vec::new());
        let most = (AT_ONCE / R::WORDS.max(1)).max(1) as u64;
        let generation = self.attached.generation();
        let unsettled = || self.attached.unread(TakeError::Unsettled);
        let mut first = self.next;
        self.seen = place.news();
        let mut head = place.copy_records(first, most, &mut words).ok_or_else(unsettled)?;
        if (generation, head.epoch) != self.filling {
            first = 0;
            head = place.copy_records(first, most, &mut words).ok_or_else(unsettled)?;
        }
        let records = words.chunks_exact(R::WORDS.max(1)).map(value_of_words).collect::<Option<Vec<R>>>();
        let records = records.ok_or_else(|| self.attached.unread(TakeError::Damaged))?;
        let first = first.min(head.committed);
        self.filling = (generation, head.epoch);
        self.next = first + records.len() as u64;
        let (committed, state, epoch) = (head.committed, head.state, head.epoch);
        Ok(Records { records, first, committed, state, epoch, generation, is_stale })
    }

    /// Sleeps until something was committed, or another filling begun, since the last read, for at most `patience`.
    ///
    /// # Errors
    /// [`SharedError::NotInTime`], [`SharedError::Ended`], [`SharedError::Cancelled`]: nothing was.
    pub fn wait(&mut self, patience: Duration) -> Result<(), SharedError> {
        let is_over = self.attached.standing() == Standing::Superseded && self.is_all_read();
        if is_over && self.attached.go_over(|_| true) {
            return Ok(());
        }
        let until = Instant::now().checked_add(patience);
        self.attached.sleep(self.seen, until, patience)
    }

    /// What ends this reader's waits from another thread.
    pub fn stopper(&self) -> Stopper {
        self.attached.stopper.clone()
    }

    /// Whether all that was committed in this life has been given.
    fn is_all_read(&self) -> bool {
        let Some(place) = &self.attached.place else { return true };
        let head = place.copy_records(0, 0, &mut Vec::new());
        head.is_some_and(|head| {
            self.filling == (self.attached.generation(), head.epoch) && self.next >= head.committed
        }) || place.news() == 0
    }
}
