//! What the protocol of a lane is written over: words that both sides see, a fence, and a place to sleep.
//!
//! In a rig these are atomics of `std` in shared memory, and a futex ([`shared`](super::shared)). The tests put others
//! in their place, with which every order of events is tried; the protocol is the same code for both.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// A word that both sides see.
pub(super) trait Word<N>: Debug {
    fn load(&self, ordering: Ordering) -> N;

    fn store(&self, value: N, ordering: Ordering);

    /// Changes it when it is `from`, as one step; says whether it was.
    fn change(&self, from: N, to: N) -> Result<N, N>;
}

/// The words of one lane, and where its taker sleeps. Its clones are the same lane.
pub(super) trait LaneMemory: Clone + Debug {
    /// A word of 64 bits.
    type Long: Word<u64> + Default;
    /// A word of 32 bits.
    type Short: Word<u32>;

    /// How many words of records there are.
    const ROOM: u64;

    /// The words of records, `ROOM` of them.
    fn records(&self) -> &[Self::Long];

    /// The word of records with this number; every `ROOM` numbers it is the same one again.
    #[inline]
    fn record(&self, at: u64) -> &Self::Long {
        &self.records()[(at % Self::ROOM) as usize]
    }

    /// The words of records from this number on, at most `ROOM`: those up to the end of the memory, and those that go on at
    /// its beginning.
    #[inline]
    fn run(&self, at: u64, count: u64) -> (&[Self::Long], &[Self::Long]) {
        let (from, count) = ((at % Self::ROOM) as usize, count as usize);
        let (before, behind) = self.records().split_at(from);
        match behind.split_at_checked(count) {
            Some((whole, _)) => (whole, &[]),
            None => (behind, &before[..count - behind.len()]),
        }
    }

    /// The word of records with this number, and its neighbours, will soon be written.
    fn soon_written(&self, _at: u64) {}

    /// The word of records with this number, and its neighbours, will soon be read.
    fn soon_read(&self, _at: u64) {}

    /// How many words have been put, ever. Written by the putter.
    fn end(&self) -> &Self::Long;

    /// How many packets have been sent beside the lane, ever. Written by the putter.
    fn beside(&self) -> &Self::Short;

    /// Whether the putter waits for room. Written by the putter.
    fn wanted(&self) -> &Self::Short;

    /// How many words have been taken, ever. Written by the taker.
    fn start(&self) -> &Self::Long;

    /// How the taker is to be woken. Written by both, and by whoever rouses.
    fn state(&self) -> &Self::Short;

    /// What was written before it is seen by whoever comes to such a fence later.
    fn fence(&self);

    /// Sleeps while `state` is `asleep`, until [`wake`](Self::wake) or until `patience` has passed; may return early.
    fn sleep(&self, asleep: u32, patience: Duration);

    /// Wakes whoever sleeps on `state`.
    fn wake(&self);
}

impl Word<u64> for AtomicU64 {
    #[inline]
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }

    #[inline]
    fn store(&self, value: u64, ordering: Ordering) {
        self.store(value, ordering);
    }

    #[inline]
    fn change(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed)
    }
}

impl Word<u32> for AtomicU32 {
    #[inline]
    fn load(&self, ordering: Ordering) -> u32 {
        self.load(ordering)
    }

    #[inline]
    fn store(&self, value: u32, ordering: Ordering) {
        self.store(value, ordering);
    }

    #[inline]
    fn change(&self, from: u32, to: u32) -> Result<u32, u32> {
        self.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed)
    }
}
