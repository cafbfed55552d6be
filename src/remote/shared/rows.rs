//! Rows of a ring, as they are followed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Attached, SharedError, Stopper};
use crate::remote::port::Port;
use crate::shm::{Span, Standing, TakeError};
use crate::wire::shared::value_of_words;
use crate::wire::{Column, SharedKind, Signals};

/// How many rows are copied at once, at most: few enough that the writer seldom overtakes whoever copies.
const AT_ONCE: u64 = 1024;

/// Follows a row ring, from life to life of its manager. Cheap to clone; each thread has its own.
///
/// ```no_run
/// # use std::time::Duration;
/// # use labrig::prelude::*;
/// # fn example(scope: &Scope) -> Result<(), labrig::SharedError> {
/// let mut tracks = scope.rows("tracker.tracks")?;
/// tracks.wait(Duration::from_secs(5))?;
/// for row in tracks.read()?.iter() {
///     println!("{} ns: {:?}", row.at_ns(), row.values().collect::<Vec<_>>());
/// }
/// println!("{} rows had to give way unread", tracks.lost());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RowReader {
    attached: Attached,
    columns: Arc<[Column]>,
    /// The row to be read next, in the life that is read.
    next: u64,
    lost: u64,
    words: Vec<u64>,
}

impl RowReader {
    /// The reader of the ring `manager.object`.
    pub(in crate::remote) fn of(port: &Arc<dyn Port>, name: &str) -> Result<Self, SharedError> {
        let attached = Attached::find(port, name, SharedKind::Rows)?;
        let columns = attached.spec().columns().into();
        let mut reader = Self { attached, columns, next: 1, lost: 0, words: Vec::new() };
        // What had to give way before anybody asked is nobody's loss.
        let (appended, capacity) = (reader.appended(), reader.capacity());
        reader.next = appended.saturating_sub(capacity).saturating_add(1);
        Ok(reader)
    }

    /// What is read: `manager.object`.
    pub fn name(&self) -> &str {
        &self.attached.name
    }

    /// Its columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows the ring holds.
    pub fn capacity(&self) -> u64 {
        self.attached.spec().capacity
    }

    /// Passes over what is there: the next row is one that is yet to come.
    #[must_use]
    pub fn from_now_on(mut self) -> Self {
        self.next = self.appended().saturating_add(1);
        self
    }

    /// Passes over what is there, all but the latest rows, at most so many.
    #[must_use]
    pub(crate) fn with_the_latest(mut self, rows: u64) -> Self {
        let first = self.appended().saturating_sub(rows).saturating_add(1);
        self.next = self.next.max(first);
        self
    }

