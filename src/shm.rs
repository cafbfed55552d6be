//! Memory shared between the processes of one rig, and the only home of `unsafe`.
//!
//! Owns: sealed memory segments, the bells that wake sleepers, the frame ring with its cursors, the status page, the page
//! of a manager's signals and of the objects that it shares, and the buffers in which lists of numbers travel.
//! A ring has one [`Producer`] and many [`Reader`]s, each usually in a process of its own. The coordinator creates
//! every segment ([`RingMemory`], [`CursorMemory`], [`StatusPage`]) and hands the descriptors over; how they travel is
//! the business of `transport`.
//!
//! Promises: nothing here blocks unless its name or its doc says so; loaning, publishing and taking a frame allocate
//! nothing and make no system call unless somebody sleeps; a descriptor that is wrong, truncated or unsealed is a
//! typed error before anything is mapped, never a SIGBUS.
//!
//! What is found in shared memory is never trusted: every slot number, length and format read from it is checked
//! against what was measured when the memory was mapped, so that a crashed or lying peer yields an error or a frame
//! that is skipped and counted. What remains: a *hostile* producer can still change the bytes under a frame that a
//! reader holds, and a reader that is declared dead while it lives can see its frame overwritten
//! ([`Frame::is_whole`] tells). Both harm bytes only; lengths, formats and addresses are private copies.
//!
//! Refuses: to name anything in the file system, to spawn, to send descriptors, to know what a frame shows.

#![deny(unsafe_op_in_unsafe_fn)]

mod block;
mod bytes;
mod cancels;
mod clock;
mod counters;
mod cursor;
mod dataset;
mod element;
mod event;
mod frame;
mod lane;
mod latch;
mod layout;
mod list;
mod mapping;
mod packing;
mod pinning;
mod pool;
mod prefetch;
mod producer;
mod reader;
mod reader_list;
mod ring;
mod ring_map;
mod rows;
mod segment;
mod shared;
mod signal_page;
mod signal_wait;
mod slot;
mod stack;
mod status_page;
mod table;
mod value;
mod wait;

#[cfg(test)]
mod tests;

pub use bytes::{ByteLoan, SharedBytes};
pub use clock::{monotonic_ns, monotonic_ns_of};
pub use counters::{Counter, Counters};
pub use cursor::{CursorCounts, CursorMemory, CursorOpenError, CursorState, ReadMode};
pub use dataset::{AppendDataset, DatasetFull, DatasetHead, DatasetState};
pub use element::{Complex, Element};
pub use event::{Doorbell, DoorbellError};
pub use frame::{FormatError, Frame, FrameFormat, FrameMeta, PixelType};
pub use lane::{
    LaneError, LaneOpenError, LanePair, LanePutter, LaneTaker, Lookout, MAX_RECORD_BYTES, Put, Taken,
};
pub use latch::{Snapshot, TakeError};
pub(crate) use list::fields;
pub use list::{Loan, Piece, Shared};
pub(crate) use packing::{Packing, Tally};
pub use producer::{Interrupter, LoanError, Producer};
pub use reader::{Reader, Wake};
pub use reader_list::{AddReaderError, ReaderId, ReaderList};
pub use ring::{RingCounts, RingCreateError, RingMemory, minimum_slots};
pub use ring_map::{RingEnd, RingOpenError};
pub use rows::{OutOfOrder, RowRing, Span};
pub use segment::{Segment, SegmentCreateError, SegmentOpenError, SegmentSealError};
pub use shared::{SharedObject, SharedPlace, region_words};
pub use signal_page::{
    SetWriter, SignalMemory, SignalPage, SignalPageError, SignalWriter, Standing, set_words,
};
pub use signal_wait::Roused;
pub use slot::{Capture, FrameSlot};
pub use stack::{Stack, StackError};
pub use status_page::{Activity, StatusPage, StatusPageError, Urgent};
pub use table::{Entry, Occupancy, Scan, TableFull, VersionedTable};
pub use value::{LatestValue, ValueError};
pub use wait::{SPIN_LIMIT, WaitError, look_for_a_moment};
