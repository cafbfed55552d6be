//! The dataset: records that are appended, committed, and stay.
//!
//! ```text
//! | staged | head: epoch, state, committed | record 0 | record 1 | … |
//! ```
//!
//! What a reader goes by is one word, `head`: how many records are committed, whether more are to come, and the how
//! many-th filling it is. Records below what is committed are not written again in the same filling, so that readers
//! copy them without a second try; a next filling has another epoch, which tells whoever was copying meanwhile.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use super::latch::{HEAD, Word, fill, latest};
use super::shared::{SharedObject, SharedPlace, detached, is_of};
use crate::wire::{SharedKind, SharedLayout, SharedSpec, Signals};

/// Where the writer says how many records it has written, committed or not; for whoever is curious.
const STAGED: usize = 0;
const FIRST_RECORD: usize = 2;

/// Of the head, from the lowest bit: records, state, epoch.
const COUNT_BITS: u32 = 40;
const STATE_BITS: u32 = 4;

pub(super) fn words_for(values: usize, records: usize) -> Option<usize> {
    records.checked_mul(values)?.checked_add(FIRST_RECORD)
}

/// How a dataset stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetState {
    /// Records may still come.
    Filling,
    /// All are there.
    Complete,
    /// No more come, and some are missing: its writer has given it up.
    Abandoned,
}

/// What the head says, all of it at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetHead {
    /// The how many-th filling in this life of its writer: 0, 1, 2 …
    pub epoch: u64,
    /// How it stands.
    pub state: DatasetState,
    /// How many records are committed.
    pub committed: u64,
}

impl DatasetHead {
    fn to_word(self) -> u64 {
        (self.epoch << (COUNT_BITS + STATE_BITS)) | ((self.state as u64) << COUNT_BITS) | self.committed
    }

    fn of_word(word: u64) -> Self {
        let state = match (word >> COUNT_BITS) & ((1 << STATE_BITS) - 1) {
            0 => DatasetState::Filling,
            1 => DatasetState::Complete,
            _ => DatasetState::Abandoned,
        };
        let committed = word & ((1 << COUNT_BITS) - 1);
        Self { epoch: word >> (COUNT_BITS + STATE_BITS), state, committed }
    }
}

/// Says how the dataset stands, of which all records below are written.
pub(super) fn tell<W: Word>(words: &[W], head: DatasetHead) {
    // Who sees the head sees the records that it tells of.
    W::fence(Ordering::Release);
    words[HEAD].set(head.to_word());
    // Who sees a record of the next filling sees that it has begun.
    W::fence(Ordering::Release);
}

/// Writes record `index`, which is not committed yet.
#[inline]
pub(super) fn stage<W: Word>(words: &[W], width: usize, index: u64, fill: impl FnOnce(&[W])) {
    let start = FIRST_RECORD + index as usize * width;
    fill(&words[start..start + width]);
    words[STAGED].set(index + 1);
}

/// Copies at most `most` committed records from `first` on; nothing when each try was overtaken by a next filling.
pub(super) fn copy<W: Word>(
    words: &[W],
    width: usize,
    first: u64,
    most: u64,
    into: &mut Vec<u64>,
) -> Option<DatasetHead> {
    let room = (words.len() - FIRST_RECORD).checked_div(width).unwrap_or(0) as u64;
    for _ in 0..W::TRIES {
        into.clear();
        let mut head = DatasetHead::of_word(latest(words));
        head.committed = head.committed.min(room);
        let first = first.min(head.committed);
        let count = (head.committed - first).min(most);
        let start = FIRST_RECORD + first as usize * width;
        into.extend(words[start..start + count as usize * width].iter().map(Word::get));
        W::fence(Ordering::Acquire);
        if DatasetHead::of_word(words[HEAD].get()).epoch == head.epoch {
            return Some(head);
        }
    }
    None
}

/// Why a record was not appended, or none can be any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetFull {
    /// As many are there as were declared, committed or not.
    #[error("the dataset is full: it has room for {capacity} records")]
    NoRoom {
        /// How many there is room for.
        capacity: u64,
    },
    /// It was finished or abandoned; [`AppendDataset::begin_anew`] begins another filling.
    #[error("the dataset takes no more records: it is {state:?}")]
    Closed {
        /// How it stands.
        state: DatasetState,
    },
}

