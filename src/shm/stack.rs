//! Stacks: frames that follow each other, held all at once.
//!
//! A lossless reader holds whatever it has not passed, so that it has but to wait. A reader of the latest frame *reserves*
//! the frames to come: it pins all of their marks by one word, and looks then, as for a single frame (`pinning` tells how),
//! which of those that were published meanwhile are still there; it begins behind the last that is not. From then on the
//! producer passes them by, as it passes a frame by that is pinned, until the stack is dropped.

use std::time::Duration;

use super::cursor::ReadMode;
use super::frame::{Frame, FrameMeta};
use super::layout::add;
use super::pinning::{has, reserve, still_has};
use super::reader::{Has, Held, Reader};
use super::ring_map::RingEnd;
use super::wait::{Patience, WaitError, sleep_on};

/// Slots that a stack leaves: one to be filled, one for the newest frame, one for another reader.
const LEFT_TO_OTHERS: u32 = 3;

/// Why there is no stack. Nothing is held; frames that came meanwhile are as unseen as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// So many frames can never be held at once.
    #[error("a stack of {frames} frames is impossible here, expected 1 to {most}: give the ring more slots")]
    Overflow {
        /// How many were asked for.
        frames: u32,
        /// The most that this ring can give.
        most: u32,
    },
    /// Not so many came in time.
    #[error("{there} of {frames} frames were there after {after:?}")]
    Underflow {
        /// How many were asked for.
        frames: u32,
        /// How many there were.
        there: u32,
        /// How long was waited.
        after: Duration,
    },
    /// The ring has ended before there were so many.
    #[error("{there} of {frames} frames were there when the ring ended")]
    Ended {
        /// How many were asked for.
        frames: u32,
        /// How many there were.
        there: u32,
        /// How it ended.
        end: RingEnd,
    },
    /// The coordinator has declared this reader gone.
    #[error("the reader was declared gone")]
    Gone,
    /// The producer published faster than the reader could reserve, or the ring's memory is damaged.
    #[error("frame {sequence} cannot be held")]
    Missed {
        /// Which frame.
        sequence: u64,
    },
    /// The system did not let the reader sleep.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// Frames that follow each other, none of which can change while this value lives. Dropping it gives all of them back.
#[derive(Debug)]
pub struct Stack<'a> {
    reader: &'a mut Reader,
    frames: Vec<(Held, FrameMeta)>,
}

impl Stack<'_> {
    /// How many frames it has.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    /// The frame at that place, from 0 on; nothing behind the last.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<Frame<'_>> {
        let (held, meta) = self.frames.get(index)?;
        Some(Frame::of_stack(*meta, self.reader, *held))
    }

    /// All its frames, in order.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.frames.iter().map(|(held, meta)| Frame::of_stack(*meta, self.reader, *held))
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        self.reader.release();
    }
}

