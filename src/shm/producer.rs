//! The one process that fills a ring.
//!
//! A frame is loaned, filled in place and published; nothing is copied. Loaning finds a free slot, and waits for one
//! only while lossless readers lag behind. `ring` tells how the protocol works and why.

use super::clock::monotonic_ns;
use super::event::{Doorbell, DoorbellError};
use super::frame::{FormatError, FrameFormat};
use super::layout::add;
use super::pinning::take_if_free;
use super::reader_list::{ReaderList, see_each_other};
use super::ring_map::{RingEnd, RingMap, RingOpenError};
use super::slot::FrameSlot;
use super::wait::{Patience, SPIN_LIMIT, WaitError, look_briefly, sleep_on};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Why no slot was loaned. The ring is as it was, and every refusal but [`LoanError::Interrupted`],
/// [`LoanError::Cancelled`] and [`LoanError::Ended`] is counted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoanError {
    /// The frame does not fit; the ring's `max_frame_bytes` must be at least `bytes`.
    #[error("a frame of {bytes} bytes does not fit a ring for frames of at most {limit}")]
    TooLarge {
        /// What the format takes.
        bytes: u64,
        /// What the ring was made for.
        limit: u64,
    },
    /// The format makes no sense.
    #[error(transparent)]
    BadFormat(#[from] FormatError),
    /// Lossless readers have yet to see every slot, and the call was not to wait.
    #[error("none of {slots} slots is free: a lossless reader lags behind")]
    NoFreeSlot {
        /// How many slots the ring has.
        slots: u32,
    },
    /// Lossless readers had yet to see every slot when `after` had passed.
    #[error("none of {slots} slots became free within {after:?}: a lossless reader lags behind")]
    TimedOut {
        /// How many slots the ring has.
        slots: u32,
        /// How long the call waited.
        after: Duration,
    },
    /// An [`Interrupter`] was used.
    #[error("the producer was interrupted")]
    Interrupted,
    /// The ring has ended.
    #[error("the frame ring has ended")]
    Ended,
    /// Whoever waited was to give up: its command was cancelled, or everything was stopped.
    #[error("whoever waited for a free slot was to give up")]
    Cancelled,
    /// The system did not let the producer sleep.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// Makes a producer stop waiting, from any thread and for good.
#[derive(Debug, Clone)]
pub struct Interrupter {
    shared: Arc<Interrupt>,
}

#[derive(Debug)]
struct Interrupt {
    is_raised: AtomicBool,
    /// Never drained: once it rings, no wait can begin any more.
    bell: Doorbell,
}

impl Interrupter {
    fn create() -> Result<Self, DoorbellError> {
        let bell = Doorbell::create()?;
        Ok(Self { shared: Arc::new(Interrupt { is_raised: AtomicBool::new(false), bell }) })
    }

    /// Makes the present loan and all later ones answer [`LoanError::Interrupted`]. A slot that is already loaned can
    /// still be published.
    pub fn interrupt(&self) {
        self.shared.is_raised.store(true, Ordering::Release);
        self.shared.bell.ring();
    }

    /// Whether it has been used.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.shared.is_raised.load(Ordering::Acquire)
    }
}

/// Fills a ring. Dropping it ends the ring.
#[derive(Debug)]
pub struct Producer {
    pub(super) ring: Arc<RingMap>,
    pub(super) readers: ReaderList,
    space: Arc<Doorbell>,
    interrupter: Interrupter,
    /// The mark of the frame in each slot, 0 where there is none that anybody could read. Kept here, so that nothing
    /// in shared memory can talk the producer into a slot that is in use.
    pub(super) marks: Box<[u64]>,
    /// How many frames have been published.
    pub(super) head: u64,
    sleeps: u64,
    spin: Duration,
}

impl Producer {
    /// Maps a ring, as its first and only producer. `space` is the bell that readers ring when they give slots back.
    ///
    /// # Errors
    /// - [`RingOpenError::Segment`], [`RingOpenError::NotARing`], [`RingOpenError::OtherVersion`],
    ///   [`RingOpenError::DamagedHeader`]: a wrong descriptor was handed over, or the ring was sealed too early.
    /// - [`RingOpenError::HasProducer`]: a producer's next life needs a new ring.
    /// - [`RingOpenError::Doorbell`]: too many descriptors are open.
    pub fn map(ring: OwnedFd, space: Doorbell) -> Result<Self, RingOpenError> {
        Self::over(RingMap::open_writable(ring)?, space)
    }

