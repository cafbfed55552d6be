//! The cursor: one page by which a reader tells the producer how far it is.
//!
//! The reader writes it, the producer reads it, the coordinator creates it and marks it gone when the reader is dead.
//! Each page belongs to one ring and to one life of one reader.

use super::event::Doorbell;
use super::layout::{CURSOR_MAGIC, CursorAbout, CursorPage, CursorPlace, LAYOUT_VERSION};
use super::mapping::Mapping;
use super::pinning::last_of;
use super::ring::RingMemory;
use super::segment::{PAGE_BYTES, Segment, SegmentCreateError, SegmentOpenError};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

/// What a reader wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ReadMode {
    /// Every frame in order; the producer waits for this reader.
    Lossless = 1,
    /// The newest frame; the producer never waits for this reader.
    Latest = 2,
}

/// How far a reader's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CursorState {
    /// The producer has not taken the reader on yet.
    New,
    /// The producer takes the reader into account.
    Joined,
    /// The reader has left, has been removed, or is dead. This is for good.
    Gone,
}

impl CursorState {
    pub(super) fn code(self) -> u32 {
        self as u32
    }

    pub(super) fn from_code(code: u32) -> Self {
        match code {
            0 => Self::New,
            1 => Self::Joined,
            // A code that nobody writes can only come from a reader that is beyond trust.
            _ => Self::Gone,
        }
    }
}

/// Why a cursor could not be opened. Its descriptor is closed again; the cursor is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorOpenError {
    /// The descriptor is no usable segment.
    #[error("cursor: {0}")]
    Segment(#[from] SegmentOpenError),
    /// The segment holds something else; the wrong descriptor was handed over.
    #[error("the segment is not a cursor: it starts with {found:#x}")]
    NotACursor {
        /// Its first eight bytes.
        found: u64,
    },
    /// The cursor was made by another version of labrig.
    #[error("the cursor has layout version {found}, expected {expected}")]
    OtherVersion {
        /// The cursor's version.
        found: u32,
        /// What this program knows.
        expected: u32,
    },
    /// A mode that does not exist.
    #[error("the cursor is damaged: there is no read mode {mode}")]
    Damaged {
        /// What it claims.
        mode: u32,
    },
    /// The cursor belongs to another ring: used with this one it would protect nothing.
    #[error("the cursor belongs to another frame ring")]
    OtherRing,
    /// A reader has mapped the cursor before; its next life needs a new one.
    #[error("the cursor has had a reader before")]
    HasReader,
}

/// A mapped cursor that has been checked.
#[derive(Debug)]
pub(super) struct CursorMap {
    memory: Mapping,
    mode: ReadMode,
}

impl CursorMap {
    /// Maps a cursor of the ring `ring_id`.
    pub(super) fn open(fd: OwnedFd, ring_id: u64) -> Result<Self, CursorOpenError> {
        Self::new(Segment::open_shared(fd, PAGE_BYTES)?.1, ring_id)
    }

    /// Checks what a mapped cursor says about itself.
    pub(super) fn new(memory: Mapping, ring_id: u64) -> Result<Self, CursorOpenError> {
        let about = &memory.view::<CursorPage>(0).about.0;
        let found = about.magic.load(Ordering::Relaxed);
        if found != CURSOR_MAGIC {
            return Err(CursorOpenError::NotACursor { found });
        }
        let found = about.version.load(Ordering::Relaxed);
        if found != LAYOUT_VERSION {
            return Err(CursorOpenError::OtherVersion { found, expected: LAYOUT_VERSION });
        }
        if about.ring_id.load(Ordering::Relaxed) != ring_id {
            return Err(CursorOpenError::OtherRing);
        }
        let mode = about.mode.load(Ordering::Relaxed);
        let mode = [ReadMode::Lossless, ReadMode::Latest]
            .into_iter()
            .find(|known| *known as u32 == mode)
            .ok_or(CursorOpenError::Damaged { mode })?;
        Ok(Self { memory, mode })
    }

    /// Makes the caller the cursor's only reader ever: two would release each other's frames.
    pub(super) fn claim(&self) -> Result<(), CursorOpenError> {
        match self.about().claimed.swap(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(CursorOpenError::HasReader),
        }
    }

