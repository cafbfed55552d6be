//! The table: rows that are found by their keys, put and removed, each with the version of its last change.
//!
//! ```text
//! | begun | changes | used | rows | slot 0: a latch of (there?, version, key, row) | slot 1 | … |
//! ```
//!
//! Each row is a [`latch`](super::latch), so that it is whole whatever happens to its writer. Changes are numbered, and
//! each is said in `begun` first and in `changes` when it is made. Whoever copies the whole table looks at `begun` before
//! and after: if it is the same, at most one change was going on meanwhile. One of a single row is made at once. One that
//! moves a row, when the table is made compact, puts it into the lower slot before it empties the higher one; slots are
//! copied from the highest down, so that such a row is seen, perhaps twice, and never missed.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::Ordering;

use super::clock::monotonic_ns;
use super::latch::{BEGUN, HEAD, Snapshot, TakeError, Word, latch_words, latest, put_by, rest, take_by};
use super::shared::{SharedObject, SharedPlace, detached, is_of};
use crate::wire::{SharedKind, SharedLayout, SharedSpec, SignalValue, Signals, shared};

/// How many slots were ever in use, since the table was made compact.
const USED: usize = 2;
/// How many rows there are.
const ROWS: usize = 3;
const FIRST_SLOT: usize = 4;

/// Of an entry, before key and row: whether it is there, and its version.
const ENTRY_HEAD: usize = 2;

/// How many words a slot takes.
fn slot_words<W: Word>(values: usize, key: usize) -> Option<usize> {
    latch_words::<W>(values.checked_add(key)?.checked_add(ENTRY_HEAD)?)
}

pub(super) fn words_for(values: usize, key: usize, rows: usize) -> Option<usize> {
    words_for_words::<std::sync::atomic::AtomicU64>(values, key, rows)
}

pub(super) fn words_for_words<W: Word>(values: usize, key: usize, rows: usize) -> Option<usize> {
    rows.checked_mul(slot_words::<W>(values, key)?)?.checked_add(FIRST_SLOT)
}

/// A table's words, cut into slots of so many entry words.
#[derive(Clone, Copy)]
pub(super) struct Slots<'a, W> {
    pub(super) words: &'a [W],
    pub(super) slot: usize,
}

/// A row as it lies in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of the change that put it.
    pub version: u64,
    /// When that was, in nanoseconds of [`super::monotonic_ns`].
    pub at_ns: u64,
    /// The words of its key, and those of the row.
    pub words: Vec<u64>,
}

/// All rows, as they were at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The number of the last change that is in it for certain.
    pub version: u64,
    /// The rows, by slot; one that was just being moved may be there twice.
    pub entries: Vec<(usize, Entry)>,
}

impl<'a, W: Word> Slots<'a, W> {
    pub(super) fn of(words: &'a [W], values: usize, key: usize) -> Self {
        Self { words, slot: slot_words::<W>(values, key).unwrap_or(usize::MAX) }
    }

    fn count(&self) -> usize {
        (self.words.len() - FIRST_SLOT) / self.slot
    }