/// Writes records that stay, up to a number. What is appended is seen once it is committed, and rolled back if not. There is
/// one for each that a kind declares; any process of the rig reads it by [`Scope::dataset`](crate::Scope::dataset).
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Signals, Schema, Clone, Copy)]
/// struct Sample {
///     #[schema(unit = "V")]
///     reading_v: f64,
/// }
///
/// struct Scanner {
///     scan: AppendDataset<Sample>,
/// }
///
/// impl Manager for Scanner {
///     type Config = ();
///     fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
///         Ok(Self { scan: context.share("scan")? })
///     }
/// }
///
/// #[manager(kind = "scanner", shares(scan = AppendDataset::<Sample>::declare(1000)))]
/// impl Scanner {
///     #[every(milliseconds = 100)]
///     fn take_line(&mut self) -> Result<(), DatasetFull> {
///         for reading_v in [0.5, 0.25] {
///             self.scan.append(&Sample { reading_v }).inspect_err(|_| drop(self.scan.roll_back()))?;
///         }
///         self.scan.commit();
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct AppendDataset<R> {
    place: SharedPlace,
    head: DatasetHead,
    staged: u64,
    record: PhantomData<fn(R)>,
}

impl<R: Signals> AppendDataset<R> {
    /// What a kind declares that shares such a dataset, of at most so many records.
    #[must_use]
    pub fn declare(records: u64) -> SharedSpec {
        SharedSpec::declare::<R>(SharedKind::Dataset, records)
    }

    /// Appends a record, which nobody sees before it is committed.
    ///
    /// # Errors
    /// [`DatasetFull`]; what was appended before is as it was.
    pub fn append(&mut self, record: &R) -> Result<(), DatasetFull> {
        self.check_filling()?;
        let capacity = self.place.layout().capacity;
        if self.staged >= capacity {
            return Err(DatasetFull::NoRoom { capacity });
        }
        stage(self.place.words(), R::WORDS, self.staged, |cells| fill(cells, record));
        self.staged += 1;
        Ok(())
    }

    /// Everybody sees what was appended, all of it at once. Returns how many records there are.
    pub fn commit(&mut self) -> u64 {
        self.tell(DatasetHead { committed: self.staged, ..self.head });
        self.head.committed
    }

    /// Takes back what was appended and not committed. Returns how many records that were.
    pub fn roll_back(&mut self) -> u64 {
        let dropped = self.staged - self.head.committed;
        self.staged = self.head.committed;
        dropped
    }

    /// Commits what was appended: all is there.
    ///
    /// # Errors
    /// [`DatasetFull::Closed`], when it was finished or abandoned before.
    pub fn finish(&mut self) -> Result<u64, DatasetFull> {
        self.check_filling()?;
        self.tell(DatasetHead { state: DatasetState::Complete, committed: self.staged, ..self.head });
        Ok(self.head.committed)
    }

    /// Takes back what was not committed, and says that no more comes.
    ///
    /// # Errors
    /// [`DatasetFull::Closed`], when it was finished or abandoned before.
    pub fn abandon(&mut self) -> Result<u64, DatasetFull> {
        self.check_filling()?;
        self.roll_back();
        self.tell(DatasetHead { state: DatasetState::Abandoned, ..self.head });
        Ok(self.head.committed)
    }

    /// Begins another filling, without a record. Readers are told by another epoch.
    pub fn begin_anew(&mut self) {
        self.staged = 0;
        self.tell(DatasetHead { epoch: self.head.epoch + 1, state: DatasetState::Filling, committed: 0 });
    }

    /// How it stands, as everybody sees it.
    #[must_use]
    pub fn head(&self) -> DatasetHead {
        self.head
    }

    /// How many records were appended, committed or not.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.staged
    }

    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> &SharedPlace {
        &self.place
    }

    fn check_filling(&self) -> Result<(), DatasetFull> {
        match self.head.state {
            DatasetState::Filling => Ok(()),
            state => Err(DatasetFull::Closed { state }),
        }
    }

    fn tell(&mut self, head: DatasetHead) {
        self.head = head;
        tell(self.place.words(), head);
        self.place.ring();
    }
}

impl<R: Signals> SharedObject for AppendDataset<R> {
    const DETACHED: SharedLayout = detached(SharedKind::Dataset, R::WORDS, 0, 1024);

    fn is_declared_by(layout: &SharedLayout, item: u64, _: u64) -> bool {
        layout.kind == SharedKind::Dataset && layout.item_words == R::WORDS as u64 && is_of::<R>(item)
    }

    fn begin(place: SharedPlace) -> Self {
        let head = DatasetHead { epoch: 0, state: DatasetState::Filling, committed: 0 };
        Self { place, head, staged: 0, record: PhantomData }
    }
}

impl SharedPlace {
    /// Copies at most `most` committed records of a dataset from `first` on; nothing when it is begun anew all the time.
    pub fn copy_records(&self, first: u64, most: u64, into: &mut Vec<u64>) -> Option<DatasetHead> {
        copy(self.words(), self.layout().item_words as usize, first, most, into)
    }
}
