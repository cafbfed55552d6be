//! What has arrived for the worker: commands, and words of the coordinator, in order.
//!
//! The worker takes as much at a time as there is, so that what comes in quick succession is looked for, locked and woken
//! for once. Memory of what it has done with is used again.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::registry::Incoming;
use crate::wire::{Envelope, Header, Kind, MAX_ENVELOPE_BYTES};

/// The most that the worker takes at a time.
pub(super) const TURN: usize = 64;

/// The largest memory of a payload that is kept, in bytes.
const LARGEST_SPARE: usize = 4096;

/// Something for the worker: a command, or a word of the coordinator.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    /// In as little room as can be: most often there are none.
    pub(super) descriptors: Box<[OwnedFd]>,
}

/// See the module's words.
pub(super) struct Inbox {
    /// Older than whatever others have filed for the worker.
    arrived: VecDeque<Arrived>,
    spare: Vec<Vec<u8>>,
    /// Whether nobody waits for an answer to what was done last.
    was_one_way: bool,
    /// For whatever comes next.
    pub(super) buffer: Vec<u8>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            arrived: VecDeque::new(),
            spare: Vec::new(),
            was_one_way: false,
            buffer: vec![0; MAX_ENVELOPE_BYTES + 1],
        }
    }

    /// The oldest.
    pub(super) fn front(&self) -> Option<&Arrived> {
        self.arrived.front()
    }

    /// Takes the oldest out.
    pub(super) fn pop(&mut self) -> Option<Arrived> {
        self.arrived.pop_front()
    }

    /// Whether nobody waits for an answer to what was done last: then there may be a flood of it.
    pub(super) fn was_one_way(&self) -> bool {
        self.was_one_way
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }

    /// Whether as much is there as the worker takes at a time.
    pub(super) fn is_full(&self) -> bool {
        self.arrived.len() >= TURN
    }

    /// Takes over what others have filed, when there is nothing older here.
    pub(super) fn take_over(&mut self, filed: &mut VecDeque<Arrived>) {
        if self.arrived.is_empty() {
            std::mem::swap(&mut self.arrived, filed);
        }
    }

    /// Puts something in.
    #[inline]
    pub(super) fn push(&mut self, envelope: Envelope<'_>, descriptors: Vec<OwnedFd>) {
        let mut payload = self.spare.pop().unwrap_or_default();
        payload.extend_from_slice(envelope.payload);
        self.arrived.push_back(Arrived::new(envelope.header, payload, descriptors));
    }

    /// The worker has done with the oldest.
    pub(super) fn drop_front(&mut self) {
        let Some(arrived) = self.arrived.pop_front() else { return };
        self.was_one_way = arrived.header.kind == Kind::Send;
        let mut payload = arrived.payload;
        if self.spare.len() < TURN && payload.capacity() <= LARGEST_SPARE {
            payload.clear();
            self.spare.push(payload);
        }
    }
}

impl Arrived {
    #[inline]
    fn new(header: Header, payload: Vec<u8>, descriptors: Vec<OwnedFd>) -> Self {
        Self { header, payload, descriptors: descriptors.into_boxed_slice() }
    }

    /// The command, for its handler.
    pub(super) fn incoming(&self) -> Incoming<'_> {
        Incoming::of(&self.header, &self.payload)
    }

    /// Something for the worker that another thread has taken from the line.
    pub(super) fn of(envelope: Envelope<'_>, descriptors: Vec<OwnedFd>) -> Self {
        Self::new(envelope.header, envelope.payload.to_vec(), descriptors)
    }
}