    fn latch(&self, slot: usize) -> &'a [W] {
        let start = FIRST_SLOT + slot * self.slot;
        &self.words[start..start + self.slot]
    }

    /// Makes change `number`, one more than the last.
    pub(super) fn change(&self, number: u64, make: impl FnOnce(&Self)) {
        // Who sees that this change has begun sees those before it.
        W::fence(Ordering::Release);
        self.words[BEGUN].set(number);
        // Who sees what is changed below sees that it has begun.
        W::fence(Ordering::Release);
        make(self);
        W::fence(Ordering::Release);
        self.words[HEAD].set(number);
    }

    /// Puts an entry into a slot, the `turn`-th that it has.
    pub(super) fn put(&self, slot: usize, turn: u64, entry: &Entry) {
        put_by(self.latch(slot), turn, entry.at_ns, |cells| {
            cells[0].set(1);
            cells[1].set(entry.version);
            cells[ENTRY_HEAD..].iter().zip(&entry.words).for_each(|(cell, word)| cell.set(*word));
        });
    }

    pub(super) fn vacate(&self, slot: usize, turn: u64) {
        put_by(self.latch(slot), turn, 0, |cells| cells[0].set(0));
    }

    pub(super) fn set_size(&self, used: usize, rows: usize) {
        self.words[USED].set(used as u64);
        self.words[ROWS].set(rows as u64);
    }

    /// What is in a slot, if anything.
    pub(super) fn entry(&self, slot: usize) -> Result<Option<Entry>, TakeError> {
        let taken = take_by(self.latch(slot), |cells| {
            let words = || cells[1 + ENTRY_HEAD..].iter().map(Word::get).collect();
            Some((cells[1].get() != 0).then(|| (cells[2].get(), words())))
        });
        match taken {
            Ok(Snapshot { value, at_ns, .. }) => {
                Ok(value.map(|(version, words)| Entry { version, at_ns, words }))
            }
            Err(TakeError::NotPublished) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn used(&self) -> usize {
        usize::try_from(self.words[USED].get()).unwrap_or(usize::MAX).min(self.count())
    }

    /// All rows at one time.
    pub(super) fn scan(&self) -> Result<Scan, TakeError> {
        for tries in 1..=W::TRIES {
            // In this order: unless another change has begun by the end, the version is that of this one or the one before.
            let begun = latest_begun(self.words);
            let version = latest(self.words);
            let entries = (0..self.used()).rev().map(|slot| Ok((slot, self.entry(slot)?)));
            let entries = entries.collect::<Result<Vec<_>, TakeError>>();
            W::fence(Ordering::Acquire);
            if self.words[BEGUN].get() == begun {
                let there = entries?.into_iter().filter_map(|(slot, entry)| Some((slot, entry?)));
                return Ok(Scan { version, entries: there.collect() });
            }
            rest(tries);
        }
        Err(TakeError::Unsettled)
    }

    /// The slot and entry that `is_it`; nothing when there was a time without it.
    fn find(&self, is_it: impl Fn(&Entry) -> bool) -> Result<Option<(usize, Entry)>, TakeError> {
        for slot in (0..self.used()).rev() {
            if let Some(entry) = self.entry(slot)?.filter(&is_it) {
                return Ok(Some((slot, entry)));
            }
        }
        Ok(None)
    }
}

fn latest_begun<W: Word>(words: &[W]) -> u64 {
    let begun = words[BEGUN].get();
    W::fence(Ordering::Acquire);
    begun
}

/// How full a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// How many rows there are.
    pub rows: u64,
    /// How many slots readers look through: rows, and holes that removed ones have left.
    pub used: u64,
    /// How many rows there can be.
    pub capacity: u64,
}

/// There was no room for another row; the table is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table is full: it has room for {capacity} rows")]
pub struct TableFull {
    /// How many rows there is room for.
    pub capacity: u64,
}

/// Writes rows that are found by their keys, each with the version of its last change. There is one for each that a kind
/// declares; any process of the rig reads it by [`Scope::table`](crate::Scope::table).
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Signals, Schema, Clone, Copy)]
/// struct Cell {
///     #[schema(unit = "um")]
///     x_um: f64,
///     is_alive: bool,
/// }
///
/// struct Sorter {
///     cells: VersionedTable<u32, Cell>,
/// }
///
/// impl Manager for Sorter {
///     type Config = ();
///     fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
///         Ok(Self { cells: context.share("cells")? })
///     }
/// }
///
/// #[manager(kind = "sorter", shares(cells = VersionedTable::<u32, Cell>::declare(256)))]
/// impl Sorter {
///     #[every(milliseconds = 10)]
///     fn look(&mut self) -> Result<(), TableFull> {
///         self.cells.put(7, &Cell { x_um: 1.5, is_alive: true })?;
///         self.cells.remove(&3);
///         self.cells.compact();
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct VersionedTable<K, R> {
    place: SharedPlace,
    slots: HashMap<K, usize>,
    /// Slots below `turns.len()` without a row.
    holes: BTreeSet<usize>,
    /// How often each slot that is in use was written.
    turns: Vec<u64>,
    used: usize,
    changes: u64,
    row: std::marker::PhantomData<fn(R)>,
}

impl<K: SignalValue + Eq + Hash, R: Signals> VersionedTable<K, R> {
    /// What a kind declares that shares such a table, of at most so many rows.
    #[must_use]
    pub fn declare(rows: u64) -> SharedSpec {
        SharedSpec::declare::<R>(SharedKind::Table, rows).keyed_by::<K>()
    }

    /// Puts a row, in place of the one of that key if there is one. Returns its version.
    ///
    /// # Errors
    /// [`TableFull`]: there is no room for another one.
    pub fn put(&mut self, key: K, row: &R) -> Result<u64, TableFull> {
        let capacity = self.place.layout().capacity;
        let known = self.slots.get(&key).copied();
        let slot = known.or_else(|| self.holes.first().copied()).unwrap_or(self.used);
        if slot as u64 >= capacity {
            return Err(TableFull { capacity });
        }
        self.holes.remove(&slot);
        self.slots.insert(key, slot);
        self.used = self.used.max(slot + 1);
        let words = [shared::words_of(&key), shared::words_of(row)].concat();
        let entry = Entry { version: self.changes + 1, at_ns: monotonic_ns(), words };
        let turn = self.next_turn(slot);
        self.change(|slots, used, rows| {
            slots.put(slot, turn, &entry);
            slots.set_size(used, rows);
        });
        Ok(self.changes)
    }

