//! The ring of one life of a producer, with a cursor for each life of its readers.

use std::os::fd::{AsFd, BorrowedFd};

use super::tally::{Filled, Seen};
use crate::coordinator::blueprint::{ReaderBlueprint, StreamBlueprint};
use crate::coordinator::launch_error::LaunchError;
use crate::remote::{StreamError, StreamParts};
use crate::shm::{CursorMemory, CursorState, Doorbell, ReadMode, RingMemory};
use crate::transport::{Line, PipeError};
use crate::wire::control::{self, CoordinatorWord};

/// See the module's words.
pub(super) struct Ring {
    memory: RingMemory,
    space: Doorbell,
    readers: Vec<StreamReader>,
    /// Whether the producer was given it.
    is_given: bool,
    is_sealed: bool,
}

/// One reader of a ring.
pub(super) struct StreamReader {
    /// Who reads; none is a thread of this process.
    pub(super) manager: Option<usize>,
    inputs: Vec<String>,
    cursor: CursorMemory,
    data: Doorbell,
    /// Whether the producer was told of it.
    is_introduced: bool,
    pub(super) was_told: bool,
    /// How far its former life has come; what lies between is missed by a reader that was to see all.
    resumes_at: Option<u64>,
}

impl Ring {
    /// Makes a ring with a cursor for each reader of the plan that `reads` still.
    pub(super) fn create(plan: &StreamBlueprint, reads: impl Fn(usize) -> bool) -> Result<Self, LaunchError> {
        let ring_error = |source| LaunchError::Ring { stream: plan.name.clone(), source };
        let memory = RingMemory::create(plan.slots, plan.max_frame_bytes).map_err(ring_error)?;
        let readers = plan.readers.iter().filter(|reader| reads(reader.manager));
        let readers = readers.map(|reader| StreamReader::create(&memory, plan, reader));
        Ok(Self {
            readers: readers.collect::<Result<_, _>>()?,
            space: Doorbell::create()?,
            memory,
            is_given: false,
            is_sealed: false,
        })
    }