    pub(super) fn mode(&self) -> ReadMode {
        self.mode
    }

    pub(super) fn about(&self) -> &CursorAbout {
        &self.memory.view::<CursorPage>(0).about.0
    }

    pub(super) fn place(&self) -> &CursorPlace {
        &self.memory.view::<CursorPage>(0).place.0
    }

    /// Acquire: what the reader did with its frames happened before it left.
    pub(super) fn state(&self) -> CursorState {
        CursorState::from_code(self.place().state.load(Ordering::Acquire))
    }

    /// Ends the reader's part, for good; from now on the producer ignores whatever the cursor says.
    pub(super) fn mark_gone(&self) {
        self.place().state.store(CursorState::Gone.code(), Ordering::Release);
        // Pairs with the fence of a producer that goes to sleep: it sees this state, or the caller sees its flag.
        fence(Ordering::SeqCst);
    }
}

/// What a reader has counted so far. The words are read one after the other, so they may be a frame apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorCounts {
    /// How far the reader's life has come.
    pub state: CursorState,
    /// The first frame it could see: frames below were published before it joined.
    pub start: u64,
    /// It is done with everything below; the frames from here to the ring's head are still before it.
    pub position: u64,
    /// The frame it holds out of order (readers of the latest frame hold all theirs like that); of a stack, the last.
    pub pinned: Option<u64>,
    /// Whether it sleeps.
    pub is_waiting: bool,
    /// Frames handed out.
    pub taken: u64,
    /// Frames passed over in favour of newer ones.
    pub skipped: u64,
    /// Frames that could not be handed out, because the ring's memory was damaged.
    pub damaged: u64,
}

/// The memory of a cursor, in the hands of the coordinator.
#[derive(Debug)]
pub struct CursorMemory {
    segment: Segment,
    map: CursorMap,
}

impl CursorMemory {
    /// Creates a cursor for one reader of `ring`.
    ///
    /// # Errors
    /// - [`SegmentCreateError`]: the system refused the memory.
    pub fn create(ring: &RingMemory, mode: ReadMode) -> Result<Self, SegmentCreateError> {
        let (segment, memory) = Segment::create_shared("labrig-cursor", PAGE_BYTES)?;
        write_cursor(&memory, ring.ring_id(), mode);
        Ok(Self { segment, map: CursorMap { memory, mode } })
    }

    /// The descriptor to hand to the producer and to the reader.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    /// What the reader wants to see.
    #[must_use]
    pub fn mode(&self) -> ReadMode {
        self.map.mode()
    }

    /// Declares the reader gone and rings the producer (`space` is the ring's space doorbell), which then reuses
    /// whatever the reader held. Call it only when the reader's process is *dead*: a living one would see its frame
    /// overwritten.
    pub fn mark_gone(&self, space: &Doorbell) {
        self.map.mark_gone();
        // Whether the producer sleeps is not asked: a ring for nothing is cheap, and deaths are rare.
        space.ring();
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counts(&self) -> CursorCounts {
        let (about, place) = (self.map.about(), self.map.place());
        let pin = place.pin.load(Ordering::Relaxed);
        CursorCounts {
            state: self.map.state(),
            start: about.start.load(Ordering::Relaxed),
            position: place.position.load(Ordering::Acquire),
            pinned: last_of(pin).checked_sub(1),
            is_waiting: place.waiting.load(Ordering::Relaxed) != 0,
            taken: place.taken.load(Ordering::Relaxed),
            skipped: place.skipped.load(Ordering::Relaxed),
            damaged: place.damaged.load(Ordering::Relaxed),
        }
    }
}

/// Describes a fresh cursor in its page.
pub(super) fn write_cursor(memory: &Mapping, ring_id: u64, mode: ReadMode) {
    let about = &memory.view::<CursorPage>(0).about.0;
    about.version.store(LAYOUT_VERSION, Ordering::Relaxed);
    about.mode.store(mode as u32, Ordering::Relaxed);
    about.ring_id.store(ring_id, Ordering::Relaxed);
    about.magic.store(CURSOR_MAGIC, Ordering::Release);
}
