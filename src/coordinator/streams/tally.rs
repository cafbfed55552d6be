//! What the rings of a stream have counted, life after life.

use std::collections::BTreeMap;
use std::ops::Add;

use super::ring::{Ring, StreamReader};

/// What a producer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) published: u64,
    pub(super) waits: u64,
    pub(super) waited_ns: u64,
    pub(super) refused: u64,
}

/// What a reader has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) taken: u64,
    /// Passed over, or missed by one that was to see all.
    pub(super) skipped: u64,
    pub(super) damaged: u64,
    /// Before it still.
    pub(super) unread: u64,
}

impl Add for Filled {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            published: self.published + more.published,
            waits: self.waits + more.waits,
            waited_ns: self.waited_ns + more.waited_ns,
            refused: self.refused + more.refused,
        }
    }
}

impl Add for Seen {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            taken: self.taken + more.taken,
            skipped: self.skipped + more.skipped,
            damaged: self.damaged + more.damaged,
            unread: self.unread + more.unread,
        }
    }
}

/// What is kept of memory that is gone.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) ring: Filled,
    readers: BTreeMap<usize, Seen>,
}

impl Past {
    /// Keeps what a reader has seen whose next life reads the same ring from where the producer is then: what
    /// lies between the two, the next one counts.
    pub(super) fn keep(&mut self, reader: &StreamReader, published: u64) {
        let seen = Seen { unread: 0, ..reader.seen(published) };
        self.add(reader.manager, seen);
    }

    /// Keeps what a ring has counted that nobody will read any more.
    pub(super) fn keep_ring(&mut self, ring: &Ring) {
        self.ring = self.ring + ring.counts();
        for reader in ring.readers() {
            let seen = reader.seen(ring.published());
            self.add(reader.manager, Seen { skipped: seen.skipped + seen.unread, unread: 0, ..seen });
        }
    }

    fn add(&mut self, manager: Option<usize>, seen: Seen) {
        if let Some(manager) = manager {
            let sum = self.readers.entry(manager).or_default();
            *sum = *sum + seen;
        }
    }

    /// What that manager's readers have seen of what is gone.
    pub(super) fn of(&self, manager: usize) -> Seen {
        self.readers.get(&manager).copied().unwrap_or_default()
    }
}
