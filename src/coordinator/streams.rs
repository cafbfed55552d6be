//! The streams of a rig: their memory, who fills it and who reads it.
//!
//! The coordinator makes a ring and its cursors, hands the ring to the producer, seals it once the producer
//! has mapped it, and only then hands it to the readers.

use std::os::fd::{AsFd, BorrowedFd};

use super::blueprint::{ReaderBlueprint, StreamBlueprint};
use super::launch_error::LaunchError;
use super::status::{ReaderStatus, StreamStatus};
use crate::remote::{StreamError, StreamParts};
use crate::shm::{CursorMemory, CursorState, Doorbell, ReadMode, RingMemory};
use crate::transport::{Pipe, PipeError};
use crate::wire::control::{self, CoordinatorWord};

/// One stream's memory and bells.
pub(crate) struct Stream {
    name: String,
    pub(crate) producer: usize,
    ring: RingMemory,
    space: Doorbell,
    readers: Vec<StreamReader>,
    is_sealed: bool,
    /// Whether its producer was found absent: then it stays empty.
    is_left_empty: bool,
}

struct StreamReader {
    /// Who reads; none is a thread of this process.
    manager: Option<usize>,
    inputs: Vec<String>,
    cursor: CursorMemory,
    data: Doorbell,
    was_told: bool,
}

impl Stream {
    /// Makes the memory of a stream, all of it at once.
    pub(crate) fn create(plan: &StreamBlueprint) -> Result<Self, LaunchError> {
        let ring_error = |source| LaunchError::Ring { stream: plan.name.clone(), source };
        let ring = RingMemory::create(plan.slots, plan.max_frame_bytes).map_err(ring_error)?;
        let readers = plan.readers.iter().map(|reader| StreamReader::create(&ring, plan, reader));
        Ok(Self {
            name: plan.name.clone(),
            producer: plan.producer,
            readers: readers.collect::<Result<_, _>>()?,
            space: Doorbell::create()?,
            ring,
            is_sealed: false,
            is_left_empty: false,
        })
    }

    /// Hands the ring to its producer, with every reader: none misses the first frame.
    pub(crate) fn give_to_producer(
        &self,
        pipe: &Pipe,
        name_of: &dyn Fn(usize) -> String,
    ) -> Result<(), PipeError> {
        let word = control::seal(&CoordinatorWord::Produce { stream: self.name.clone() });
        pipe.send_with(&word, &[self.ring.fd(), self.space.as_fd()])?;
        for reader in &self.readers {
            let name = reader.manager.map_or_else(|| "scope".to_owned(), name_of);
            reader.introduce(&self.name, name, pipe)?;
        }
        Ok(())
    }

    /// The producer has mapped the ring: nobody else will ever write it.
    pub(crate) fn seal(&mut self, stream: &str) -> Result<(), LaunchError> {
        if stream == self.name && !self.is_sealed {
            self.ring.seal().map_err(|source| LaunchError::Seal { stream: self.name.clone(), source })?;
            self.is_sealed = true;
        }
        Ok(())
    }

    /// Hands the sealed ring to a reader, once.
    pub(crate) fn give_to_reader(&mut self, manager: usize, pipe: &Pipe) -> Result<(), PipeError> {
        if !self.is_sealed {
            return Ok(());
        }
        for reader in
            self.readers.iter_mut().filter(|reader| reader.manager == Some(manager) && !reader.was_told)
        {
            let word = CoordinatorWord::Read {
                stream: self.name.clone(),
                inputs: reader.inputs.clone(),
                is_lossless: reader.cursor.mode() == ReadMode::Lossless,
            };
            let descriptors = [self.ring.fd(), reader.cursor.fd(), reader.data.as_fd(), self.space.as_fd()];
            pipe.send_with(&control::seal(&word), &descriptors)?;
            reader.was_told = true;
        }
        Ok(())
    }

    /// Whether every reader has its end of the stream, or never will: nobody waits for an absent producer.
    pub(crate) fn is_connected(&self) -> bool {
        self.is_left_empty || (self.is_sealed && self.readers.iter().all(|reader| reader.was_told))
    }

