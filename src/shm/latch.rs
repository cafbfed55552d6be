//! The latch: one writer puts a set of values, any number of readers take the latest, and nobody waits for anybody.
//!
//! ```text
//! | begun | head | slot 0: time, values | slot 1 | slot 2 | slot 3 |
//! ```
//!
//! Publication `n` (1, 2, 3 …) lies in slot `n % 4`. The writer says in `begun` that it begins with `n`, fills the slot,
//! and says in `head` that it is there. A reader takes what `head` names and then looks at `begun`: as long as the
//! writer has begun nothing that goes into the same slot, what was taken is of one publication; else it tries again.
//!
//! So a writer that dies between any two steps leaves the publication before, whole: it is a sequence lock (Boehm, "Can
//! seqlocks get along with programming language memory models?", MSPC 2012) over several slots, of which none that
//! readers are sent to is ever being written. Every word is an atomic and every access relaxed; fences order them, so
//! that there is no data race by Rust's rules, and readers need no more than a mapping for reading.
//!
//! The protocol is written over [`Word`], so that a model checker and a writer that dies at any step can stand in for
//! memory.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::wire::SignalValue;

/// Where the writer says what it has begun with.
pub(super) const BEGUN: usize = 0;
/// Where it says what is there.
pub(super) const HEAD: usize = 1;
/// Where the slots begin.
const FIRST_SLOT: usize = 2;

/// After how many tries the processor is offered to others, among which the writer may be.
const TRIES_PER_YIELD: u32 = 32;

/// A word of memory that one thread writes and others read.
pub(super) trait Word {
    /// How many publications there is room for. A reader is disturbed by a writer that gets so far ahead of it.
    const SLOTS: u64 = 4;
    /// How often a reader tries: no honest writer gets ahead of one so often.
    const TRIES: u32 = 1024;

    /// What is there, in no order with anything.
    fn get(&self) -> u64;
    /// Puts something there, in no order with anything.
    fn set(&self, value: u64);
    /// Orders what is got or set before it with what is set or got after it.
    fn fence(order: Ordering);
}

impl Word for AtomicU64 {
    #[inline]
    fn get(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, value: u64) {
        self.store(value, Ordering::Relaxed);
    }

    #[inline]
    fn fence(order: Ordering) {
        fence(order);
    }
}

/// A value as it was published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot<V> {
    /// The value.
    pub value: V,
    /// When it was published, in nanoseconds of [`super::monotonic_ns`].
    pub at_ns: u64,
    /// The how many-th publication of its set it is of: 1, 2, 3 …
    pub number: u64,
}

/// Why there is nothing to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// Nothing was published yet.
    #[error("nothing was published yet")]
    NotPublished,
    /// What is there changed during every try; its writer lies, or publishes faster than anything can be read.
    #[error("it changes faster than it can be read")]
    Unsettled,
    /// What is there is no value of the type that was declared; its writer is broken.
    #[error("what is published is no value of its type")]
    Damaged,
}

/// How many words a latch for so many words of values takes.
pub(super) fn latch_words<W: Word>(values: usize) -> Option<usize> {
    values.checked_add(1)?.checked_mul(W::SLOTS as usize)?.checked_add(FIRST_SLOT)
}

/// Publishes `value` as number `number`, one more than the last.
#[inline]
pub(super) fn put<W: Word, V: SignalValue>(words: &[W], number: u64, at_ns: u64, value: &V) {
    put_by(words, number, at_ns, |cells| fill(cells, value));
}

/// Writes the words of a value.
#[inline]
pub(super) fn fill<W: Word, V: SignalValue>(cells: &[W], value: &V) {
    let mut cells = cells.iter();
    value.put(&mut |word| {
        if let Some(cell) = cells.next() {
            cell.set(word);
        }
    });
}

/// As [`put`], of whatever is filled in.
#[inline]
pub(super) fn put_by<W: Word>(words: &[W], number: u64, at_ns: u64, fill: impl FnOnce(&[W])) {
    put_into(slot_of(words, number), words, number, at_ns, fill);
}

/// As [`put_by`], into that slot of the words. Who copies it just then sees by `begun` that it has changed.
#[inline]
pub(super) fn put_into<W: Word>(slot: &[W], words: &[W], number: u64, at_ns: u64, fill: impl FnOnce(&[W])) {
    words[BEGUN].set(number);
    // Who sees a word of the slot below sees `begun` too; and `head` as it was before, which is where readers are sent.
    W::fence(Ordering::Release);
    slot[0].set(at_ns);
    fill(&slot[1..]);
    // Who sees `head` below sees the slot as it is now, or later.
    W::fence(Ordering::Release);
    words[HEAD].set(number);
}

/// Takes the latest publication: the value that begins at the `first`-th word of the set.
#[inline]
pub(super) fn take<W: Word, V: SignalValue>(words: &[W], first: usize) -> Result<Snapshot<V>, TakeError> {
    take_by(words, |slot| {
        let mut cells = slot.get(1 + first..).unwrap_or_default().iter();
        V::take(&mut || cells.next().map_or(u64::MAX, Word::get))
    })
}

/// Takes what `look` makes of the latest publication, of which the first word is its time.
#[inline]
pub(super) fn take_by<W: Word, T>(
    words: &[W],
    look: impl Fn(&[W]) -> Option<T>,
) -> Result<Snapshot<T>, TakeError> {
    for tries in 1..=W::TRIES {
        let number = words[HEAD].get();
        W::fence(Ordering::Acquire);
        if number == 0 {
            return Err(TakeError::NotPublished);
        }
        let slot = slot_of(words, number);
        let (at_ns, value) = (slot[0].get(), look(slot));
        W::fence(Ordering::Acquire);
        if words[BEGUN].get().wrapping_sub(number) < W::SLOTS {
            return value.map(|value| Snapshot { value, at_ns, number }).ok_or(TakeError::Damaged);
        }
        rest(tries);
    }
    Err(TakeError::Unsettled)
}

/// Takes some words of the latest publication, for who knows its type by its schema alone.
pub(super) fn take_words<W: Word>(
    words: &[W],
    first: usize,
    count: usize,
) -> Result<Snapshot<Vec<u64>>, TakeError> {
    take_by(words, |slot| Some(slot.iter().skip(1 + first).take(count).map(Word::get).collect()))
}

/// The number of the latest publication; 0 before the first.
#[inline]
pub(super) fn latest<W: Word>(words: &[W]) -> u64 {
    let number = words[HEAD].get();
    W::fence(Ordering::Acquire);
    number
}

/// The slot of a publication, whatever number is claimed.
#[inline]
fn slot_of<W: Word>(words: &[W], number: u64) -> &[W] {
    let words = &words[FIRST_SLOT..];
    let slot = words.len() / W::SLOTS as usize;
    let start = (number % W::SLOTS) as usize * slot;
    &words[start..start + slot]
}

/// Before another try.
#[cold]
pub(super) fn rest(tries: u32) {
    if tries.is_multiple_of(TRIES_PER_YIELD) {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
pub(super) mod tests;