    /// The rows that this reader has not given yet, oldest first, at most some thousand at once: read again until there
    /// are none. All are of one life of the manager; when all of that are read, the next one's follow.
    ///
    /// # Errors
    /// [`SharedError::NotThere`]: its manager has not begun yet.
    pub fn read(&mut self) -> Result<RowBatch<'_>, SharedError> {
        self.read_at_most(AT_ONCE)
    }

    /// As [`read`](Self::read), at most so many rows.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_at_most(&mut self, rows: u64) -> Result<RowBatch<'_>, SharedError> {
        self.go_over_if_read();
        let span = self.attached.place()?.copy_rows(self.next, rows, &mut self.words);
        self.lost += span.lost;
        self.next = span.next();
        Ok(self.batch(span))
    }

    /// The latest rows, at most so many, whether this reader has given them or not. It goes on where it was.
    ///
    /// # Errors
    /// [`SharedError::NotThere`]: its manager has not begun yet.
    pub fn latest(&mut self, rows: u64) -> Result<RowBatch<'_>, SharedError> {
        let place = self.attached.place()?;
        let first = place.news().saturating_sub(rows).saturating_add(1);
        let span = place.copy_rows(first, rows, &mut self.words);
        Ok(self.batch(Span { lost: 0, ..span }))
    }

    /// How many rows had to give way before this reader came for them.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How many rows the life that is read has appended.
    pub fn appended(&self) -> u64 {
        self.attached.place.as_ref().map_or(0, |place| place.news())
    }

    /// Which life of its manager is read; 0 before the first.
    pub fn generation(&self) -> u32 {
        self.attached.generation()
    }

    /// Sleeps until there are rows to be read, for at most `patience`. Nobody polls: the writer wakes whoever sleeps. In
    /// a handler the time does not count for its watchdog.
    ///
    /// # Errors
    /// - [`SharedError::NotInTime`]: none has come.
    /// - [`SharedError::Ended`]: the life that is read has ended, and all its rows are read; wait
    ///   [for the next life](Self::wait_for_next_life) then.
    /// - [`SharedError::Cancelled`]: the handler that waits is to give up, or [`Stopper::stop`] was called.
    pub fn wait(&mut self, patience: Duration) -> Result<(), SharedError> {
        let until = Instant::now().checked_add(patience);
        loop {
            self.go_over_if_read();
            let appended = self.attached.place()?.news();
            if appended >= self.next {
                return Ok(());
            }
            self.attached.sleep(appended, until, patience)?;
        }
    }

    /// Sleeps until a next life of the manager has its ring, for at most `patience`, and goes over to it; rows of the life
    /// before that are not read yet are passed over and counted as lost. Returns which life it is.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait) but for [`SharedError::Ended`].
    pub fn wait_for_next_life(&mut self, patience: Duration) -> Result<u32, SharedError> {
        let before = self.attached.place.clone();
        let generation = self.attached.await_next_life(patience)?;
        let appended = before.map_or(0, |place| place.news());
        self.lost += appended.saturating_add(1).saturating_sub(self.next);
        self.next = 1;
        Ok(generation)
    }

    /// What ends this reader's waits from another thread.
    pub fn stopper(&self) -> Stopper {
        self.attached.stopper.clone()
    }

    fn go_over_if_read(&mut self) {
        // In this order: once the life is over, nothing more is appended in it.
        if self.attached.standing() == Standing::Superseded
            && self.appended() < self.next
            && self.attached.go_over(|_| true)
        {
            self.next = 1;
        }
    }

    fn batch(&self, span: Span) -> RowBatch<'_> {
        let Self { words, columns, attached, .. } = self;
        RowBatch { words, columns, attached, first: span.first, lost: span.lost }
    }
}

/// Rows that follow each other, of one life of their manager.
#[derive(Clone, Copy)]
pub struct RowBatch<'a> {
    words: &'a [u64],
    columns: &'a [Column],
    attached: &'a Attached,
    first: u64,
    lost: u64,
}

impl<'a> RowBatch<'a> {
    /// The rows, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'a>> + use<'a> {
        let (columns, first) = (self.columns, self.first);
        let rows = self.words.chunks_exact(columns.len() + 1).enumerate();
        rows.map(move |(index, words)| Row { words, columns, number: first + index as u64 })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.words.len() / (self.columns.len() + 1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many rows before the first of these had to give way unread.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Which life of their manager appended them.
    pub fn generation(&self) -> u32 {
        self.attached.generation()
    }

    /// The rows as the structs that were appended, oldest first.
    ///
    /// # Errors
    /// - [`SharedError::WrongType`]: they were appended as others, by path, fields and their order.
    /// - [`SharedError::Unreadable`]: the writer is broken.
    pub fn to<R: Signals>(&self) -> Result<Vec<R>, SharedError> {
        self.attached.check_item::<R>()?;
        let rows = self.words.chunks_exact(self.columns.len() + 1).map(|words| value_of_words(&words[1..]));
        rows.collect::<Option<_>>().ok_or_else(|| self.attached.unread(TakeError::Damaged))
    }
}

/// A row that was copied.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    words: &'a [u64],
    columns: &'a [Column],
    number: u64,
}

impl<'a> Row<'a> {
    /// The how many-th of its life it is: 1, 2, 3 …
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its time, in ns of the clock that all processes of the machine share ([`monotonic_ns`](crate::shm::monotonic_ns)).
    pub fn at_ns(&self) -> u64 {
        self.words[0]
    }

    /// Its values as numbers, in the order of the columns.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f64> + use<'a> {
        self.columns.iter().zip(&self.words[1..]).map(|(column, word)| column.number(*word))
    }

    /// The value of the column of that name.
    pub fn value(&self, column: &str) -> Option<f64> {
        let index = self.columns.iter().position(|it| it.name == column)?;
        Some(self.columns[index].number(self.words[1 + index]))
    }
}
