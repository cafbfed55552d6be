//! A process that looks at the frames of a ring.
//!
//! A reader hands out one frame at a time and owes the producer its release, which dropping the frame pays. It never
//! blocks except in [`Reader::wait`]; whoever sleeps on several things at once uses [`Reader::prepare_to_wait`] and
//! [`Reader::doorbell`]. `ring` tells how the protocol works and why.

use super::cursor::{CursorMap, CursorState, ReadMode};
use super::event::Doorbell;
use super::frame::{Frame, FrameFormat, FrameMeta, PixelType};
use super::layout::{SlotWords, TAKING, add};
use super::pinning::{has, hold, let_go};
use super::reader_list::see_each_other;
use super::ring_map::{RingEnd, RingMap, RingOpenError};
use super::wait::{Patience, SPIN_LIMIT, WaitError, look_briefly, sleep_on};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

/// How often a reader tries to catch the newest frame before it lets its caller do something else. Each failure means
/// that the producer has published another one in the meantime.
const CATCHES: u32 = 1000;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There is a frame that this reader has not seen.
    News,
    /// There is none, and none will come.
    Ended(RingEnd),
    /// The coordinator has declared this reader gone: it will not see another frame.
    Gone,
    /// There was none in time.
    TimedOut,
}

/// Whether a slot has the frame with a mark: [`has`], or [`still_has`](super::pinning::still_has).
pub(super) type Has = fn(&AtomicU64, u64) -> bool;

/// The frame that a reader holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) slot: usize,
    pub(super) mark: u64,
    pub(super) is_pinned: bool,
}

/// Looks at the frames of a ring, by the mode of its cursor. Dropping it leaves the ring for good.
#[derive(Debug)]
pub struct Reader {
    pub(super) ring: RingMap,
    pub(super) cursor: CursorMap,
    data: Doorbell,
    space: Doorbell,
    has_joined: bool,
    /// The first frame that it is not done with.
    position: u64,
    held: Option<Held>,
    /// How often it has slept: the number of a sleep is its flag.
    sleeps: u64,
    /// The last of the producer's sleeps that was ended: one ring per sleep is enough.
    rung: u64,
    spin: Duration,
    /// Whether anything has come since it last slept: only then is it worth looking before sleeping.
    is_lively: bool,
}

impl Reader {
    /// Maps a sealed ring through a cursor of its own. `data` is the bell this reader sleeps on, `space` the one the
    /// producer sleeps on. It sees frames once the producer has taken it on, and those from then on.
    ///
    /// # Errors
    /// - [`RingOpenError::Segment`], [`RingOpenError::NotARing`], [`RingOpenError::OtherVersion`],
    ///   [`RingOpenError::DamagedHeader`]: a wrong descriptor was handed over, or the ring is not sealed yet.
    /// - [`RingOpenError::Cursor`]: the cursor is not usable, of another ring, or has had a reader before.
    pub fn map(
        ring: OwnedFd,
        cursor: OwnedFd,
        data: Doorbell,
        space: Doorbell,
    ) -> Result<Self, RingOpenError> {
        let ring = RingMap::open_read_only(ring)?;
        let cursor = CursorMap::open(cursor, ring.ring_id())?;
        Self::over(ring, cursor, data, space)
    }

    pub(super) fn over(
        ring: RingMap,
        cursor: CursorMap,
        data: Doorbell,
        space: Doorbell,
    ) -> Result<Self, RingOpenError> {
        cursor.claim()?;
        Ok(Self {
            ring,
            cursor,
            data,
            space,
            has_joined: false,
            position: 0,
            held: None,
            sleeps: 0,
            rung: 0,
            spin: SPIN_LIMIT,
            is_lively: false,
        })
    }

    /// Sets how long [`Reader::wait`] looks for news before it sleeps; default [`SPIN_LIMIT`], zero sleeps at once.
    #[must_use]
    pub fn with_spin(mut self, spin: Duration) -> Self {
        self.spin = spin;
        self
    }

