//! Where everything lies in shared memory.
//!
//! ```text
//! ring    | header page | slot words (128 B each) | index (4 B each) | page-aligned pixels of each slot |
//! cursor  | one page, of one reader |
//! ```
//!
//! Every word is an atomic, so that any bytes are a valid value; what a value *means* is checked by who reads it. Words
//! that different processes write lie 128 bytes apart, for processors fetch cache lines in pairs.
//!
//! The *mark* of frame `n` is `n + 1`, so that 0 can mean "none". With [`TAKING`] added it says that the producer is
//! about to take the slot, but may still find it pinned and put the mark back.

use super::segment::PAGE_BYTES;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// `labrigFR` as a number: the first word of a ring.
pub(super) const RING_MAGIC: u64 = u64::from_le_bytes(*b"labrigFR");
/// `labrigCU` as a number: the first word of a cursor.
pub(super) const CURSOR_MAGIC: u64 = u64::from_le_bytes(*b"labrigCU");
/// Raised with every change of this file.
pub(super) const LAYOUT_VERSION: u32 = 5;

/// Added to the mark of a slot whose frame is still there but must not be taken up any more.
pub(super) const TAKING: u64 = 1 << 63;

/// Where the words of the slots begin.
pub(super) const SLOTS_OFFSET: usize = PAGE_BYTES;

/// The most slots a ring may have.
pub(super) const MAX_SLOTS: u32 = 4096;
/// The most bytes a frame may have: 1 TiB, far beyond any memory, and far below any overflow.
pub(super) const MAX_FRAME_BYTES: u64 = 1 << 40;

/// Types that may be seen in memory that other processes change at any time.
///
/// # Safety
/// The type is `repr(C)` and consists of atomics (and of arrays and `Words` of them) throughout.
pub(super) unsafe trait Words {}

// SAFETY: atomics themselves, as the trait asks.
unsafe impl Words for AtomicU32 {}
// SAFETY: as above.
unsafe impl Words for AtomicU64 {}

/// Keeps its content on cache lines of its own.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Apart<T>(pub(super) T);

/// The first page of a ring.
#[derive(Debug)]
#[repr(C)]
pub(super) struct RingHeader {
    pub(super) about: Apart<RingAbout>,
    pub(super) progress: Apart<RingProgress>,
    pub(super) sleep: Apart<RingSleep>,
    pub(super) counters: Apart<RingCounters>,
}

/// Written once, by the coordinator, before anybody else sees the ring (but for `claimed`).
#[derive(Debug)]
#[repr(C)]
pub(super) struct RingAbout {
    pub(super) magic: AtomicU64,
    pub(super) version: AtomicU32,
    pub(super) slots: AtomicU32,
    pub(super) frame_bytes: AtomicU64,
    /// Tells rings apart, so that a cursor is not used with the wrong one.
    pub(super) ring_id: AtomicU64,
    /// 1 as soon as a producer has mapped the ring; it can never have a second one.
    pub(super) claimed: AtomicU32,
}

/// Written by the producer; `ended` also by the coordinator, once the producer is dead.
#[derive(Debug)]
#[repr(C)]
pub(super) struct RingProgress {
    /// How many frames have been published.
    pub(super) head: AtomicU64,
    /// 0 while running, else how it ended.
    pub(super) ended: AtomicU32,
}

/// Written by the producer, read by whoever gives a slot back.
#[derive(Debug)]
#[repr(C)]
pub(super) struct RingSleep {
    /// The number of the producer's present sleep, 0 while it is awake.
    pub(super) producer_waiting: AtomicU64,
    /// Since when it sleeps, 0 while it is awake.
    pub(super) waiting_since_ns: AtomicU64,
}

/// Written by the producer, for whoever wants to know.
#[derive(Debug)]
#[repr(C)]
pub(super) struct RingCounters {
    /// Loans that had to wait for a slot.
    pub(super) waited: AtomicU64,
    /// How long they waited in all.
    pub(super) waited_ns: AtomicU64,
    /// Loans that were refused.
    pub(super) refused: AtomicU64,
}