    pub(super) fn over(ring: RingMap, space: Doorbell) -> Result<Self, RingOpenError> {
        let (ring, space) = (Arc::new(ring), Arc::new(space));
        let marks = vec![0; ring.slots()].into_boxed_slice();
        let readers = ReaderList::new(Arc::clone(&ring), Arc::clone(&space));
        let interrupter = Interrupter::create()?;
        Ok(Self { ring, readers, space, interrupter, marks, head: 0, sleeps: 0, spin: SPIN_LIMIT })
    }

    /// Sets how long a loan looks for a free slot before it sleeps; default [`SPIN_LIMIT`], zero sleeps at once.
    #[must_use]
    pub fn with_spin(mut self, spin: Duration) -> Self {
        self.spin = spin;
        self
    }

    /// The list by which readers are added and removed, also while another thread waits in a loan.
    #[must_use]
    pub fn readers(&self) -> ReaderList {
        self.readers.clone()
    }

    /// A handle that makes this producer stop waiting.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    /// How many bytes a frame may have.
    #[must_use]
    pub fn max_frame_bytes(&self) -> u64 {
        self.ring.geometry().frame_bytes
    }

    /// How many frames have been published.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.head
    }

    /// Loans a slot for a frame of this format; waits as long as lossless readers lag behind.
    ///
    /// # Errors
    /// - [`LoanError::TooLarge`], [`LoanError::BadFormat`]: the format does not fit the ring.
    /// - [`LoanError::Interrupted`], [`LoanError::Ended`]: there is nothing more to be published.
    /// - [`LoanError::Wait`]: the system did not let the producer sleep.
    pub fn loan(&mut self, format: FrameFormat) -> Result<FrameSlot<'_>, LoanError> {
        self.loan_with(format, Patience::Endless, &|| false)
    }

    /// Loans a slot; waits as long as lossless readers lag behind, and until it `is_to_stop`. Whoever makes it stop
    /// rings [`bell`](Self::bell) afterwards.
    ///
    /// # Errors
    /// - [`LoanError::Cancelled`]: there was no free slot when it was to stop.
    /// - as for [`Producer::loan`].
    pub fn loan_unless(
        &mut self,
        format: FrameFormat,
        is_to_stop: &dyn Fn() -> bool,
    ) -> Result<FrameSlot<'_>, LoanError> {
        self.loan_with(format, Patience::Endless, is_to_stop)
    }

    /// What wakes a loan that waits: it looks again, and goes on waiting if nothing has changed.
    #[must_use]
    pub fn bell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.space)
    }

    /// Loans a slot if one is free; never waits.
    ///
    /// # Errors
    /// - [`LoanError::NoFreeSlot`]: a lossless reader lags behind.
    /// - as for [`Producer::loan`].
    pub fn try_loan(&mut self, format: FrameFormat) -> Result<FrameSlot<'_>, LoanError> {
        self.loan_with(format, Patience::None, &|| false)
    }

    /// Loans a slot; waits for at most `patience`.
    ///
    /// # Errors
    /// - [`LoanError::TimedOut`]: a lossless reader lagged behind all the time.
    /// - as for [`Producer::loan`].
    pub fn loan_timeout(
        &mut self,
        format: FrameFormat,
        patience: Duration,
    ) -> Result<FrameSlot<'_>, LoanError> {
        self.loan_with(format, Patience::of(patience), &|| false)
    }

    /// Ends the ring: readers drain what is there and then see the end. Dropping the producer does the same.
    pub fn end(self) {
        drop(self);
    }

    fn loan_with(
        &mut self,
        format: FrameFormat,
        patience: Patience,
        is_to_stop: &dyn Fn() -> bool,
    ) -> Result<FrameSlot<'_>, LoanError> {
        let found = self.check(format).and_then(|()| self.find_slot(patience, is_to_stop));
        let slot = found.inspect_err(|error| {
            if !matches!(error, LoanError::Interrupted | LoanError::Cancelled | LoanError::Ended) {
                add(&self.ring.counters().refused, 1);
            }
        })?;
        Ok(FrameSlot::new(self, slot, format))
    }

    fn check(&self, format: FrameFormat) -> Result<(), LoanError> {
        self.check_running()?;
        format.check()?;
        let (bytes, limit) = (format.byte_len(), self.max_frame_bytes());
        if bytes > limit {
            return Err(LoanError::TooLarge { bytes, limit });
        }
        Ok(())
    }

    fn check_running(&self) -> Result<(), LoanError> {
        if self.interrupter.is_interrupted() {
            return Err(LoanError::Interrupted);
        }
        if self.ring.ending().is_some() {
            return Err(LoanError::Ended);
        }
        Ok(())
    }

    fn find_slot(&mut self, patience: Patience, is_to_stop: &dyn Fn() -> bool) -> Result<usize, LoanError> {
        if let Some(slot) = self.take_free_slot() {
            return Ok(slot);
        }
        if matches!(patience, Patience::None) {
            return Err(LoanError::NoFreeSlot { slots: self.ring.geometry().slots });
        }
        let began = monotonic_ns();
        let found = self.wait_for_slot(patience, is_to_stop, began);
        let counters = self.ring.counters();
        add(&counters.waited, 1);
        add(&counters.waited_ns, monotonic_ns().saturating_sub(began));
        found
    }

    fn wait_for_slot(
        &mut self,
        patience: Patience,
        is_to_stop: &dyn Fn() -> bool,
        began: u64,
    ) -> Result<usize, LoanError> {
        if let Some(slot) = look_briefly(self.spin, || self.take_free_slot()) {
            return Ok(slot);
        }
        self.ring.sleep().waiting_since_ns.store(began, Ordering::Relaxed);
        let found = self.sleep_for_slot(patience, is_to_stop);
        self.ring.sleep().producer_waiting.store(0, Ordering::Relaxed);
        self.ring.sleep().waiting_since_ns.store(0, Ordering::Relaxed);
        found
    }

    fn sleep_for_slot(
        &mut self,
        patience: Patience,
        is_to_stop: &dyn Fn() -> bool,
    ) -> Result<usize, LoanError> {
        loop {
            // Each sleep has a number of its own: readers ring once per number.
            self.sleeps += 1;
            self.ring.sleep().producer_waiting.store(self.sleeps, Ordering::Relaxed);
            // Pairs with the fence of a reader that gives a slot back: it sees the flag, or the slot is seen here.
            see_each_other();
            if let Some(slot) = self.take_free_slot() {
                return Ok(slot);
            }
            self.check_running()?;
            if is_to_stop() {
                return Err(LoanError::Cancelled);
            }
            match patience {
                Patience::Until { whole, .. } if patience.is_over() => {
                    let slots = self.ring.geometry().slots;
                    return Err(LoanError::TimedOut { slots, after: whole });
                }
                _ => {}
            }
            sleep_on([self.space.as_fd(), self.interrupter.shared.bell.as_fd()], patience)?;
            // Before the next look, never after it: a ring that comes later must stay audible.
            self.space.drain();
        }
    }

    /// Takes a free slot away from the readers, if there is one.
    fn take_free_slot(&mut self) -> Option<usize> {
        let Self { ring, readers, marks, head, .. } = self;
        // The lowest free slot, not the oldest: the fewer slots are in use, the more of them stay in the caches.
        readers.with(|seats| {
            let needed_from = seats.needed_from();
            (0..marks.len()).find(|&slot| {
                let is_pinned = |mark| seats.is_pinned(mark);
                take_if_free(&ring.slot(slot).mark, &mut marks[slot], *head, needed_from, is_pinned)
            })
        })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let (finished, relaxed) = (RingEnd::Finished.code(), Ordering::Relaxed);
        // Release: whoever sees the end also sees the last frame.
        let _ = self.ring.progress().ended.compare_exchange(0, finished, Ordering::AcqRel, relaxed);
        // Pairs with the fence of a reader that goes to sleep; the others find a bell that rings once for nothing.
        see_each_other();
        self.readers.with(|seats| seats.ring_all());
    }
}
