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

mod protocol;
mod shared;
mod words;

use super::layout::LAYOUT_VERSION;
use super::mapping::Mapping;
use super::segment::{Segment, SegmentCreateError, SegmentOpenError};
use protocol::{Putter, Taker, Watcher};
use shared::{PAIR_BYTES, PairWords, ROOM, SharedLane};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// `labrigLN` as a number: the first word of a pair of lanes.
const LANE_MAGIC: u64 = u64::from_le_bytes(*b"labrigLN");

/// The longest record, in bytes. What is longer goes beside the lane.
pub const MAX_RECORD_BYTES: usize = 2048;

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
        self.ends(0, 1)
    }

    /// What the manager needs of it. Only one side may be taken, and once.
    #[must_use]
    pub fn of_manager(&self) -> (LanePutter, LaneTaker) {
        self.ends(1, 0)
    }

    fn ends(&self, out: usize, into: usize) -> (LanePutter, LaneTaker) {
        let lane = |index| SharedLane::new(Arc::clone(&self.memory), index);
        (LanePutter(Putter::new(lane(out))), LaneTaker(Taker::new(lane(into))))
    }
}

/// The end of a lane that puts records in.
#[derive(Debug)]
pub struct LanePutter(Putter<SharedLane>);

impl LanePutter {
    /// Puts a record of at most [`MAX_RECORD_BYTES`] in, behind `beside` packets that were sent beside the lane.
    pub fn put(&mut self, bytes: &[u8], beside: u32) -> Put {
        self.0.put(bytes, beside)
    }

    /// Writes a record, which is there once it is [published](Self::publish); says whether there was room.
    pub fn write(&mut self, bytes: &[u8], beside: u32) -> bool {
        self.0.write(bytes, beside)
    }

    /// All that was written is there from now on; says whether the taker will see it. Never [`Put::Full`].
    pub fn publish(&self) -> Put {
        self.0.publish()
    }

    /// There was no room for so many bytes: from now on the taker says when it has taken everything (see
    /// [`Lookout::awaited_at`]). Says whether there is room after all.
    pub fn wait_for_room(&mut self, bytes: usize) -> bool {
        self.0.wait_for_room(bytes)
    }

    /// So many packets have been sent beside the lane by now.
    pub fn note_beside(&self, count: u32) {
        self.0.note_beside(count);
    }
}

/// The end of a lane that takes records out.
#[derive(Debug)]
pub struct LaneTaker(Taker<SharedLane>);

impl LaneTaker {
    /// Takes the oldest record out, when no more than `beside` packets were sent before it; its bytes are in the
    /// buffer, which holds [`MAX_RECORD_BYTES`].
    ///
    /// # Errors
    /// - [`LaneError`]: the other side is not to be believed any more.
    pub fn take(&mut self, buffer: &mut [u8], beside: u32) -> Result<Taken, LaneError> {
        self.0.take(buffer, beside)
    }

    /// Whether more was there when it was last looked; without a look at what the other side writes.
    #[must_use]
    pub fn knows_more(&self) -> bool {
        self.0.knows_more()
    }

    /// For threads that only look.
    #[must_use]
    pub fn lookout(&self) -> Lookout {
        Lookout(self.0.watcher())
    }
}

/// Looks at a lane without taking anything, and says how its taker is to be woken.
///
/// Only one thread at a time may say so.
#[derive(Debug, Clone)]
pub struct Lookout(Watcher<SharedLane>);

impl Lookout {
    /// Whether more packets were sent beside the lane than the first `beside`.
    #[must_use]
    pub fn has_packets(&self, beside: u32) -> bool {
        self.0.has_packets(beside)
    }

    /// Whether a record is there.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.0.has_records()
    }

    /// How far its taker has come, when that has taken everything and the putter waits for room: it is to be told. Exact
    /// after [`fall_asleep`](Self::fall_asleep), before that it may be overlooked.
    #[must_use]
    pub fn awaited_at(&self) -> Option<u64> {
        self.0.awaited_at()
    }

    /// From now on somebody looks, or will before it sleeps.
    pub fn begin_looking(&self) {
        self.0.begin_looking();
    }

    /// From now on nobody looks: the taker is to be called. Look for news after this, before sleeping.
    pub fn fall_asleep(&self) {
        self.0.fall_asleep();
    }

    /// From now on the taker is woken here. Look for news after this, before [`doze`](Self::doze).
    pub fn lie_down(&self) {
        self.0.lie_down();
    }

    /// Sleeps until the putter or [`rouse`](Self::rouse) wakes, or `patience` has passed; may return early, and does
    /// after a second, for the other side can write to the word that is slept on.
    pub fn doze(&self, patience: Duration) {
        self.0.doze(patience);
    }

    /// Wakes whoever dozes here, whatever the other side has made of `state`. It may have gone meanwhile: what it has
    /// said since stands.
    pub fn rouse(&self) {
        self.0.rouse();
    }
}

#[cfg(test)]
mod tests;