    /// What this reader wants to see.
    #[must_use]
    pub fn mode(&self) -> ReadMode {
        self.cursor.mode()
    }

    /// How many bytes a frame may have.
    #[must_use]
    pub fn max_frame_bytes(&self) -> u64 {
        self.ring.geometry().frame_bytes
    }

    /// The next frame that this reader has not seen, if there is one: the oldest for a lossless reader, the newest for
    /// one of the latest frame. Frames that damaged memory makes unreadable are skipped and counted.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its items")]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        self.release();
        if !self.join() {
            return None;
        }
        let (held, meta) = match self.mode() {
            ReadMode::Lossless => self.take_oldest()?,
            ReadMode::Latest => self.take_newest(self.position)?,
        };
        Some(self.hand_out(held, meta))
    }

    /// The newest frame, also when this reader has seen it before; nothing before the first one. A lossless reader
    /// skips everything older by this, and the skipped frames are counted.
    pub fn latest(&mut self) -> Option<Frame<'_>> {
        self.release();
        if !self.join() {
            return None;
        }
        let (held, meta) = self.take_newest(0)?;
        Some(self.hand_out(held, meta))
    }

    /// Whether there is a frame that this reader has not seen. Costs a few nanoseconds.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.cursor.state() == CursorState::Joined && self.ring.head() > self.next_sequence()
    }

    /// How the ring ended, if it has; there may still be frames to be seen.
    #[must_use]
    pub fn ending(&self) -> Option<RingEnd> {
        self.ring.ending()
    }

    /// Whether the ring has ended and everything in it has been seen.
    #[must_use]
    pub fn is_ended_and_drained(&self) -> bool {
        // In this order: once the end is seen, the head cannot move any more.
        self.ending().is_some() && !self.has_news()
    }

    /// Whether the coordinator has declared this reader gone. The producer does not wait for it any more, and its
    /// frames may be overwritten while it looks at them.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.cursor.state() == CursorState::Gone
    }

    /// The bell to poll for reading between [`Reader::prepare_to_wait`] and [`Reader::finish_wait`].
    #[must_use]
    pub fn doorbell(&self) -> BorrowedFd<'_> {
        self.data.as_fd()
    }

    /// Announces a sleep. True: nothing is new, and the doorbell will ring for the next frame and for the end; poll it
    /// and then call [`Reader::finish_wait`]. False: there is news or an end already, do not sleep. Every poll needs an
    /// announcement of its own.
    #[must_use]
    pub fn prepare_to_wait(&mut self) -> bool {
        self.release();
        self.announce_sleep();
        let may_sleep = self.look().is_none();
        if !may_sleep {
            self.cursor.place().waiting.store(0, Ordering::Relaxed);
        }
        may_sleep
    }

    pub(super) fn announce_sleep(&mut self) {
        self.sleeps += 1;
        self.cursor.place().waiting.store(self.sleeps, Ordering::Relaxed);
        // Pairs with the fence of a producer that publishes or ends: it sees the flag, or its word is seen here.
        see_each_other();
    }

    /// Ends a sleep: takes the announcement back and silences the bell. Look for news afterwards, whatever woke you.
    pub fn finish_wait(&mut self) {
        self.cursor.place().waiting.store(0, Ordering::Relaxed);
        self.data.drain();
        self.is_lively = false;
    }

    /// Waits for news, for at most `patience`. Blocks; looks for a moment before it sleeps, if frames are flowing.
    ///
    /// # Errors
    /// - [`WaitError::Poll`]: the system did not let the reader sleep.
    pub fn wait(&mut self, patience: Duration) -> Result<Wake, WaitError> {
        self.release();
        let patience = Patience::of(patience);
        let spin = if self.is_lively { self.spin } else { Duration::ZERO };
        if let Some(wake) = look_briefly(spin, || self.look()) {
            return Ok(wake);
        }
        loop {
            if self.prepare_to_wait() {
                let slept = sleep_on([self.doorbell()], patience);
                self.finish_wait();
                slept?;
            }
            match self.look() {
                Some(wake) => return Ok(wake),
                None if patience.is_over() => return Ok(Wake::TimedOut),
                None => {}
            }
        }
    }

    fn look(&self) -> Option<Wake> {
        // In this order: once the end is seen, the head cannot move any more.
        let ending = self.ending();
        if self.has_news() {
            Some(Wake::News)
        } else if self.is_gone() {
            Some(Wake::Gone)
        } else {
            ending.map(Wake::Ended)
        }
    }

    /// Whether the producer takes this reader into account; once it does, the reader knows where it starts.
    pub(super) fn join(&mut self) -> bool {
        if !self.has_joined() {
            return false;
        }
        self.position = self.next_sequence();
        self.has_joined = true;
        true
    }

    pub(super) fn has_joined(&self) -> bool {
        self.cursor.state() == CursorState::Joined
    }

    /// The first frame that it is not done with, once it has joined.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Holds that until it is released.
    pub(super) fn hold(&mut self, held: Held) {
        self.held = Some(held);
        self.is_lively = true;
    }

    /// The first frame that it is not done with. The producer decides where a reader starts, once.
    fn next_sequence(&self) -> u64 {
        if self.has_joined { self.position } else { self.cursor.place().position.load(Ordering::Relaxed) }
    }

    /// The oldest frame that this reader has not seen. Its position protects it, so it needs no pin.
    fn take_oldest(&mut self) -> Option<(Held, FrameMeta)> {
        let head = self.ring.head();
        // A producer that keeps to the protocol is never a whole ring ahead.
        let oldest = head.saturating_sub(self.ring.slots() as u64);
        if self.position < oldest {
            self.write_off(oldest);
        }
        while self.position < head {
            let mark = self.position + 1;
            if let Some((slot, meta)) = self.inspect(mark, has) {
                return Some((Held { slot, mark, is_pinned: false }, meta));
            }
            self.write_off(mark);
        }
        None
    }

    /// Pins the newest frame, if its number is at least `from`.
    fn take_newest(&mut self, from: u64) -> Option<(Held, FrameMeta)> {
        let mut missed = 0;
        for _ in 0..CATCHES {
            let mark = self.ring.head();
            if mark == 0 || mark <= from {
                return None;
            }
            hold(&self.cursor.place().pin, mark);
            if let Some((slot, meta)) = self.inspect(mark, has) {
                self.skip_to(meta.sequence);
                return Some((Held { slot, mark, is_pinned: true }, meta));
            }
            self.unpin();
            if mark == missed {
                // The newest frame is never taken away, so the same one cannot be missed twice.
                self.skip_to(mark - 1);
                self.write_off(mark);
                return None;
            }
            missed = mark;
        }
        None
    }

    /// Where the frame with this mark lies and what is known about it, if it is there and makes sense.
    pub(super) fn inspect(&self, mark: u64, has: Has) -> Option<(usize, FrameMeta)> {
        self.inspect_slot(self.ring.find(mark - 1)?, mark, has)
    }

    /// The same, if it lies in that slot.
    pub(super) fn inspect_slot(&self, slot: usize, mark: u64, has: Has) -> Option<(usize, FrameMeta)> {
        let words = self.ring.slot(slot);
        // The pixels and words that were written before the mark are visible from here on.
        if !has(&words.mark, mark) {
            return None;
        }
        let meta = read_meta(words, mark - 1)?;
        (meta.bytes <= self.max_frame_bytes()).then_some((slot, meta))
    }

    /// Counts and lends a frame that is protected by now.
    fn hand_out(&mut self, held: Held, meta: FrameMeta) -> Frame<'_> {
        if meta.sequence >= self.position {
            add(&self.cursor.place().taken, 1);
        }
        self.hold(held);
        Frame::held(meta, Hold { reader: self, held, bytes: meta.bytes })
    }

    /// Gives the held frame back, if there is one, and with it everything below.
    pub(super) fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        if held.mark > self.position {
            self.position = held.mark;
            // Release: all that was done with the pixels is done before the producer can see that they are free.
            self.cursor.place().position.store(self.position, Ordering::Release);
        }
        if held.is_pinned {
            self.unpin();
        } else {
            self.offer_space();
        }
    }

    pub(super) fn unpin(&mut self) {
        let_go(&self.cursor.place().pin);
        // Also if the pin was in vain: it may have scared the producer away from the only free slot.
        self.offer_space();
    }

    /// Passes over everything below `sequence` in favour of it.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        let passed = sequence.saturating_sub(self.position);
        if passed > 0 {
            add(&self.cursor.place().skipped, passed);
            self.move_to(sequence);
        }
    }

    /// Passes over everything below `sequence`, because it cannot be read.
    fn write_off(&mut self, sequence: u64) {
        let lost = sequence.saturating_sub(self.position);
        if lost > 0 {
            add(&self.cursor.place().damaged, lost);
            self.move_to(sequence);
        }
    }

    fn move_to(&mut self, sequence: u64) {
        self.position = sequence;
        self.cursor.place().position.store(sequence, Ordering::Release);
        self.offer_space();
    }

    /// Wakes the producer, if it sleeps for want of a slot.
    pub(super) fn offer_space(&mut self) {
        // Pairs with the fence of a producer that goes to sleep: it sees what was given back, or its flag is seen here.
        see_each_other();
        let sleep = self.ring.sleep().producer_waiting.load(Ordering::Relaxed);
        if sleep != 0 && sleep != self.rung {
            self.rung = sleep;
            self.space.ring();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.release();
        self.cursor.mark_gone();
        self.offer_space();
    }
}

