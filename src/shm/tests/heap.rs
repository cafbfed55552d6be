//! Ordinary memory that plays the part of shared memory, so that Miri can watch every access to it.

use super::super::segment::PAGE_BYTES;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Zeroed pages on the heap, shared by the mappings that hold them.
#[derive(Debug)]
pub(in super::super) struct Pages {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: an address range that belongs to no thread; `Mapping` orders the accesses to it.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    pub(in super::super) fn new(bytes: usize) -> Self {
        let layout =
            Layout::from_size_align(bytes, PAGE_BYTES).expect("the size of a ring is far from overflowing");
        // SAFETY: the layout is not of size zero: a ring has at least a header page.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, layout }
    }

    pub(in super::super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; every mapping that points here holds an `Arc` of it.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