    /// Removes the row of that key; says whether there was one. Its slot is a hole until a row is put there.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some(slot) = self.slots.remove(key) else { return false };
        self.holes.insert(slot);
        let turn = self.next_turn(slot);
        self.change(|slots, used, rows| {
            slots.vacate(slot, turn);
            slots.set_size(used, rows);
        });
        true
    }

    /// Moves rows from the end into the holes, so that readers look through no more slots than there are rows. Returns how
    /// many were moved; versions and readers' finds stay as they were.
    pub fn compact(&mut self) -> usize {
        let mut moved = 0;
        let mut by_slot: Vec<(usize, K)> = self.slots.iter().map(|(key, slot)| (*slot, *key)).collect();
        by_slot.sort_by_key(|(slot, _)| *slot);
        while let (Some(hole), Some((from, key))) = (self.holes.first().copied(), by_slot.pop()) {
            if hole > from {
                break;
            }
            self.move_row(key, from, hole);
            moved += 1;
        }
        let used = self.slots.len();
        if used < self.used {
            self.used = used;
            self.holes.clear();
            self.change(|slots, used, rows| slots.set_size(used, rows));
        }
        moved
    }

    fn move_row(&mut self, key: K, from: usize, to: usize) {
        // What this process alone writes is at rest.
        let Ok(Some(entry)) = self.place.slots().entry(from) else { return };
        let turns = [self.next_turn(to), self.next_turn(from)];
        self.change(|slots, _, _| {
            slots.put(to, turns[0], &entry);
            slots.vacate(from, turns[1]);
        });
        self.slots.insert(key, to);
        self.holes.remove(&to);
        self.holes.insert(from);
    }

    fn next_turn(&mut self, slot: usize) -> u64 {
        if self.turns.len() <= slot {
            self.turns.resize(slot + 1, 0);
        }
        self.turns[slot] += 1;
        self.turns[slot]
    }

    fn change(&mut self, make: impl FnOnce(&Slots<'_, std::sync::atomic::AtomicU64>, usize, usize)) {
        self.changes += 1;
        let (used, rows) = (self.used, self.slots.len());
        self.place.slots().change(self.changes, |slots| make(slots, used, rows));
        self.place.ring();
    }

    /// Whether there is a row of that key.
    #[must_use]
    pub fn has(&self, key: &K) -> bool {
        self.slots.contains_key(key)
    }

    /// How full it is.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let capacity = self.place.layout().capacity;
        Occupancy { rows: self.slots.len() as u64, used: self.used as u64, capacity }
    }

    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> &SharedPlace {
        &self.place
    }
}

impl<K: SignalValue + Eq + Hash, R: Signals> SharedObject for VersionedTable<K, R> {
    const DETACHED: SharedLayout = detached(SharedKind::Table, R::WORDS, K::WORDS, 1024);

    fn is_declared_by(layout: &SharedLayout, item: u64, key: u64) -> bool {
        let words = (layout.item_words, layout.key_words) == (R::WORDS as u64, K::WORDS as u64);
        layout.kind == SharedKind::Table && words && is_of::<R>(item) && is_of::<K>(key)
    }

    fn begin(place: SharedPlace) -> Self {
        Self {
            place,
            slots: HashMap::new(),
            holes: BTreeSet::new(),
            turns: Vec::new(),
            used: 0,
            changes: 0,
            row: std::marker::PhantomData,
        }
    }
}

impl SharedPlace {
    fn slots(&self) -> Slots<'_, std::sync::atomic::AtomicU64> {
        let layout = self.layout();
        Slots::of(self.words(), layout.item_words as usize, layout.key_words as usize)
    }

    /// All rows of a table, as they were at one time.
    ///
    /// # Errors
    /// [`TakeError::Unsettled`]: it changes faster than it can be copied.
    pub fn scan_table(&self) -> Result<Scan, TakeError> {
        self.slots().scan()
    }

    /// The row whose key is these words: where it was last, or wherever it is now.
    ///
    /// # Errors
    /// [`TakeError::Unsettled`]: it changes faster than it can be copied.
    pub fn find_row(&self, key: &[u64], last: Option<usize>) -> Result<Option<(usize, Entry)>, TakeError> {
        let (slots, is_it) = (self.slots(), |entry: &Entry| entry.words.starts_with(key));
        if let Some(slot) = last.filter(|slot| *slot < slots.used())
            && let Some(entry) = slots.entry(slot)?.filter(is_it)
        {
            return Ok(Some((slot, entry)));
        }
        slots.find(is_it)
    }

    /// How full a table is.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let slots = self.slots();
        let rows = slots.words[ROWS].get();
        Occupancy { rows, used: slots.used() as u64, capacity: self.layout().capacity }
    }
}
