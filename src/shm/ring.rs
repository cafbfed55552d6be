//! The frame ring as the coordinator sees it: it creates, seals, counts, and speaks for the dead.
//!
//! # How a ring works
//! One producer, many readers, and nobody takes a lock that another process could die with. The producer may fill *any*
//! slot that is free; a slot is free when it does not hold the newest frame, no lossless reader has its frame before it
//! ([`ReadMode::Lossless`] readers hold everything from their position on), and no reader has it pinned. To publish it
//! writes the slot into the index, then the slot's mark, then the number of published frames (the head).
//!
//! A reader that wants the newest frame *pins* it: it writes the frame's mark into its cursor and then looks whether
//! the slot still carries that mark. The producer does the mirror image: it changes the mark of the slot and then
//! looks for pins. A full fence on both sides, between the writing and the looking, makes sure that at least one of
//! them sees the other. When the producer sees a pin it puts the mark back and takes another slot; when the reader
//! finds the mark changed it takes the newer frame, which must exist, for the newest is never taken away.
//!
//! Sleeping works the same way: the sleeper raises its flag, fences and looks again; the waker changes its word, fences
//! and looks at the flag. A flag is the *number* of a sleep, raised and lowered by the sleeper alone: a waker that
//! lowered it could lower the flag of the next sleep. The waker remembers the number it rang for and rings once per
//! sleep.
//!
//! With `readers + 2` slots ([`minimum_slots`]) there is always a free slot unless a lossless reader lags behind: one
//! pin per reader, the newest frame, and one to fill. So readers of the latest frame never hold the producer back. A
//! stack ([`Reader::stack`](super::Reader::stack)) pins as many frames as it has, and needs as many slots.

