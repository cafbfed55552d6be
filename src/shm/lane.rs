//! Lanes: small messages between two processes without a system call, while the other side is awake.
//!
//! A lane goes one way, from its one [`LanePutter`] to its one [`LaneTaker`]; a pair of them lies in one segment. A
//! record is a word with its length and its tag, then its bytes in whole words; it is there once `end` has moved past
//! it. Every word is an atomic, and what is read is checked and copied once: a lying peer yields an error.
//!
//! What a tag says: how many packets were sent beside the lane before this record. So the two ways have one order.
//!
//! The taker says in `state` how it is to be woken. Whoever puts looks at `state` after the record is there; whoever
//! goes to sleep looks for records after `state` is set; with a full fence between the two on both sides, one of them
//! sees the other. A taker that dozes sleeps on `state` itself, so that whoever changes it has woken it.

use super::layout::{Apart, LAYOUT_VERSION, Words};
use super::mapping::Mapping;
use super::segment::{PAGE_BYTES, Segment, SegmentCreateError, SegmentOpenError};
use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::thread::futex;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

/// `labrigLN` as a number: the first word of a pair of lanes.
const LANE_MAGIC: u64 = u64::from_le_bytes(*b"labrigLN");

/// How many words one lane holds.
const ROOM: u64 = 4096;

/// The longest record, in bytes. What is longer goes beside the lane.
pub const MAX_RECORD_BYTES: usize = 2048;

/// How long a taker dozes at most before it looks again: the other side can write to the word that it sleeps on, and is
/// not to hold it there.
const LONGEST_DOZE: Duration = Duration::from_secs(1);

/// Nobody looks: the taker is to be called by other means.
const ASLEEP: u32 = 0;
/// The taker looks, or will before it sleeps.
const LOOKING: u32 = 1;
/// The taker sleeps on this very word.
const DOZING: u32 = 2;
/// As `ASLEEP`, and it has been called.
const CALLED: u32 = 3;

/// Why a descriptor was not accepted as a pair of lanes. It is closed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneOpenError {
    /// The descriptor is no usable segment.
    #[error("lanes: {0}")]
    Segment(#[from] SegmentOpenError),
    /// The segment holds something else; the wrong descriptor was handed over.
    #[error("the segment holds no lanes: it starts with {found:#x}")]
    NoLanes {
        /// Its first eight bytes.
        found: u64,
    },
    /// The lanes were made by another version of labrig.
    #[error("the lanes have layout version {found}, expected {expected}")]
    OtherVersion {
        /// The version of the lanes.
        found: u32,
        /// What this program knows.
        expected: u32,
    },
}

/// The other side has written what no lane holds: nothing more is to be taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The next record cannot be there.
    #[error("its lane says that a record of {bytes} bytes is there, in {words} words of {ROOM}")]
    NoRecord {
        /// How long it is said to be.
        bytes: u64,
        /// How many words are said to be filled.
        words: u64,
    },
    /// The next record is to come after packets that were never sent.
    #[error("its lane says that packets went before a record that were never sent")]
    NoPackets,
}

/// What came of an attempt to put a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// It is there, and the taker will see it.
    Seen,
    /// It is there, and the taker sleeps where this lane cannot wake it: it is to be called.
    Unseen,
    /// There is no room for it.
    Full,
}

/// What came of an attempt to take a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// One of so many bytes.
    Record(usize),
    /// Nothing: packets were sent before the next one that have not been received yet.
    Later,
    /// Nothing: there is none.
    Nothing,
}

#[derive(Debug)]
#[repr(C)]
struct PairWords {
    about: Apart<AboutWords>,
    /// To the manager, and from it.
    lanes: [LaneWords; 2],
}

#[derive(Debug)]
#[repr(C)]
struct AboutWords {
    magic: AtomicU64,
    version: AtomicU32,
}

#[derive(Debug)]
#[repr(C)]
struct LaneWords {
    put: Apart<PutWords>,
    take: Apart<TakeWords>,
    records: Apart<[AtomicU64; ROOM as usize]>,
}

/// Written by the putter.
#[derive(Debug)]
#[repr(C)]
struct PutWords {
    /// How many words have been put, ever.
    end: AtomicU64,
    /// How many packets have been sent beside the lane, ever.
    beside: AtomicU32,
}

/// Written by the taker; `state` by both.
#[derive(Debug)]
#[repr(C)]
struct TakeWords {
    /// How many words have been taken, ever.
    start: AtomicU64,
    state: AtomicU32,
}

// SAFETY: `repr(C)`, and atomics throughout.
unsafe impl Words for PairWords {}

const PAIR_BYTES: usize = size_of::<PairWords>().next_multiple_of(PAGE_BYTES);

/// The memory of a pair of lanes, of one life of a manager.
#[derive(Debug)]
pub struct LanePair {
    segment: Segment,
    memory: Arc<Mapping>,
}