impl Reader {
    /// Takes so many frames that follow each other, and holds all of them: for a lossless reader the oldest that it has not
    /// seen, for one of the latest frame those from the next on. Waits until they are there, for at most `patience`.
    ///
    /// A stack takes slots from others: besides [`minimum_slots`](super::minimum_slots) a ring needs `frames - 1` more for
    /// each reader that takes stacks, or the producer waits until one is given back.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use labrig::prelude::*;
    /// # fn example(scope: &Scope) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut video = scope.stream("video")?.reader(ReadMode::Latest)?;
    /// let stack = video.stack(8, Duration::from_secs(5))?;
    /// let brightest = stack.frames().flat_map(|frame| frame.bytes().iter().copied().max()).max();
    /// println!("{brightest:?} in frames {:?}", stack.frames().map(|it| it.meta().sequence).collect::<Vec<_>>());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`StackError::Overflow`]: the ring has too few slots.
    /// - [`StackError::Underflow`], [`StackError::Ended`], [`StackError::Gone`]: fewer frames came.
    /// - [`StackError::Missed`], [`StackError::Wait`]: see there.
    pub fn stack(&mut self, frames: u32, patience: Duration) -> Result<Stack<'_>, StackError> {
        let most = (self.ring.slots() as u32).saturating_sub(LEFT_TO_OTHERS);
        if !(1..=most).contains(&frames) {
            return Err(StackError::Overflow { frames, most });
        }
        self.release();
        let (after, patience) = (patience, Patience::of(patience));
        let first = self.begin_stack(frames, patience, after)?;
        let last = first + u64::from(frames) - 1;
        let there = self.await_frames(first, frames, patience, after);
        let held = match there.and_then(|()| (first..=last).map(|mark| self.hold_of(mark)).collect()) {
            Ok(held) => held,
            Err(error) => {
                self.unpin();
                return Err(error);
            }
        };
        self.skip_to(first - 1);
        add(&self.cursor.place().taken, u64::from(frames));
        self.hold(Held { slot: 0, mark: last, is_pinned: self.mode() == ReadMode::Latest });
        Ok(Stack { reader: self, frames: held })
    }

    fn hold_of(&self, mark: u64) -> Result<(Held, FrameMeta), StackError> {
        let (slot, meta) = self.locate(mark, still_has).ok_or(StackError::Missed { sequence: mark - 1 })?;
        Ok((Held { slot, mark, is_pinned: true }, meta))
    }

    /// As [`inspect`](Self::inspect), wherever the frame is: what the index said of one that has been held for a while is
    /// overwritten by what it says of newer ones.
    fn locate(&self, mark: u64, has: Has) -> Option<(usize, FrameMeta)> {
        let anywhere = || (0..self.ring.slots()).find_map(|slot| self.inspect_slot(slot, mark, has));
        self.inspect(mark, has).or_else(anywhere)
    }

    /// The mark of the first frame of a stack, which is held from here on.
    fn begin_stack(&mut self, frames: u32, patience: Patience, after: Duration) -> Result<u64, StackError> {
        while !self.join() {
            self.sleep_for_frames(frames, 0, patience, after, Self::has_joined)?;
        }
        match self.mode() {
            ReadMode::Lossless => Ok(self.position() + 1),
            ReadMode::Latest => self.reserve(frames),
        }
    }

    /// Pins the frames to come.
    fn reserve(&mut self, frames: u32) -> Result<u64, StackError> {
        let is_there = |mark| self.locate(mark, has).is_some();
        let reserved = reserve(&self.cursor.place().pin, frames, || self.ring.head(), is_there);
        reserved.map_err(|missed| {
            self.offer_space();
            StackError::Missed { sequence: missed - 1 }
        })
    }

    fn await_frames(
        &mut self,
        first: u64,
        frames: u32,
        patience: Patience,
        after: Duration,
    ) -> Result<(), StackError> {
        let are_there = |reader: &Self| reader.ring.head() >= first + u64::from(frames) - 1;
        while !are_there(self) {
            self.sleep_for_frames(frames, first, patience, after, are_there)?;
        }
        Ok(())
    }

    /// Sleeps once, unless what is waited for is there, or never will be.
    fn sleep_for_frames(
        &mut self,
        frames: u32,
        first: u64,
        patience: Patience,
        after: Duration,
        is_it: impl Fn(&Self) -> bool,
    ) -> Result<(), StackError> {
        self.announce_sleep();
        // In this order: once the end is seen, the head cannot move any more.
        let end = self.ending();
        let outcome = if is_it(self) {
            Ok(())
        } else if self.is_gone() {
            Err(StackError::Gone)
        } else {
            let there = |reader: &Self| match first {
                0 => 0,
                first => {
                    reader.ring.head().saturating_add(1).saturating_sub(first).min(u64::from(frames)) as u32
                }
            };
            match end {
                Some(end) => Err(StackError::Ended { frames, there: there(self), end }),
                None if patience.is_over() => {
                    Err(StackError::Underflow { frames, there: there(self), after })
                }
                None => sleep_on([self.doorbell()], patience).map_err(StackError::from),
            }
        };
        self.finish_wait();
        outcome
    }
}