#[cfg(doc)]
use super::cursor::ReadMode;
use super::event::Doorbell;
use super::layout::{Geometry, LAYOUT_VERSION, MAX_FRAME_BYTES, MAX_SLOTS, RING_MAGIC, RingHeader};
use super::mapping::Mapping;
use super::ring_map::RingEnd;
use super::segment::{PAGE_BYTES, Segment, SegmentCreateError, SegmentOpenError, SegmentSealError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

/// How many slots a ring needs so that this many readers can each hold a frame while the next one is being written.
#[must_use]
pub const fn minimum_slots(readers: u32) -> u32 {
    readers.saturating_add(2)
}

/// Why a ring could not be created. Nothing is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingCreateError {
    /// Too few slots to publish at all, or more than a ring can have.
    #[error("a frame ring of {slots} slots is impossible, expected {least} to {most}")]
    BadSlots {
        /// What was asked for.
        slots: u32,
        /// What one reader needs.
        least: u32,
        /// The most a ring can have.
        most: u32,
    },
    /// Frames of no bytes, or beyond any memory.
    #[error("frames of at most {bytes} bytes are impossible, expected 1 to {most}")]
    BadFrameSize {
        /// What was asked for.
        bytes: u64,
        /// The most a frame can have.
        most: u64,
    },
    /// The memory was refused.
    #[error("frame ring: {0}")]
    Create(#[from] SegmentCreateError),
    /// The memory was created but could not be mapped.
    #[error("frame ring: {0}")]
    Map(#[from] SegmentOpenError),
}

/// What a ring has counted so far. The words are read one after the other, so they may be a frame apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingCounts {
    /// Frames published.
    pub published: u64,
    /// Loans that had to wait for a slot, because lossless readers lagged behind.
    pub loans_waited: u64,
    /// How long they waited in all, in nanoseconds; a wait that is still going on is not yet in it.
    pub waited_ns: u64,
    /// Since when the producer waits for a slot, in nanoseconds of [`super::monotonic_ns`].
    pub waiting_since_ns: Option<u64>,
    /// Loans that were refused: too large, or no slot in time.
    pub refused: u64,
    /// How the ring ended, if it has.
    pub ended: Option<RingEnd>,
}

/// The memory of a ring, in the hands of the coordinator.
#[derive(Debug)]
pub struct RingMemory {
    segment: Segment,
    header: Mapping,
    geometry: Geometry,
    ring_id: u64,
}

impl RingMemory {
    /// Creates a ring of `slots` frames of at most `max_frame_bytes` bytes each; all its memory exists at once.
    ///
    /// # Errors
    /// - [`RingCreateError::BadSlots`], [`RingCreateError::BadFrameSize`]: sizes that make no sense.
    /// - [`RingCreateError::Create`], [`RingCreateError::Map`]: the system refused the memory.
    pub fn create(slots: u32, max_frame_bytes: u64) -> Result<Self, RingCreateError> {
        let (least, most) = (minimum_slots(1), MAX_SLOTS);
        if !(least..=most).contains(&slots) {
            return Err(RingCreateError::BadSlots { slots, least, most });
        }
        let geometry = Geometry::new(slots, max_frame_bytes)
            .ok_or(RingCreateError::BadFrameSize { bytes: max_frame_bytes, most: MAX_FRAME_BYTES })?;
        let segment = Segment::create("labrig-ring", geometry.total_bytes())?;
        // This mapping outlives the seal against new writers: the coordinator keeps it to end the ring of a dead
        // producer. It covers the header alone.
        let header = segment.map_writable(PAGE_BYTES)?;
        let ring_id = RandomState::new().build_hasher().finish();
        write_header(&header, geometry, ring_id);
        Ok(Self { segment, header, geometry, ring_id })
    }

    /// The descriptor to hand to the producer, and to the readers once [`RingMemory::seal`] has been called.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    /// Closes the ring to further writers. Call it when the producer has mapped it and before any reader gets it;
    /// readers refuse a ring that is not sealed.
    ///
    /// # Errors
    /// - [`SegmentSealError::Refused`]: somebody else has sealed it for good.
    pub fn seal(&self) -> Result<(), SegmentSealError> {
        self.segment.seal_future_writes()
    }

    /// How many readers the ring can have.
    #[must_use]
    pub fn max_readers(&self) -> u32 {
        self.geometry.slots - minimum_slots(0)
    }

    /// How many bytes a frame may have.
    #[must_use]
    pub fn max_frame_bytes(&self) -> u64 {
        self.geometry.frame_bytes
    }

    /// Ends the ring in place of a producer that is dead, so that its readers drain what it has published and then
    /// see the end. `bells` are the data doorbells of all readers. A ring that has ended already stays as it is.
    pub fn mark_producer_lost<'a>(&self, bells: impl IntoIterator<Item = &'a Doorbell>) {
        let (lost, relaxed) = (RingEnd::ProducerLost.code(), Ordering::Relaxed);
        let ended = &self.words().progress.0.ended;
        // Release: whoever sees the end also sees every frame that the coordinator has seen published.
        let _ = ended.compare_exchange(0, lost, Ordering::AcqRel, relaxed);
        bells.into_iter().for_each(Doorbell::ring);
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counts(&self) -> RingCounts {
        let RingHeader { progress, sleep, counters, .. } = self.words();
        let since = sleep.0.waiting_since_ns.load(Ordering::Relaxed);
        RingCounts {
            published: progress.0.head.load(Ordering::Acquire),
            loans_waited: counters.0.waited.load(Ordering::Relaxed),
            waited_ns: counters.0.waited_ns.load(Ordering::Relaxed),
            waiting_since_ns: (since != 0).then_some(since),
            refused: counters.0.refused.load(Ordering::Relaxed),
            ended: RingEnd::from_code(progress.0.ended.load(Ordering::Acquire)),
        }
    }

    pub(super) fn ring_id(&self) -> u64 {
        self.ring_id
    }

    fn words(&self) -> &RingHeader {
        self.header.view(0)
    }
}

/// Describes a fresh ring in its first page.
pub(super) fn write_header(header: &Mapping, geometry: Geometry, ring_id: u64) {
    let about = &header.view::<RingHeader>(0).about.0;
    about.version.store(LAYOUT_VERSION, Ordering::Relaxed);
    about.slots.store(geometry.slots, Ordering::Relaxed);
    about.frame_bytes.store(geometry.frame_bytes, Ordering::Relaxed);
    about.ring_id.store(ring_id, Ordering::Relaxed);
    about.magic.store(RING_MAGIC, Ordering::Release);
}
