//! The producers' ends of streams, as a manager gets them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::vitals::Vitals;
use crate::remote::Cancellations;
use crate::shm::{FormatError, FrameFormat, FrameSlot, LoanError, Producer};

/// The rings that this manager produces into, until they are asked for.
#[derive(Clone, Default)]
pub(crate) struct Producers {
    offered: Arc<Mutex<BTreeMap<String, Option<Producer>>>>,
    pub(super) gate: Arc<Gate>,
}

/// Holds producers back until every manager of the rig is ready.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(super) fn pass(&self) {
        let mut is_open = self.is_open.lock();
        while !*is_open {
            self.opened.wait(&mut is_open);
        }
    }
}

impl Producers {
    pub(crate) fn offer(&self, stream: &str, producer: Producer) {
        self.offered.lock().insert(stream.to_owned(), Some(producer));
    }

    /// The name of the only stream, if there is but one.
    pub(super) fn only(&self) -> Option<String> {
        let offered = self.offered.lock();
        let mut names = offered.keys();
        names.next().filter(|_| names.next().is_none()).cloned()
    }

    /// Lets the first frames through, or the end of the wait for them.
    pub(crate) fn open_gate(&self) {
        *self.gate.is_open.lock() = true;
        self.gate.opened.notify_all();
    }

    /// The producer of that stream, for the worker whose vitals and work these are.
    pub(super) fn begin(
        &self,
        stream: &str,
        format: FrameFormat,
        (vitals, work): (Arc<Vitals>, Arc<Cancellations>),
    ) -> Result<FrameProducer, ProducerError> {
        format.check()?;
        let (producer, gate) = (self.take(stream)?, Arc::clone(&self.gate));
        Ok(FrameProducer { producer, gate, vitals, work, has_passed: false, format })
    }

    fn take(&self, stream: &str) -> Result<Producer, ProducerError> {
        let mut offered = self.offered.lock();
        let known = offered.keys().cloned().collect();
        match offered.get_mut(stream) {
            None => Err(ProducerError::NotProduced { stream: stream.to_owned(), known }),
            Some(producer) => {
                producer.take().ok_or_else(|| ProducerError::Taken { stream: stream.to_owned() })
            }
        }
    }
}

/// Why a manager cannot produce into a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The config names somebody else as its producer, or has no such stream.
    #[error("this manager does not produce `{stream}`: the config gives it {known:?}")]
    NotProduced {
        /// The stream asked for.
        stream: String,
        /// The streams it produces.
        known: Vec<String>,
    },
    /// It was asked for before; a stream has one producer.
    #[error("the producer of `{stream}` is in use already")]
    Taken {
        /// The stream asked for.
        stream: String,
    },
    /// The format makes no sense.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// Fills a stream with frames, in place. Dropping it ends the stream.
#[derive(Debug)]
pub struct FrameProducer {
    producer: Producer,
    gate: Arc<Gate>,
    vitals: Arc<Vitals>,
    work: Arc<Cancellations>,
    has_passed: bool,
    format: FrameFormat,
}

impl FrameProducer {
    /// Loans a slot for a frame of the present format; waits until every manager of the rig is ready, and as
    /// long as lossless readers lag behind. Call it from a thread of its own, or from a timer or handler; in `setup`
    /// it would wait for itself. On a thread of its own nobody's command ends the wait.
    ///
    /// # Errors
    /// [`LoanError::Cancelled`] when the handler that waits is cancelled or everything is stopped,
    /// [`LoanError::Interrupted`] when the rig quits, [`LoanError::TooLarge`] when the frame does not fit.
    pub fn loan(&mut self) -> Result<FrameSlot<'_>, LoanError> {
        self.wait_for_start();
        if !self.vitals.is_worker() {
            return self.producer.loan(self.format);
        }
        let _paused = self.vitals.pause();
        let (bell, work, producer) = (self.producer.bell(), &self.work, &mut self.producer);
        work.wait_at(bell, || producer.loan_unless(self.format, &|| work.is_cancelled()))
    }

    /// Waits until every manager of the rig is ready, or the rig quits.
    pub fn wait_for_start(&mut self) {
        if !self.has_passed {
            let _paused = self.vitals.pause();
            self.gate.pass();
            self.has_passed = true;
        }
    }

    /// As [`loan`](Self::loan), but does not wait for lossless readers.
    ///
    /// # Errors
    /// [`LoanError::NoFreeSlot`] besides those of `loan`.
    pub fn try_loan(&mut self) -> Result<FrameSlot<'_>, LoanError> {
        self.wait_for_start();
        self.producer.try_loan(self.format)
    }

    /// The format of the frames to come.
    pub fn format(&self) -> FrameFormat {
        self.format
    }

    /// Changes the format of the frames to come.
    pub fn set_format(&mut self, format: FrameFormat) {
        self.format = format;
    }

    /// How many bytes a frame may have.
    pub fn max_frame_bytes(&self) -> u64 {
        self.producer.max_frame_bytes()
    }
}