/// What is known about the frame in a slot, if it makes sense. All of it is copied before it is checked.
fn read_meta(words: &SlotWords, sequence: u64) -> Option<FrameMeta> {
    let format = FrameFormat {
        width: words.width.load(Ordering::Relaxed),
        height: words.height.load(Ordering::Relaxed),
        stride_bytes: words.stride_bytes.load(Ordering::Relaxed),
        pixel: PixelType::from_code(words.pixel.load(Ordering::Relaxed))?,
    };
    format.check().ok()?;
    Some(FrameMeta {
        sequence,
        format,
        bytes: format.byte_len(),
        exposure_us: f64::from_bits(words.exposure_us.load(Ordering::Relaxed)),
        device_time_ns: words.device_time_ns.load(Ordering::Relaxed),
        host_time_ns: words.host_time_ns.load(Ordering::Relaxed),
        source_index: words.source_index.load(Ordering::Relaxed),
    })
}

/// What keeps a frame from changing; dropping it gives the frame back.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    reader: &'a mut Reader,
    held: Held,
    bytes: u64,
}

impl Hold<'_> {
    /// The bytes of the frame.
    pub(super) fn pixels(&self) -> &[u8] {
        self.reader.pixels_of(self.held, self.bytes)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.reader.is_still(self.held)
    }
}

impl Reader {
    /// The bytes of a frame that is held: by the hold or the stack from which it is asked for, which borrows this reader.
    pub(super) fn pixels_of(&self, held: Held, bytes: u64) -> &[u8] {
        let pixels = self.ring.pixels(held.slot, bytes);
        // SAFETY: the range is mapped for as long as the reader lives, and readable. Nobody writes to it while it is
        // held: the producer (`take_if_free`) leaves alone what a cursor pins or has not passed, and the cursor changes
        // only in `release`, when the hold or the stack is dropped that borrows the reader. Producers of other processes
        // are trusted to run the same code; what remains if they do not is told in the header of `shm`.
        unsafe { pixels.as_ref() }
    }

    /// Whether the slot still carries the mark it had when the frame was taken.
    pub(super) fn is_still(&self, held: Held) -> bool {
        // What was read from the pixels was read before the mark is looked at.
        fence(Ordering::Acquire);
        let mark = self.ring.slot(held.slot).mark.load(Ordering::Relaxed);
        // A producer that is about to take the slot will find it held.
        mark & !TAKING == held.mark
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.reader.release();
    }
}
