//! The words of a pair of lanes, in memory that two processes share.
//!
//! Owns where each of them lies. Whoever sleeps here sleeps on a futex, for at most a second at a time.

use super::super::layout::{Apart, Words};
use super::super::mapping::Mapping;
use super::super::prefetch;
use super::super::segment::PAGE_BYTES;
use super::words::LaneMemory;
use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::thread::futex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

/// How many words one lane holds.
pub(super) const ROOM: u64 = 4096;

/// The longest sleep before a taker looks again: the other side can write to the word that it sleeps on, and is not to
/// hold it there.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

#[derive(Debug)]
#[repr(C)]
pub(super) struct PairWords {
    pub(super) about: Apart<AboutWords>,
    /// To the manager, and from it.
    pub(super) lanes: [LaneWords; 2],
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct AboutWords {
    pub(super) magic: AtomicU64,
    pub(super) version: AtomicU32,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct LaneWords {
    put: Apart<PutWords>,
    take: Apart<TakeWords>,
    /// Apart from `start`, which changes with each record: whoever puts looks at this one each time.
    state: Apart<AtomicU32>,
    records: Apart<[AtomicU64; ROOM as usize]>,
}

/// Written by the putter.
#[derive(Debug)]
#[repr(C)]
struct PutWords {
    end: AtomicU64,
    beside: AtomicU32,
    wanted: AtomicU32,
}

/// Written by the taker.
#[derive(Debug)]
#[repr(C)]
struct TakeWords {
    start: AtomicU64,
}

// SAFETY: `repr(C)`, and atomics throughout.
unsafe impl Words for PairWords {}

pub(super) const PAIR_BYTES: usize = size_of::<PairWords>().next_multiple_of(PAGE_BYTES);

/// One lane of a pair.
#[derive(Debug, Clone)]
pub(super) struct SharedLane {
    memory: Arc<Mapping>,
    index: usize,
}

impl SharedLane {
    /// The first or the second one of the pair that lies there.
    pub(super) fn new(memory: Arc<Mapping>, index: usize) -> Self {
        Self { memory, index }
    }

    fn words(&self) -> &LaneWords {
        &self.memory.view::<PairWords>(0).lanes[self.index]
    }
}

impl LaneMemory for SharedLane {
    type Long = AtomicU64;
    type Short = AtomicU32;

    const ROOM: u64 = ROOM;

    #[inline]
    fn records(&self) -> &[AtomicU64] {
        &self.words().records.0
    }

    #[inline]
    fn soon_written(&self, at: u64) {
        prefetch::soon_written(self.record(at));
    }

    #[inline]
    fn soon_read(&self, at: u64) {
        prefetch::soon_read(self.record(at));
    }

    #[inline]
    fn end(&self) -> &AtomicU64 {
        &self.words().put.0.end
    }

    #[inline]
    fn beside(&self) -> &AtomicU32 {
        &self.words().put.0.beside
    }

    #[inline]
    fn wanted(&self) -> &AtomicU32 {
        &self.words().put.0.wanted
    }

    #[inline]
    fn start(&self) -> &AtomicU64 {
        &self.words().take.0.start
    }

    #[inline]
    fn state(&self) -> &AtomicU32 {
        &self.words().state.0
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn sleep(&self, asleep: u32, patience: Duration) {
        let patience = patience.min(LONGEST_SLEEP);
        let patience = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        match futex::wait(self.state(), futex::Flags::empty(), asleep, Some(&patience)) {
            // Whoever was not to sleep looks again, whyever.
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
            Err(errno) => log::error!("cannot sleep on a lane: {errno}"),
        }
    }

    fn wake(&self) {
        // Nobody to be woken is as good: it has not gone to sleep yet, and will not.
        let _ = futex::wake(self.state(), futex::Flags::empty(), i32::MAX as u32);
    }
}