impl LanePair {
    /// Creates a pair of empty lanes.
    ///
    /// # Errors
    /// - [`SegmentCreateError`]: the system refused the memory.
    pub fn create() -> Result<Self, SegmentCreateError> {
        let (segment, memory) = Segment::create_shared("labrig-lanes", PAIR_BYTES)?;
        let about = &memory.view::<PairWords>(0).about.0;
        about.version.store(LAYOUT_VERSION, Ordering::Relaxed);
        about.magic.store(LANE_MAGIC, Ordering::Release);
        Ok(Self { segment, memory: Arc::new(memory) })
    }

    /// Maps a pair that another process created.
    ///
    /// # Errors
    /// - [`LaneOpenError::Segment`], [`LaneOpenError::NoLanes`]: a wrong descriptor was handed over.
    /// - [`LaneOpenError::OtherVersion`]: coordinator and manager come from different versions of labrig.
    pub fn map(fd: OwnedFd) -> Result<Self, LaneOpenError> {
        let (segment, memory) = Segment::open_shared(fd, PAIR_BYTES)?;
        let about = &memory.view::<PairWords>(0).about.0;
        let found = about.magic.load(Ordering::Acquire);
        if found != LANE_MAGIC {
            return Err(LaneOpenError::NoLanes { found });
        }
        let found = about.version.load(Ordering::Relaxed);
        if found != LAYOUT_VERSION {
            return Err(LaneOpenError::OtherVersion { found, expected: LAYOUT_VERSION });
        }
        Ok(Self { segment, memory: Arc::new(memory) })
    }

    /// The descriptor to hand to the manager.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    /// What the coordinator needs of it. Only one side may be taken, and once.
    #[must_use]
    pub fn of_coordinator(&self) -> (LanePutter, LaneTaker) {
        (LanePutter::new(self.lane(0)), LaneTaker::new(self.lane(1)))
    }

    /// What the manager needs of it. Only one side may be taken, and once.
    #[must_use]
    pub fn of_manager(&self) -> (LanePutter, LaneTaker) {
        (LanePutter::new(self.lane(1)), LaneTaker::new(self.lane(0)))
    }

    fn lane(&self, index: usize) -> Lane {
        Lane { memory: Arc::clone(&self.memory), index }
    }
}

/// One of the two.
#[derive(Debug, Clone)]
struct Lane {
    memory: Arc<Mapping>,
    index: usize,
}

impl Lane {
    fn words(&self) -> &LaneWords {
        &self.memory.view::<PairWords>(0).lanes[self.index]
    }

    fn record_word(&self, at: u64) -> &AtomicU64 {
        &self.words().records.0[(at % ROOM) as usize]
    }

    /// Wakes a taker that dozes.
    fn rouse(&self) {
        let state = &self.words().take.0.state;
        if state.compare_exchange(DOZING, LOOKING, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            wake_all(state);
        }
    }
}

/// Wakes whoever sleeps on that word, which was changed before.
fn wake_all(state: &AtomicU32) {
    // Nobody to be woken is as good: it has not gone to sleep yet, and will not.
    let _ = futex::wake(state, futex::Flags::empty(), i32::MAX as u32);
}

/// The end of a lane that puts records in.
#[derive(Debug)]
pub struct LanePutter {
    lane: Lane,
    /// As in the lane, which nobody else writes there.
    end: u64,
    /// How far the taker had come at the last look.
    start: u64,
}

impl LanePutter {
    fn new(lane: Lane) -> Self {
        Self { lane, end: 0, start: 0 }
    }

    /// Puts a record of at most [`MAX_RECORD_BYTES`] in, behind `beside` packets that were sent beside the lane.
    pub fn put(&mut self, bytes: &[u8], beside: u32) -> Put {
        let needed = 1 + bytes.len().div_ceil(8) as u64;
        if !self.has_room(needed) {
            return Put::Full;
        }
        let head = bytes.len() as u64 | u64::from(beside) << 32;
        self.lane.record_word(self.end).store(head, Ordering::Relaxed);
        let (whole, rest) = bytes.as_chunks::<8>();
        for (at, chunk) in (self.end + 1..).zip(whole) {
            self.lane.record_word(at).store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            let at = self.end + needed - 1;
            self.lane.record_word(at).store(u64::from_le_bytes(last), Ordering::Relaxed);
        }
        self.end += needed;
        self.lane.words().put.0.end.store(self.end, Ordering::Release);
        self.call()
    }

    /// So many packets have been sent beside the lane by now.
    pub fn note_beside(&self, count: u32) {
        self.lane.words().put.0.beside.store(count, Ordering::Release);
    }

    fn has_room(&mut self, needed: u64) -> bool {
        // A taker that lies about how far it has come finds the lane full, or loses what it has not taken.
        let is_free = |start: u64, end: u64| end.wrapping_sub(start).saturating_add(needed) <= ROOM;
        if !is_free(self.start, self.end) {
            self.start = self.lane.words().take.0.start.load(Ordering::Acquire);
        }
        is_free(self.start, self.end)
    }

