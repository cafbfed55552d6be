//! The commands that are to be cancelled, on their way to a manager: a queue in its status page.
//!
//! The coordinator puts numbers of calls in, the manager takes them out; neither waits for the other, and
//! nothing stands before a cancellation but other cancellations.

use super::layout::Words;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many cancellations may be on their way at once.
const ROOM: usize = 256;

/// The queue's memory. One side writes `put` and the calls, the other `taken`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct CancelWords {
    put: AtomicU64,
    taken: AtomicU64,
    calls: [AtomicU64; ROOM],
}

// SAFETY: `repr(C)`, and atomics throughout.
unsafe impl Words for CancelWords {}

impl CancelWords {
    /// Puts a call in, unless all places are taken. Only one thread at a time may put.
    pub(super) fn put(&self, call: u64) -> bool {
        let put = self.put.load(Ordering::Relaxed);
        if put.wrapping_sub(self.taken.load(Ordering::Acquire)) >= ROOM as u64 {
            return false;
        }
        self.calls[place(put)].store(call, Ordering::Relaxed);
        self.put.store(put.wrapping_add(1), Ordering::Release);
        true
    }

    /// Whether a call waits to be taken out.
    pub(super) fn has_any(&self) -> bool {
        self.taken.load(Ordering::Acquire) != self.put.load(Ordering::Acquire)
    }

    /// Takes the oldest call out, once it has been heeded, and says whether there was one: whoever finds none to
    /// be taken knows that all have been heeded. Only one thread at a time may take.
    pub(super) fn take(&self, heed: impl FnOnce(u64)) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken == self.put.load(Ordering::Acquire) {
            return false;
        }
        heed(self.calls[place(taken)].load(Ordering::Relaxed));
        self.taken.store(taken.wrapping_add(1), Ordering::Release);
        true
    }
}

fn place(number: u64) -> usize {
    (number % ROOM as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> CancelWords {
        CancelWords {
            put: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            calls: [const { AtomicU64::new(0) }; ROOM],
        }
    }

    fn taken(words: &CancelWords) -> Option<u64> {
        let mut taken = None;
        let is_taken = words.take(|call| taken = Some(call));
        assert_eq!(is_taken, taken.is_some());
        taken
    }

    #[test]
    fn calls_come_out_in_the_order_in_which_they_went_in() {
        let words = empty();
        assert_eq!(taken(&words), None);
        for round in 0..3 * ROOM as u64 {
            assert!(words.put(round) && words.put(round + 1));
            assert_eq!([taken(&words), taken(&words), taken(&words)], [Some(round), Some(round + 1), None]);
        }
    }

    #[test]
    fn a_call_waits_to_be_taken_until_it_has_been_heeded() {
        let words = empty();
        assert!(words.put(1) && words.take(|_| assert!(words.has_any())) && !words.has_any());
    }

    #[test]
    fn a_full_queue_takes_no_more_until_one_is_taken() {
        let words = empty();
        assert!((0..ROOM as u64).all(|call| words.put(call)));
        assert!(!words.put(999));
        assert_eq!(taken(&words), Some(0));
        assert!(words.put(1000) && !words.put(1001));
    }

    #[test]
    fn words_that_make_no_sense_are_taken_for_a_full_queue() {
        let words = empty();
        words.taken.store(7, Ordering::Relaxed);
        assert!(!words.put(1));
    }
}
