//! Ordinary memory that plays the part of shared memory, so that Miri can watch every access to it.

use super::super::cursor::{CursorMap, ReadMode, write_cursor};
use super::super::layout::Geometry;
use super::super::mapping::Mapping;
use super::super::ring::write_header;
use super::super::ring_map::RingMap;
use super::super::segment::PAGE_BYTES;
use super::super::{Doorbell, Producer, Reader};
use super::{again, bell};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

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
    fn new(bytes: usize) -> Arc<Self> {
        let layout =
            Layout::from_size_align(bytes, PAGE_BYTES).expect("rings are far smaller than the address space");
        // SAFETY: the layout is not of size zero: even a ring without slots has a header page.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Arc::new(Self { start, layout })
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

/// A ring on the heap.
pub(super) struct HeapRing {
    pages: Arc<Pages>,
    space: Doorbell,
}

impl HeapRing {
    const RING_ID: u64 = 7;

    pub(super) fn new(slots: u32, frame_bytes: u64) -> Self {
        let geometry = Geometry::new(slots, frame_bytes).expect("the test asks for a possible ring");
        let pages = Pages::new(usize::try_from(geometry.total_bytes()).expect("64 bits"));
        write_header(&Mapping::of_heap(Arc::clone(&pages)), geometry, Self::RING_ID);
        Self { pages, space: bell() }
    }

    /// A look at the ring's memory, also to damage it.
    pub(super) fn map(&self) -> RingMap {
        RingMap::new(Mapping::of_heap(Arc::clone(&self.pages))).expect("the header is whole")
    }

    pub(super) fn producer(&self) -> Producer {
        let map = self.map();
        map.claim().expect("this is the first producer");
        Producer::over(map, again(&self.space)).expect("an eventfd can be made")
    }

    /// A reader that has joined, and a second look at its cursor.
    pub(super) fn reader(&self, producer: &Producer, mode: ReadMode) -> (Reader, CursorMap) {
        let page = Pages::new(PAGE_BYTES);
        write_cursor(&Mapping::of_heap(Arc::clone(&page)), Self::RING_ID, mode);
        let cursor =
            || CursorMap::new(Mapping::of_heap(Arc::clone(&page)), Self::RING_ID).expect("a fresh cursor");
        let data = bell();
        producer.readers().seat(cursor(), again(&data)).expect("there is room for the reader");
        let reader =
            Reader::over(self.map(), cursor(), data, again(&self.space)).expect("the cursor is free");
        (reader, cursor())
    }
}
