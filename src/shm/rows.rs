//! The row ring: a time series of which the latest rows are there, whoever has read them or not.
//!
//! ```text
//! | begun | head | slot 0: time, values | slot 1 | … |
//! ```
//!
//! It is the [`latch`](super::latch) with as many slots as there are to be rows, and one more: row `n` (1, 2, 3 …) lies
//! in slot `n % slots`. A reader copies what it has not seen, up to `head`, and looks at `begun` then: rows whose slots
//! the writer has begun to fill again are given up and counted as lost, the others are whole.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use super::clock::monotonic_ns;
use super::latch::{BEGUN, Word, fill, latest, put_into};
use super::shared::{SharedObject, SharedPlace, detached, is_of};
use crate::wire::{SharedKind, SharedLayout, SharedSpec, Signals};

/// Where the slots begin.
const FIRST_SLOT: usize = 2;

/// How many words a ring of so many rows takes.
pub(super) fn words_for(values: usize, rows: usize) -> Option<usize> {
    rows.checked_add(1)?.checked_mul(values.checked_add(1)?)?.checked_add(FIRST_SLOT)
}

fn slots<W: Word>(words: &[W], width: usize) -> u64 {
    ((words.len() - FIRST_SLOT) / width) as u64
}

fn slot<W: Word>(words: &[W], width: usize, number: u64) -> &[W] {
    let start = FIRST_SLOT + (number % slots(words, width)) as usize * width;
    &words[start..start + width]
}

/// Appends row `number`, one more than the last. Its time and values are `width` words.
#[inline]
pub(super) fn append<W: Word>(words: &[W], width: usize, number: u64, at_ns: u64, fill: impl FnOnce(&[W])) {
    put_into(slot(words, width, number), words, number, at_ns, fill);
}

/// Rows that were read: they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The number of the first.
    pub first: u64,
    /// How many there are.
    pub count: u64,
    /// How many before them had to give way unread.
    pub lost: u64,
}

impl Span {
    /// The number of the row to be read next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

/// Copies at most `most` rows from row `next` on, `width` words each, in their order.
pub(super) fn copy<W: Word>(words: &[W], width: usize, next: u64, most: u64, into: &mut Vec<u64>) -> Span {
    let next = next.max(1);
    let mut first = next;
    let slots = slots(words, width);
    for _ in 0..W::TRIES {
        into.clear();
        let head = latest(words);
        // The slot of the oldest of all may be the one that is being filled.
        first = first.max(head.saturating_sub(slots - 1).saturating_add(1));
        let count = head.saturating_add(1).saturating_sub(first).min(most);
        for number in first..first + count {
            into.extend(slot(words, width, number).iter().map(Word::get));
        }
        W::fence(Ordering::Acquire);
        let whole_from = words[BEGUN].get().saturating_sub(slots).saturating_add(1);
        let torn = whole_from.saturating_sub(first).min(count);
        into.drain(..torn as usize * width);
        first += torn;
        // Where all of them were lost, there are newer ones.
        if count == 0 || torn < count {
            return Span { first, count: count - torn, lost: first - next };
        }
    }
    Span { first, count: 0, lost: first - next }
}

/// Writes a time series of rows, of which the latest stay. There is one for each that a kind declares; any process of
/// the rig reads it by [`Scope::rows`](crate::Scope::rows).
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Signals, Schema, Clone, Copy)]
/// struct Track {
///     #[schema(unit = "um")]
///     x_um: f64,
///     #[schema(unit = "um")]
///     y_um: f64,
/// }
///
/// struct Tracker {
///     tracks: RowRing<Track>,
/// }
///
/// impl Manager for Tracker {
///     type Config = ();
///     fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
///         Ok(Self { tracks: context.share("tracks")? })
///     }
/// }
///
/// #[manager(kind = "tracker", shares(tracks = RowRing::<Track>::declare(4096)))]
/// impl Tracker {
///     #[every(milliseconds = 10)]
///     fn look(&mut self) {
///         self.tracks.append(&Track { x_um: 1.0, y_um: 2.0 });
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RowRing<R> {
    place: SharedPlace,
    /// Not read from memory again: what others write there counts for nothing.
    last: u64,
    last_ns: u64,
    row: PhantomData<fn(R)>,
}

/// A row was to be older than the one before it; nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of {at_ns} ns comes after one of {last_ns} ns; rows are in the order of time")]
pub struct OutOfOrder {
    /// Its time.
    pub at_ns: u64,
    /// That of the row before.
    pub last_ns: u64,
}

impl<R: Signals> RowRing<R> {
    /// What a kind declares that shares such a ring: at least the latest `rows` rows are there.
    #[must_use]
    pub fn declare(rows: u64) -> SharedSpec {
        SharedSpec::declare::<R>(SharedKind::Rows, rows)
    }

    /// Appends a row of this moment. The oldest gives way, read or not. It blocks nobody and makes no system call unless
    /// somebody waits for rows.
    #[inline]
    pub fn append(&mut self, row: &R) {
        let now_ns = monotonic_ns().max(self.last_ns);
        self.put(now_ns, row);
        self.place.ring();
    }

    /// Appends rows of one time, such as that of the frame in which they were found, in ns of
    /// [`monotonic_ns`].
    ///
    /// # Errors
    /// [`OutOfOrder`] when a row was appended that is newer; none of them is appended.
    #[inline]
    pub fn append_at(&mut self, at_ns: u64, rows: &[R]) -> Result<(), OutOfOrder> {
        if at_ns < self.last_ns {
            return Err(OutOfOrder { at_ns, last_ns: self.last_ns });
        }
        rows.iter().for_each(|row| self.put(at_ns, row));
        if !rows.is_empty() {
            self.place.ring();
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, at_ns: u64, row: &R) {
        (self.last, self.last_ns) = (self.last + 1, at_ns);
        append(self.place.words(), R::WORDS + 1, self.last, at_ns, |cells| fill(cells, row));
    }

    /// How many rows were appended so far.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.last
    }

    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> &SharedPlace {
        &self.place
    }
}

impl<R: Signals> SharedObject for RowRing<R> {
    const DETACHED: SharedLayout = detached(SharedKind::Rows, R::WORDS, 0, 1024);

    fn is_declared_by(layout: &SharedLayout, item: u64, _: u64) -> bool {
        layout.kind == SharedKind::Rows && layout.item_words == R::WORDS as u64 && is_of::<R>(item)
    }

    fn begin(place: SharedPlace) -> Self {
        Self { place, last: 0, last_ns: 0, row: PhantomData }
    }
}

impl SharedPlace {
    /// Copies at most `most` rows of a ring from row `next` on (1, 2, 3 …), in order: of each its time and its values.
    pub fn copy_rows(&self, next: u64, most: u64, into: &mut Vec<u64>) -> Span {
        copy(self.words(), self.row_width(), next, most, into)
    }

    /// How many words a row takes, with its time.
    #[must_use]
    pub fn row_width(&self) -> usize {
        self.layout().item_words as usize + 1
    }
}
