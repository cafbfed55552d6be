//! Memory that two processes share, and the only home of `unsafe` among the contestants.
//!
//! Owns one mapping of a memfd that is as long as it was made. Words are only ever seen as atomics. Bytes are
//! given out as slices: whoever asks for them keeps to a protocol by which one process writes and the other reads
//! after it was told, as the contestants do that pass the number of a frame.

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// One mapped range, its pages present.
pub struct Shared {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping belongs to no thread; its words are atomics, its bytes are lent as a `Vec` lends its own.
unsafe impl Send for Shared {}

impl Shared {
    /// New memory, and the descriptor by which another process maps it.
    pub fn create(bytes: usize) -> (Self, OwnedFd) {
        let file = memfd_create("contest", MemfdFlags::CLOEXEC).expect("memory can be had");
        ftruncate(&file, bytes as u64).expect("memory can be sized");
        (Self::of(&file), file)
    }

    /// Maps what another process has made.
    pub fn of(file: &impl AsFd) -> Self {
        let bytes = usize::try_from(fstat(file).expect("memory has a size").st_size).expect("and fits");
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choosing overlaps nothing. The file is as long as was
        // just read, and neither process ever shortens it.
        let start =
            unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags, file, 0) };
        let start =
            NonNull::new(start.expect("memory can be mapped").cast()).expect("a mapping is somewhere");
        Self { start, bytes }
    }

    /// All of it in words of eight bytes.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped and page-aligned while `self` lives; any bytes are an atomic, whoever changes them.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.bytes / 8) }
    }

    /// All of it in words of four bytes. No word is used as part of one of eight.
    pub fn half_words(&self) -> &[AtomicU32] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.bytes / 4) }
    }

    /// A range to read, which the other process has finished to write.
    pub fn read(&self, from: usize, bytes: usize) -> &[u8] {
        self.check(from, bytes);
        // SAFETY: inside the mapping; the caller's protocol keeps the writer away while this is looked at.
        unsafe { slice::from_raw_parts(self.start.as_ptr().add(from), bytes) }
    }

    /// A range to write, which the other process does not look at until it is told.
    pub fn write(&mut self, from: usize, bytes: usize) -> &mut [u8] {
        self.check(from, bytes);
        // SAFETY: inside the mapping; the caller's protocol keeps the reader away while this is written.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().add(from), bytes) }
    }

    fn check(&self, from: usize, bytes: usize) {
        let is_inside = from.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        assert!(is_inside, "{bytes} bytes from {from} leave a mapping of {}", self.bytes);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`; every slice of it borrows from `self`, so none is left. It can only fail when the
        // range is not mapped any more, and then there is nothing to do.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