    /// The taker sees what was put, or is to be called.
    fn call(&self) -> Put {
        fence(Ordering::SeqCst);
        let state = &self.lane.words().take.0.state;
        match state.load(Ordering::Relaxed) {
            LOOKING | CALLED => Put::Seen,
            DOZING => {
                self.lane.rouse();
                Put::Seen
            }
            _ => match state.compare_exchange(ASLEEP, CALLED, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => Put::Unseen,
                Err(DOZING) => {
                    self.lane.rouse();
                    Put::Seen
                }
                Err(_) => Put::Seen,
            },
        }
    }
}

/// The end of a lane that takes records out.
#[derive(Debug)]
pub struct LaneTaker {
    lane: Lane,
    /// As in the lane, for those who look; what is found there is not believed.
    start: Arc<AtomicU64>,
    /// How far the putter had come at the last look.
    end: u64,
}

impl LaneTaker {
    fn new(lane: Lane) -> Self {
        Self { lane, start: Arc::default(), end: 0 }
    }

    /// Takes the oldest record out, when no more than `beside` packets were sent before it; its bytes are in the
    /// buffer, which holds [`MAX_RECORD_BYTES`].
    ///
    /// # Errors
    /// - [`LaneError`]: the other side is not to be believed any more.
    pub fn take(&mut self, buffer: &mut [u8], beside: u32) -> Result<Taken, LaneError> {
        let start = self.start.load(Ordering::Relaxed);
        if start == self.end {
            self.end = self.lane.words().put.0.end.load(Ordering::Acquire);
            if start == self.end {
                return Ok(Taken::Nothing);
            }
        }
        let words = self.end.wrapping_sub(start);
        let head = self.lane.record_word(start).load(Ordering::Relaxed);
        let (length, tag) = ((head & u64::from(u32::MAX)) as usize, (head >> 32) as u32);
        let needed = 1 + length.div_ceil(8) as u64;
        if words > ROOM || length > MAX_RECORD_BYTES.min(buffer.len()) || needed > words {
            return Err(LaneError::NoRecord { bytes: length as u64, words });
        }
        // Counts wrap around: whatever is less than half of all numbers ahead has yet to come.
        if tag.wrapping_sub(beside) as i32 > 0 {
            return Ok(Taken::Later);
        }
        for (at, chunk) in (start + 1..start + needed).zip(buffer[..length].chunks_mut(8)) {
            let bytes = self.lane.record_word(at).load(Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        self.start.store(start + needed, Ordering::Relaxed);
        self.lane.words().take.0.start.store(start + needed, Ordering::Release);
        Ok(Taken::Record(length))
    }

    /// For threads that only look.
    #[must_use]
    pub fn lookout(&self) -> Lookout {
        Lookout { lane: self.lane.clone(), start: Arc::clone(&self.start) }
    }
}

/// Looks at a lane without taking anything, and says how its taker is to be woken.
///
/// Only one thread at a time may say so.
#[derive(Debug, Clone)]
pub struct Lookout {
    lane: Lane,
    /// How far the taker has come, as it says itself: the other side can write to the lane's own word.
    start: Arc<AtomicU64>,
}

impl Lookout {
    /// Whether more packets were sent beside the lane than the first `beside`.
    #[must_use]
    pub fn has_packets(&self, beside: u32) -> bool {
        self.lane.words().put.0.beside.load(Ordering::Acquire) != beside
    }

    /// Whether a record is there.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.lane.words().put.0.end.load(Ordering::Acquire) != self.start.load(Ordering::Relaxed)
    }

    /// From now on somebody looks, or will before it sleeps.
    pub fn begin_looking(&self) {
        self.lane.words().take.0.state.store(LOOKING, Ordering::Relaxed);
    }

    /// From now on nobody looks: the taker is to be called. Look for news after this, before sleeping.
    pub fn fall_asleep(&self) {
        self.lane.words().take.0.state.store(ASLEEP, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// From now on the taker is woken here. Look for news after this, before [`doze`](Self::doze).
    pub fn lie_down(&self) {
        self.lane.words().take.0.state.store(DOZING, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Sleeps until the putter or [`rouse`](Self::rouse) wakes, or `patience` has passed; may return early.
    pub fn doze(&self, patience: Duration) {
        let state = &self.lane.words().take.0.state;
        let patience = patience.min(LONGEST_DOZE);
        let patience = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        match futex::wait(state, futex::Flags::empty(), DOZING, Some(&patience)) {
            // Whoever was not to sleep looks again, whyever.
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
            Err(errno) => log::error!("cannot sleep on a lane: {errno}"),
        }
        self.begin_looking();
    }

    /// Wakes whoever dozes here, whatever the other side has made of `state`. It may have gone meanwhile: what it has
    /// said since stands.
    pub fn rouse(&self) {
        self.lane.rouse();
        wake_all(&self.lane.words().take.0.state);
    }
}

#[cfg(test)]
mod tests;