    pub(super) fn readers(&self) -> impl Iterator<Item = &StreamReader> {
        self.readers.iter()
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Makes a cursor for the next life of a reader, and gives its last one back. One that was not used yet stays; one
    /// that was forgotten is a new reader.
    pub(super) fn renew_reader(
        &mut self,
        manager: usize,
        plan: &StreamBlueprint,
    ) -> Result<Option<StreamReader>, LaunchError> {
        let Some(reader) = plan.readers.iter().find(|reader| reader.manager == manager) else {
            return Ok(None);
        };
        let Some(at) = self.readers.iter().position(|reader| reader.manager == Some(manager)) else {
            self.readers.push(StreamReader::create(&self.memory, plan, reader)?);
            return Ok(None);
        };
        let old = &self.readers[at];
        if !old.was_told && old.cursor.counts().state != CursorState::Gone {
            return Ok(None);
        }
        let mut next = StreamReader::create(&self.memory, plan, reader)?;
        next.resumes_at = Some(old.reached());
        Ok(Some(std::mem::replace(&mut self.readers[at], next)))
    }

    /// Hands the ring to its producer.
    pub(super) fn give(&mut self, stream: &str, line: &Line) -> Result<(), PipeError> {
        let word = control::seal(&CoordinatorWord::Produce { stream: stream.to_owned() });
        line.send_with(&word, &[self.memory.fd(), self.space.as_fd()])?;
        self.is_given = true;
        Ok(())
    }

    pub(super) fn introduce_readers(
        &mut self,
        stream: &str,
        line: &Line,
        name_of: &dyn Fn(usize) -> String,
    ) -> Result<(), PipeError> {
        let is_given = self.is_given;
        for reader in self.readers.iter_mut().filter(|reader| is_given && !reader.is_introduced) {
            let name = reader.manager.map_or_else(|| "scope".to_owned(), name_of);
            reader.introduce(stream, name, line)?;
        }
        Ok(())
    }

    pub(super) fn seal(&mut self, stream: &str) -> Result<(), LaunchError> {
        if !self.is_sealed {
            let error = |source| LaunchError::Seal { stream: stream.to_owned(), source };
            self.memory.seal().map_err(error)?;
            self.is_sealed = true;
        }
        Ok(())
    }

    pub(super) fn give_to_reader(
        &mut self,
        stream: &str,
        manager: usize,
        line: &Line,
    ) -> Result<(), PipeError> {
        if !self.is_sealed {
            return Ok(());
        }
        let is_meant = |reader: &&mut StreamReader| reader.manager == Some(manager) && !reader.was_told;
        for reader in self.readers.iter_mut().filter(is_meant) {
            let word = CoordinatorWord::Read {
                stream: stream.to_owned(),
                inputs: reader.inputs.clone(),
                is_lossless: reader.mode() == ReadMode::Lossless,
            };
            let descriptors = [self.memory.fd(), reader.cursor.fd(), reader.data.as_fd(), self.space.as_fd()];
            line.send_with(&control::seal(&word), &descriptors)?;
            reader.was_told = true;
        }
        Ok(())
    }

    /// Its producer is dead: readers drain what it has published and then see the end.
    pub(super) fn mark_producer_lost(&self) {
        self.memory.mark_producer_lost(self.readers.iter().map(|reader| &reader.data));
    }

    /// That reader is dead.
    pub(super) fn mark_reader_gone(&self, manager: usize) {
        for reader in self.readers.iter().filter(|reader| reader.manager == Some(manager)) {
            reader.cursor.mark_gone(&self.space);
        }
    }

    pub(super) fn forget_reader(&mut self, manager: usize) {
        self.readers.retain(|reader| reader.manager != Some(manager));
    }

    /// Whether nobody is at it any more.
    pub(super) fn is_left(&self) -> bool {
        let is_at_it = |it: &StreamReader| it.was_told && it.cursor.counts().state != CursorState::Gone;
        !self.readers.iter().any(is_at_it)
    }

    /// Takes a reader of this process on, once the producer knows of it.
    pub(super) fn open(
        &mut self,
        stream: &str,
        mode: ReadMode,
        producer: &Line,
    ) -> Result<StreamParts, StreamError> {
        let unreachable = || StreamError::ProducerUnreachable { stream: stream.to_owned() };
        if !self.is_sealed {
            return Err(unreachable());
        }
        self.readers.retain(|it| it.manager.is_some() || it.cursor.counts().state != CursorState::Gone);
        if self.readers.len() >= self.memory.max_readers() as usize {
            return Err(StreamError::NoRoom { stream: stream.to_owned() });
        }
        let mut reader = StreamReader {
            manager: None,
            inputs: Vec::new(),
            cursor: CursorMemory::create(&self.memory, mode)?,
            data: Doorbell::create()?,
            is_introduced: false,
            was_told: true,
            resumes_at: None,
        };
        reader.introduce(stream, "scope".to_owned(), producer).map_err(|_| unreachable())?;
        let descriptor = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(|_| unreachable());
        let parts = StreamParts {
            ring: descriptor(self.memory.fd())?,
            cursor: descriptor(reader.cursor.fd())?,
            data: reader.data.try_clone()?,
            space: self.space.try_clone()?,
        };
        self.readers.push(reader);
        Ok(parts)
    }

    pub(super) fn published(&self) -> u64 {
        self.memory.counts().published
    }

    pub(super) fn counts(&self) -> Filled {
        let counts = self.memory.counts();
        Filled {
            published: counts.published,
            waits: counts.loans_waited,
            waited_ns: counts.waited_ns,
            refused: counts.refused,
        }
    }

    /// What that manager has seen of it.
    pub(super) fn seen_by(&self, manager: usize) -> impl Iterator<Item = Seen> {
        let published = self.published();
        let readers = self.readers.iter().filter(move |reader| reader.manager == Some(manager));
        readers.map(move |reader| reader.seen(published))
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
            is_introduced: false,
            was_told: false,
            resumes_at: None,
        })
    }

    pub(super) fn mode(&self) -> ReadMode {
        self.cursor.mode()
    }

    /// Makes the producer take this reader into account.
    fn introduce(&mut self, stream: &str, reader: String, producer: &Line) -> Result<(), PipeError> {
        let word = CoordinatorWord::AddReader { stream: stream.to_owned(), reader };
        producer.send_with(&control::seal(&word), &[self.cursor.fd(), self.data.as_fd()])?;
        self.is_introduced = true;
        Ok(())
    }

    /// Up to where it is done with its frames.
    fn reached(&self) -> u64 {
        let counts = self.cursor.counts();
        counts.position.max(counts.start).max(self.resumes_at.unwrap_or(0))
    }

    /// What it has seen, and what is before it.
    pub(super) fn seen(&self, published: u64) -> Seen {
        let counts = self.cursor.counts();
        let is_lossless = self.mode() == ReadMode::Lossless;
        let has_joined = counts.start > 0 || counts.state == CursorState::Joined;
        let missed = match self.resumes_at {
            Some(reached) if is_lossless && has_joined => counts.start.saturating_sub(reached),
            _ => 0,
        };
        // A frame that it held when it died was not seen to its end: it is missed, not taken.
        let is_dead = is_lossless && counts.state == CursorState::Gone;
        let passed = counts.skipped + counts.damaged;
        let seen = counts.position.saturating_sub(counts.start).saturating_sub(passed);
        let is_before_it = counts.state == CursorState::Joined || is_lossless;
        Seen {
            taken: if is_dead { counts.taken.min(seen) } else { counts.taken },
            skipped: counts.skipped + missed,
            damaged: counts.damaged,
            unread: if is_before_it { published.saturating_sub(self.reached()) } else { 0 },
        }
    }
}