    /// Whether that manager must see every frame before it may end.
    pub(crate) fn is_lossless_for(&self, manager: usize) -> bool {
        self.readers.iter().any(|it| it.manager == Some(manager) && it.cursor.mode() == ReadMode::Lossless)
    }

    /// A manager is dead: its end of the stream is taken from it.
    pub(crate) fn gone(&self, manager: usize) {
        if self.producer == manager {
            self.ring.mark_producer_lost(self.readers.iter().map(|reader| &reader.data));
        }
        for reader in self.readers.iter().filter(|reader| reader.manager == Some(manager)) {
            reader.cursor.mark_gone(&self.space);
        }
    }

    /// A manager was found absent: the stream goes on without it. It has seen no frame, for none is published
    /// before the rig begins, so none is overwritten while it looks, even if it still runs.
    pub(crate) fn leave_out(&mut self, manager: usize) {
        self.gone(manager);
        self.is_left_empty |= self.producer == manager;
        self.readers.retain(|reader| reader.manager != Some(manager));
    }

    /// Takes a reader of this process on, once the producer knows of it.
    pub(crate) fn open(&mut self, mode: ReadMode, producer: &Pipe) -> Result<StreamParts, StreamError> {
        let stream = || self.name.clone();
        self.readers.retain(|it| it.manager.is_some() || it.cursor.counts().state != CursorState::Gone);
        if self.readers.len() >= self.ring.max_readers() as usize {
            return Err(StreamError::NoRoom { stream: stream() });
        }
        let reader = StreamReader {
            manager: None,
            inputs: Vec::new(),
            cursor: CursorMemory::create(&self.ring, mode)?,
            data: Doorbell::create()?,
            was_told: true,
        };
        let introduced = reader.introduce(&self.name, "scope".to_owned(), producer);
        introduced.map_err(|_| StreamError::ProducerUnreachable { stream: stream() })?;
        let descriptor = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|_| StreamError::ProducerUnreachable { stream: stream() })
        };
        let parts = StreamParts {
            ring: descriptor(self.ring.fd())?,
            cursor: descriptor(reader.cursor.fd())?,
            data: reader.data.try_clone()?,
            space: self.space.try_clone()?,
        };
        self.readers.push(reader);
        Ok(parts)
    }

    /// The stream's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What has been counted so far.
    pub(crate) fn status(&self, name_of: &dyn Fn(usize) -> String) -> StreamStatus {
        let counts = self.ring.counts();
        StreamStatus {
            name: self.name.clone(),
            producer: name_of(self.producer),
            published: counts.published,
            waits: counts.loans_waited,
            waited_ms: counts.waited_ns as f64 / 1e6,
            refused: counts.refused,
            readers: self.readers.iter().map(|reader| reader.status(name_of, counts.published)).collect(),
        }
    }
}

impl StreamReader {
    fn create(
        ring: &RingMemory,
        stream: &StreamBlueprint,
        plan: &ReaderBlueprint,
    ) -> Result<Self, LaunchError> {
        let page_error = |source| LaunchError::Page { manager: stream.name.clone(), source };
        Ok(Self {
            manager: Some(plan.manager),
            inputs: plan.inputs.clone(),
            cursor: CursorMemory::create(ring, plan.mode).map_err(page_error)?,
            data: Doorbell::create()?,
            was_told: false,
        })
    }

    /// Makes the producer take this reader into account.
    fn introduce(&self, stream: &str, reader: String, producer: &Pipe) -> Result<(), PipeError> {
        let word = CoordinatorWord::AddReader { stream: stream.to_owned(), reader };
        producer.send_with(&control::seal(&word), &[self.cursor.fd(), self.data.as_fd()])
    }

    fn status(&self, name_of: &dyn Fn(usize) -> String, published: u64) -> ReaderStatus {
        let counts = self.cursor.counts();
        let unread = published.saturating_sub(counts.position.max(counts.start));
        ReaderStatus {
            manager: self.manager.map_or_else(|| "scope".to_owned(), name_of),
            is_lossless: self.cursor.mode() == ReadMode::Lossless,
            taken: counts.taken,
            skipped: counts.skipped,
            damaged: counts.damaged,
            unread: if counts.state == CursorState::Joined || self.cursor.mode() == ReadMode::Lossless {
                unread
            } else {
                0
            },
        }
    }
}
