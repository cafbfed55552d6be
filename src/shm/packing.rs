//! Lists side by side in one buffer: many of them, or many small ones, take one descriptor on their way.

use super::element::Element;
use super::list::{LEAST_SHARED, Loan, Shared};
use super::segment::SegmentCreateError;

/// Where each list begins, in bytes; good for every processor's widest loads.
const ALIGNMENT: usize = 64;

/// Memory into which lists are copied, one behind the other.
#[derive(Debug)]
pub(crate) struct Packing {
    memory: Loan<u8>,
    used: usize,
}

/// What a list takes.
fn room_for<T: Element>(list: &Shared<T>) -> usize {
    size_of_val(&**list).next_multiple_of(ALIGNMENT)
}

/// How lists travel when each goes on its own.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many travel as buffers that are there already.
    pub(crate) in_memory: usize,
    /// How many are copied into a buffer each.
    pub(crate) copied: usize,
    /// How many bytes of the others go into the envelope.
    pub(crate) inline_bytes: usize,
    /// What those that are not in shared memory yet take in a packing.
    pub(crate) room: usize,
    /// The same of those that are.
    pub(crate) room_in_memory: usize,
}

impl Tally {
    /// Counts a list in.
    pub(crate) fn count<T: Element>(&mut self, list: &Shared<T>) {
        if list.is_large_in_memory() {
            self.in_memory += 1;
            self.room_in_memory += room_for(list);
            return;
        }
        self.room += room_for(list);
        match size_of_val(&**list) {
            bytes @ ..LEAST_SHARED => self.inline_bytes += bytes,
            _ => self.copied += 1,
        }
    }

    /// Whether the lists would take more than so many buffers, or too much of the envelope.
    pub(crate) fn is_to_be_packed(&self, most_buffers: usize) -> bool {
        self.in_memory + self.copied > most_buffers || self.inline_bytes >= LEAST_SHARED
    }
}

impl<T: Element> Shared<T> {
    /// Whether it lies in shared memory already and is large enough to travel there.
    pub(crate) fn is_large_in_memory(&self) -> bool {
        self.is_in_shared_memory() && size_of_val(&**self) >= LEAST_SHARED
    }
}

impl Packing {
    /// Memory for so many bytes of lists.
    ///
    /// # Errors
    /// [`SegmentCreateError`], when there is no memory or no descriptor left.
    pub(crate) fn new(bytes: usize) -> Result<Self, SegmentCreateError> {
        Ok(Self { memory: Loan::new(bytes)?, used: 0 })
    }

    /// Copies a list to the end; says where it begins.
    pub(crate) fn put<T: Element>(&mut self, list: &Shared<T>) -> usize {
        let (start, bytes) = (self.used, size_of_val(&**list));
        let to = &mut self.memory[start..start + bytes];
        // SAFETY: the list is as many bytes long, and has no padding among them (`Element`). It lies elsewhere: nobody
        // else has the memory of a loan.
        unsafe { std::ptr::copy_nonoverlapping(list.as_ptr().cast::<u8>(), to.as_mut_ptr(), bytes) };
        self.used += room_for(list);
        start
    }

    /// From now on nobody writes there.
    pub(crate) fn share(self) -> Shared<u8> {
        self.memory.share()
    }
}
