//! A ring as one process sees it: its words and its pixels, found by number.
//!
//! Opening a ring checks everything that later accesses rely on, and keeps a private copy of the sizes.

use super::cursor::CursorOpenError;
use super::event::DoorbellError;
use super::layout::{
    Geometry, LAYOUT_VERSION, RING_MAGIC, RingCounters, RingHeader, RingProgress, RingSleep, SLOTS_OFFSET,
    SlotWords, acquire_u32, acquire_u64,
};
use super::mapping::Mapping;
use super::segment::{PAGE_BYTES, Segment, SegmentOpenError};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Why a ring could not be opened. Its descriptor is closed again; the ring is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingOpenError {
    /// The descriptor is no usable segment.
    #[error("frame ring: {0}")]
    Segment(#[from] SegmentOpenError),
    /// The segment holds something else; the wrong descriptor was handed over.
    #[error("the segment is not a frame ring: it starts with {found:#x}")]
    NotARing {
        /// Its first eight bytes.
        found: u64,
    },
    /// The ring was made by another version of labrig.
    #[error("the frame ring has layout version {found}, expected {expected}")]
    OtherVersion {
        /// The ring's version.
        found: u32,
        /// What this program knows.
        expected: u32,
    },
    /// The header contradicts itself.
    #[error("the header of the frame ring is damaged: {slots} slots of {frame_bytes} bytes in {found} bytes")]
    DamagedHeader {
        /// How many slots it claims.
        slots: u32,
        /// How many bytes a frame may have, so it claims.
        frame_bytes: u64,
        /// How large the segment is.
        found: u64,
    },
    /// A producer has mapped the ring before; its next life needs a new ring.
    #[error("the frame ring has had a producer before")]
    HasProducer,
    /// The cursor handed over with the ring is not usable.
    #[error("frame ring: {0}")]
    Cursor(#[from] CursorOpenError),
    /// A doorbell that the ring needs could not be made.
    #[error("frame ring: {0}")]
    Doorbell(#[from] DoorbellError),
}

/// How a ring came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingEnd {
    /// The producer said that there is no more to come.
    Finished,
    /// The producer died; the coordinator ended the ring in its place.
    ProducerLost,
}

impl RingEnd {
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Finished => 1,
            Self::ProducerLost => 2,
        }
    }

    pub(super) fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::Finished),
            // A code that nobody writes can only come from a producer that is beyond trust.
            _ => Some(Self::ProducerLost),
        }
    }
}

/// A mapped ring whose sizes have been checked.
#[derive(Debug)]
pub(super) struct RingMap {
    memory: Mapping,
    geometry: Geometry,
    ring_id: u64,
}

impl RingMap {
    /// Maps a ring as its one producer.
    pub(super) fn open_writable(fd: OwnedFd) -> Result<Self, RingOpenError> {
        let segment = Segment::open(fd, PAGE_BYTES as u64)?;
        let ring = Self::new(segment.map_writable(segment.bytes())?)?;
        ring.claim()?;
        Ok(ring)
    }

    /// Maps a ring as one of its readers.
    pub(super) fn open_read_only(fd: OwnedFd) -> Result<Self, RingOpenError> {
        Self::new(Segment::open(fd, PAGE_BYTES as u64)?.map_read_only()?)
    }

    /// Checks the header of a mapped ring against the size of the mapping.
    pub(super) fn new(memory: Mapping) -> Result<Self, RingOpenError> {
        let about = &memory.view::<RingHeader>(0).about.0;
        let found = about.magic.load(Ordering::Relaxed);
        if found != RING_MAGIC {
            return Err(RingOpenError::NotARing { found });
        }
        let found = about.version.load(Ordering::Relaxed);
        if found != LAYOUT_VERSION {
            return Err(RingOpenError::OtherVersion { found, expected: LAYOUT_VERSION });
        }
        let (slots, frame_bytes) =
            (about.slots.load(Ordering::Relaxed), about.frame_bytes.load(Ordering::Relaxed));
        let found = memory.bytes() as u64;
        let geometry = Geometry::new(slots, frame_bytes)
            .filter(|geometry| geometry.total_bytes() == found)
            .ok_or(RingOpenError::DamagedHeader { slots, frame_bytes, found })?;
        let ring_id = about.ring_id.load(Ordering::Relaxed);
        Ok(Self { memory, geometry, ring_id })
    }

    /// Makes the caller the ring's only producer ever: two would hand out the same slot twice.
    pub(super) fn claim(&self) -> Result<(), RingOpenError> {
        match self.header().about.0.claimed.swap(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(RingOpenError::HasProducer),
        }
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(super) fn ring_id(&self) -> u64 {
        self.ring_id
    }

    pub(super) fn progress(&self) -> &RingProgress {
        &self.header().progress.0
    }

    pub(super) fn sleep(&self) -> &RingSleep {
        &self.header().sleep.0
    }

    pub(super) fn counters(&self) -> &RingCounters {
        &self.header().counters.0
    }

    fn header(&self) -> &RingHeader {
        self.memory.view(0)
    }

    /// How many frames have been published. Everything written before their publication is visible afterwards.
    pub(super) fn head(&self) -> u64 {
        acquire_u64(&self.progress().head)
    }

    /// How the ring ended, if it has.
    pub(super) fn ending(&self) -> Option<RingEnd> {
        RingEnd::from_code(acquire_u32(&self.progress().ended))
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.geometry.slots as usize
    }

    /// The words of a slot; `slot` is less than [`RingMap::slots`].
    pub(super) fn slot(&self, slot: usize) -> &SlotWords {
        &self.memory.views(SLOTS_OFFSET, self.slots())[slot]
    }

    /// Where the index says, or will say, which slot the frame `sequence` lies in.
    pub(super) fn index(&self, sequence: u64) -> &AtomicU32 {
        let entry = sequence % u64::from(self.geometry.slots);
        &self.memory.views(self.geometry.index_offset(), self.slots())[entry as usize]
    }

    /// The slot in which the index says that `sequence` lies, if there is such a slot.
    pub(super) fn find(&self, sequence: u64) -> Option<usize> {
        let slot = self.index(sequence).load(Ordering::Relaxed) as usize;
        (slot < self.slots()).then_some(slot)
    }

    /// The first `bytes` bytes of the pixels of a slot; at most what a frame may have.
    pub(super) fn pixels(&self, slot: usize, bytes: u64) -> NonNull<[u8]> {
        assert!(slot < self.slots() && bytes <= self.geometry.frame_bytes, "pixels outside of their slot");
        self.memory.span(self.geometry.pixels_offset(slot), bytes as usize)
    }
}
