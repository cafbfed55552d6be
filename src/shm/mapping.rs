//! Raw shared memory, reached through checked views.
//!
//! Owns the address range of one mapping and gives it back when dropped. Promises that a view never leaves the
//! mapping and is always aligned. Words that several processes use are only ever seen as atomics; the bytes of frames
//! are given out as a bare range, and whoever turns that range into a slice answers for it.

use super::layout::Words;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

/// What a mapping may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    ReadWrite,
}

/// One mapped range of shared memory.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    #[cfg(test)]
    heap: Option<std::sync::Arc<super::tests::heap::Pages>>,
}

// SAFETY: a mapping is an address range that belongs to no thread. Its words are reached as atomics only, and its
// frame bytes only through the unsafe blocks of `slot` and `reader`, which name the protocol that orders them.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `bytes` of `fd`, shared, with all its pages present.
    ///
    /// The caller has proved that the file is at least that long and can never shrink.
    pub(super) fn of(fd: BorrowedFd<'_>, bytes: usize, access: Access) -> Result<Self, Errno> {
        // The first touch of a fresh page costs a fault: 6.5 ms for 8 MiB, against 1.1 ms for touching warm ones.
        Self::with(fd, bytes, access, MapFlags::SHARED | MapFlags::POPULATE)
    }

    /// As [`of`](Self::of), but each page costs a fault when it is touched first, and takes no time and counts as nobody's
    /// memory before: for some few pages, of which most may never be used.
    pub(super) fn by_and_by(fd: BorrowedFd<'_>, bytes: usize, access: Access) -> Result<Self, Errno> {
        Self::with(fd, bytes, access, MapFlags::SHARED)
    }

    fn with(fd: BorrowedFd<'_>, bytes: usize, access: Access, flags: MapFlags) -> Result<Self, Errno> {
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a new mapping at an address of the kernel's choosing overlaps nothing that exists.
        let address = unsafe { mmap(ptr::null_mut(), bytes, protection, flags, fd, 0) }?;
        let start = NonNull::new(address.cast()).ok_or(Errno::FAULT)?;
        Ok(Self {
            start,
            bytes,
            #[cfg(test)]
            heap: None,
        })
    }

    /// A mapping of ordinary memory, for tests that run where files cannot be mapped (Miri).
    #[cfg(test)]
    pub(super) fn of_heap(pages: std::sync::Arc<super::tests::heap::Pages>) -> Self {
        Self { start: pages.start(), bytes: pages.bytes(), heap: Some(pages) }
    }

    /// How many bytes are mapped.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The words at `offset`.
    pub(super) fn view<T: Words>(&self, offset: usize) -> &T {
        &self.views::<T>(offset, 1)[0]
    }

    /// `count` times the same words, from `offset` on.
    pub(super) fn views<T: Words>(&self, offset: usize, count: usize) -> &[T] {
        let start = self.range::<T>(offset, count);
        // SAFETY: `range` proved that the range is mapped and aligned, and it stays mapped while `self` lives. `Words`
        // are atomics throughout, so that any bytes are valid and other processes may change them at any time.
        unsafe { std::slice::from_raw_parts(start.as_ptr().cast_const(), count) }
    }

    /// A bare range of bytes inside the mapping. Reading or writing it is up to the caller's protocol.
    pub(super) fn span(&self, offset: usize, bytes: usize) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.range::<u8>(offset, bytes), bytes)
    }

    /// The start of `count` values of `T` at `offset`, proved to lie inside the mapping and to be aligned.
    fn range<T>(&self, offset: usize, count: usize) -> NonNull<T> {
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        // Offsets come from a `Geometry` that was checked against the mapped size: a failure is a mistake in `shm`.
        assert!(end.is_some_and(|end| end <= self.bytes), "a view leaves its mapping");
        assert!(offset.is_multiple_of(align_of::<T>()), "a view is not aligned");
        // SAFETY: the range was just proved to lie inside the mapping, which starts on a page.
        unsafe { self.start.add(offset).cast() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.heap.is_some() {
            return;
        }
        // SAFETY: the range was mapped by `of`, and every view into it borrows from `self`, so none is left.
        // A failure can only mean that the range is not mapped any more, so there is nothing to do about it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