/// What is known about the frame in one slot. Written by the producer while `mark` is 0.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct SlotWords {
    /// The mark of the frame in the slot, perhaps with `TAKING`; 0 while the slot is being written.
    pub(super) mark: AtomicU64,
    pub(super) width: AtomicU32,
    pub(super) height: AtomicU32,
    pub(super) stride_bytes: AtomicU32,
    pub(super) pixel: AtomicU32,
    /// A floating-point number, as bits.
    pub(super) exposure_us: AtomicU64,
    pub(super) device_time_ns: AtomicU64,
    pub(super) host_time_ns: AtomicU64,
    pub(super) source_index: AtomicU64,
}

/// The page of one reader.
#[derive(Debug)]
#[repr(C)]
pub(super) struct CursorPage {
    pub(super) about: Apart<CursorAbout>,
    pub(super) place: Apart<CursorPlace>,
}

/// Written once, by the coordinator, before anybody else sees the cursor (but for `claimed` and `start`).
#[derive(Debug)]
#[repr(C)]
pub(super) struct CursorAbout {
    pub(super) magic: AtomicU64,
    pub(super) version: AtomicU32,
    pub(super) mode: AtomicU32,
    pub(super) ring_id: AtomicU64,
    /// 1 as soon as a reader has mapped the cursor; it can never have a second one.
    pub(super) claimed: AtomicU32,
    /// The first frame the reader could see. Written by the producer when it takes the reader on.
    pub(super) start: AtomicU64,
}

/// Written by the reader, read by the producer at every loan.
#[derive(Debug)]
#[repr(C)]
pub(super) struct CursorPlace {
    /// New, joined (set by the producer), gone (set by anybody, for good).
    pub(super) state: AtomicU32,
    /// Everything below is released. Written by the producer once, before the reader has joined.
    pub(super) position: AtomicU64,
    /// The mark of the frame that is held whatever the position, 0 for none; of a stack, as `stack` tells.
    pub(super) pin: AtomicU64,
    /// The number of the reader's present sleep, 0 while it is awake.
    pub(super) waiting: AtomicU64,
    /// Frames that were handed out, passed over, or found damaged: together everything from `start` to `position`.
    pub(super) taken: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) damaged: AtomicU64,
}

// SAFETY (all four): `repr(C)`, and atomics throughout.
unsafe impl Words for RingHeader {}
// SAFETY: as above.
unsafe impl Words for SlotWords {}
// SAFETY: as above.
unsafe impl Words for CursorPage {}

const _: () = assert!(size_of::<RingHeader>() <= PAGE_BYTES && size_of::<CursorPage>() <= PAGE_BYTES);
const _: () = assert!(size_of::<SlotWords>() == 128);
// Offsets and lengths of shared memory are 64 bits wide and are used as sizes without further ado.
const _: () = assert!(usize::BITS == 64);

/// An acquiring load that is sound in memory mapped for reading only, where Rust promises no more than relaxed loads.
pub(super) fn acquire_u64(word: &AtomicU64) -> u64 {
    let value = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    value
}

/// The same for 32 bits.
pub(super) fn acquire_u32(word: &AtomicU32) -> u32 {
    let value = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    value
}

/// Adds to a counter that nobody else writes, without the cost of a locked instruction.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// The sizes of a ring, and where its parts lie. A private copy: later changes of the header cannot harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) slots: u32,
    /// The most bytes a frame may have.
    pub(super) frame_bytes: u64,
}

impl Geometry {
    /// Sizes within the limits, or nothing.
    pub(super) fn new(slots: u32, frame_bytes: u64) -> Option<Self> {
        let fits = (2..=MAX_SLOTS).contains(&slots) && (1..=MAX_FRAME_BYTES).contains(&frame_bytes);
        fits.then_some(Self { slots, frame_bytes })
    }

    /// From the start of one slot's pixels to the next.
    fn stride(&self) -> u64 {
        self.frame_bytes.next_multiple_of(PAGE_BYTES as u64)
    }

    pub(super) fn index_offset(&self) -> usize {
        SLOTS_OFFSET + self.slots as usize * size_of::<SlotWords>()
    }

    fn pixels_start(&self) -> usize {
        (self.index_offset() + self.slots as usize * size_of::<AtomicU32>()).next_multiple_of(PAGE_BYTES)
    }

    /// Where the pixels of `slot` begin. The limits keep this far below any overflow.
    pub(super) fn pixels_offset(&self, slot: usize) -> usize {
        self.pixels_start() + slot * self.stride() as usize
    }

    /// How large the whole ring is.
    pub(super) fn total_bytes(&self) -> u64 {
        self.pixels_start() as u64 + u64::from(self.slots) * self.stride()
    }
}
