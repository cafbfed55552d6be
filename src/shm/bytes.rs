//! Bytes in shared memory: written once in place, then read by whoever has them, without a copy.
//!
//! [`ByteLoan`] is memory that nobody else sees yet; [`SharedBytes`] is what becomes of it, here and in every process that
//! it travels to. Who gets them from elsewhere checks seals, size and pages before anything is mapped. What the module
//! says of frames holds here too: the process that made them could still change them if it were hostile, and a value is
//! then other than it was; lengths are private copies.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use super::block::Block;
use super::mapping::Mapping;
use super::pool;
use super::segment::{Segment, SegmentCreateError, SegmentOpenError};
use crate::wire::Buffer;

/// Memory for a value, written in place by this process alone.
#[derive(Debug)]
pub struct ByteLoan {
    block: Block,
    bytes: usize,
}

impl ByteLoan {
    /// Memory for so many bytes, aligned to 64 at least. What it holds at first is left over from other values.
    ///
    /// # Errors
    /// [`SegmentCreateError`], when there is no memory or no descriptor left.
    pub fn new(bytes: usize) -> Result<Self, SegmentCreateError> {
        Ok(Self { block: pool::take(bytes)?, bytes })
    }

    /// The memory.
    pub(super) fn start(&self) -> *mut u8 {
        self.block.span(self.bytes).cast::<u8>().as_ptr()
    }

    /// From now on nobody writes there.
    pub fn share(self) -> SharedBytes {
        let own = Own { block: Some(self.block), shared: OnceLock::new() };
        SharedBytes { memory: Arc::new(Memory::Own(own)), bytes: self.bytes }
    }
}

/// Bytes in shared memory that nobody writes any more, as long as anybody has them. Cheap to clone.
#[derive(Clone)]
pub struct SharedBytes {
    memory: Arc<Memory>,
    bytes: usize,
}

enum Memory {
    /// Made by this process.
    Own(Own),
    /// Made by another, or come through the rig.
    Foreign { memory: Mapping, buffer: Buffer },
}

/// A block of this process; it is used again when nobody has it any more.
struct Own {
    block: Option<Block>,
    /// As others get it, once it has travelled.
    shared: OnceLock<Buffer>,
}

impl SharedBytes {
    /// The first `bytes` of memory that has come from elsewhere, checked and mapped for reading.
    ///
    /// # Errors
    /// [`SegmentOpenError`], when it is no memory, too small, or not sealed; nothing was mapped.
    pub fn open(buffer: Buffer, bytes: usize) -> Result<Self, SegmentOpenError> {
        let memory = Segment::map_sealed(&buffer, bytes)?;
        Ok(Self { memory: Arc::new(Memory::Foreign { memory, buffer }), bytes })
    }

    /// The memory as it travels.
    ///
    /// # Errors
    /// What the system answers when no descriptor is left.
    pub fn buffer(&self) -> Result<Buffer, Errno> {
        let own = match &*self.memory {
            Memory::Foreign { buffer, .. } => return Ok(buffer.clone()),
            Memory::Own(own) => own,
        };
        if let Some(buffer) = own.shared.get() {
            return Ok(buffer.clone());
        }
        let buffer = Buffer::new(own.block().share()?);
        Ok(own.shared.get_or_init(|| buffer).clone())
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn start(&self) -> *const u8 {
        let span = match &*self.memory {
            Memory::Own(own) => own.block().span(self.bytes),
            Memory::Foreign { memory, .. } => memory.span(0, self.bytes),
        };
        span.cast::<u8>().as_ptr().cast_const()
    }
}

impl Own {
    fn block(&self) -> &Block {
        self.block.as_ref().expect("the block is there until it is dropped")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // What was shared first: it counts among those that have the block.
        drop(self.shared.take());
        self.block.take().into_iter().for_each(pool::give_back);
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
