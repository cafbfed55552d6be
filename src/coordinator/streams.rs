//! The streams of a rig: their memory, who fills it and who reads it.
//!
//! The coordinator makes a ring and its cursors, hands the ring to the producer, seals it once the producer
//! has mapped it, and only then hands it to the readers. Each life of a producer has a ring of its own
//! (`ring`); what earlier ones have counted is added up (`tally`).

mod ring;
mod tally;

use super::blueprint::StreamBlueprint;
use super::launch_error::LaunchError;
use super::status::{ReaderStatus, StreamStatus};
use crate::remote::{StreamError, StreamParts};
use crate::shm::ReadMode;
use crate::transport::{Line, PipeError};
use ring::{Ring, StreamReader};
use tally::Past;

/// How many rings of earlier lives are kept for readers that have not seen their last frame.
const MOST_EARLIER: usize = 2;

/// One stream's memory and bells.
pub(crate) struct Stream {
    name: String,
    pub(crate) producer: usize,
    ring: Ring,
    /// Rings of earlier lives of the producer, which readers may still be at.
    earlier: Vec<Ring>,
    past: Past,
    /// Whether its producer was found absent: then it stays empty.
    is_left_empty: bool,
}

impl Stream {
    /// Makes the memory of a stream, all of it at once.
    pub(crate) fn create(plan: &StreamBlueprint) -> Result<Self, LaunchError> {
        Ok(Self {
            name: plan.name.clone(),
            producer: plan.producer,
            ring: Ring::create(plan, |_| true)?,
            earlier: Vec::new(),
            past: Past::default(),
            is_left_empty: false,
        })
    }

    /// Makes what a manager needs for its next life: a ring, if it fills this stream; a cursor, if it reads it.
    pub(crate) fn renew(&mut self, manager: usize, plan: &StreamBlueprint) -> Result<(), LaunchError> {
        if self.producer == manager {
            let reads = |reader: usize| self.ring.readers().any(|it| it.manager == Some(reader));
            let next = Ring::create(plan, reads)?;
            self.earlier.push(std::mem::replace(&mut self.ring, next));
            self.is_left_empty = false;
            self.settle();
            return Ok(());
        }
        if let Some(old) = self.ring.renew_reader(manager, plan)? {
            self.past.keep(&old, self.ring.published());
        }
        Ok(())
    }

    /// Lets go of earlier rings that nobody reads any more.
    fn settle(&mut self) {
        let most = |at: usize, rings: usize| at + MOST_EARLIER < rings;
        let rings = std::mem::take(&mut self.earlier);
        let count = rings.len();
        for (at, ring) in rings.into_iter().enumerate() {
            if ring.is_left() || most(at, count) {
                self.past.keep_ring(&ring);
            } else {
                self.earlier.push(ring);
            }
        }
    }

    /// Hands the ring to its producer, with every reader: none misses the first frame.
    pub(crate) fn give_to_producer(
        &mut self,
        line: &Line,
        name_of: &dyn Fn(usize) -> String,
    ) -> Result<(), PipeError> {
        self.ring.give(&self.name, line)?;
        self.introduce_readers(line, name_of)
    }

    /// Tells the producer of every reader that it has not been told of, once it has the ring.
    pub(crate) fn introduce_readers(
        &mut self,
        line: &Line,
        name_of: &dyn Fn(usize) -> String,
    ) -> Result<(), PipeError> {
        self.ring.introduce_readers(&self.name, line, name_of)
    }

    /// The producer has mapped the ring: nobody else will ever write it.
    pub(crate) fn seal(&mut self, stream: &str) -> Result<(), LaunchError> {
        if stream == self.name { self.ring.seal(&self.name) } else { Ok(()) }
    }

    /// Hands the sealed ring to a reader, once.
    pub(crate) fn give_to_reader(&mut self, manager: usize, line: &Line) -> Result<(), PipeError> {
        self.ring.give_to_reader(&self.name, manager, line)
    }

    /// Whether every reader has its end of the stream, or never will: nobody waits for an absent producer.
    pub(crate) fn is_connected(&self) -> bool {
        let mut readers = self.ring.readers();
        self.is_left_empty || (self.ring.is_sealed() && readers.all(|reader| reader.was_told))
    }

    /// Whether a manager that came back has its end of the stream, or will get it when others have come back.
    pub(crate) fn is_connected_for(&self, manager: usize) -> bool {
        if self.producer == manager {
            return self.ring.is_sealed();
        }
        let mut readers = self.ring.readers().filter(|reader| reader.manager == Some(manager));
        !self.ring.is_sealed() || readers.all(|reader| reader.was_told)
    }

    /// Whether that manager must see every frame before it may end.
    pub(crate) fn is_lossless_for(&self, manager: usize) -> bool {
        self.ring.readers().any(|it| it.manager == Some(manager) && it.mode() == ReadMode::Lossless)
    }

    /// A manager is dead: its end of the stream is taken from it.
    pub(crate) fn gone(&self, manager: usize) {
        if self.producer == manager {
            self.ring.mark_producer_lost();
        }
        self.earlier.iter().chain([&self.ring]).for_each(|ring| ring.mark_reader_gone(manager));
    }

    /// A manager was found absent: the stream goes on without it. It has seen no frame, for none is published
    /// before the rig begins, so none is overwritten while it looks, even if it still runs.
    pub(crate) fn leave_out(&mut self, manager: usize) {
        self.gone(manager);
        self.is_left_empty |= self.producer == manager;
        self.ring.forget_reader(manager);
    }

    /// Takes a reader of this process on, once the producer knows of it.
    pub(crate) fn open(&mut self, mode: ReadMode, producer: &Line) -> Result<StreamParts, StreamError> {
        self.ring.open(&self.name, mode, producer)
    }

    /// The stream's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What has been counted so far, in all lives.
    pub(crate) fn status(&self, name_of: &dyn Fn(usize) -> String) -> StreamStatus {
        let rings = || self.earlier.iter().chain([&self.ring]);
        let counts = rings().fold(self.past.ring, |sum, ring| sum + ring.counts());
        StreamStatus {
            name: self.name.clone(),
            producer: name_of(self.producer),
            published: counts.published,
            waits: counts.waits,
            waited_ms: counts.waited_ns as f64 / 1e6,
            refused: counts.refused,
            readers: self.ring.readers().map(|reader| self.reader_status(reader, name_of)).collect(),
        }
    }

    fn reader_status(&self, reader: &StreamReader, name_of: &dyn Fn(usize) -> String) -> ReaderStatus {
        let mut seen = reader.seen(self.ring.published());
        if let Some(manager) = reader.manager {
            let earlier = self.earlier.iter().flat_map(|ring| ring.seen_by(manager));
            seen = earlier.fold(seen + self.past.of(manager), |sum, more| sum + more);
        }
        ReaderStatus {
            manager: reader.manager.map_or_else(|| "scope".to_owned(), name_of),
            is_lossless: reader.mode() == ReadMode::Lossless,
            taken: seen.taken,
            skipped: seen.skipped,
            damaged: seen.damaged,
            unread: seen.unread,
        }
    }
}
