//! How records go through a lane, and how its taker is woken: the three who take part, over any memory.
//!
//! Owns every access to the words of a lane, in its order. The model in the tests tries all orders of events with this
//! very code; whoever changes it runs that first.

use super::words::{LaneMemory, Word};
use super::{LaneError, MAX_RECORD_BYTES, Put, Taken};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Nobody looks: the taker is to be called by other means.
pub(super) const ASLEEP: u32 = 0;
/// The taker looks, or will before it sleeps.
pub(super) const LOOKING: u32 = 1;
/// The taker sleeps on this very word.
pub(super) const DOZING: u32 = 2;
/// As `ASLEEP`, and it has been called.
pub(super) const CALLED: u32 = 3;

/// How far ahead of a record memory is asked for, in words: a command and a half of usual length.
const AHEAD: [u64; 3] = [8, 16, 24];

/// Wakes a taker that dozes. What it has said since stands.
fn rouse<M: LaneMemory>(lane: &M) {
    if lane.state().change(DOZING, LOOKING).is_ok() {
        lane.wake();
    }
}

/// The end of a lane that puts records in.
#[derive(Debug)]
pub(super) struct Putter<M> {
    lane: M,
    /// How far records are written. What lies behind the lane's own `end` is not there yet.
    end: u64,
    /// How far the taker had come at the last look.
    start: u64,
    /// Whether it has said that it waits for room.
    waits: bool,
}

impl<M: LaneMemory> Putter<M> {
    pub(super) fn new(lane: M) -> Self {
        Self { lane, end: 0, start: 0, waits: false }
    }

    pub(super) fn put(&mut self, bytes: &[u8], beside: u32) -> Put {
        if !self.write(bytes, beside) {
            return Put::Full;
        }
        self.publish()
    }

    pub(super) fn note_beside(&self, count: u32) {
        self.lane.beside().store(count, Ordering::Release);
    }

    /// There is no room for so many bytes: from now on whoever has taken everything says so. Says whether there is
    /// room after all.
    pub(super) fn wait_for_room(&mut self, bytes: usize) -> bool {
        self.waits = true;
        self.lane.wanted().store(1, Ordering::Relaxed);
        self.lane.fence();
        self.has_room(words_for(bytes))
    }

    /// Writes a record behind what is there; says whether there was room.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8], beside: u32) -> bool {
        let needed = words_for(bytes.len());
        if !self.has_room(needed) {
            return false;
        }
        if self.waits {
            self.waits = false;
            self.lane.wanted().store(0, Ordering::Relaxed);
        }
        let head = bytes.len() as u64 | u64::from(beside) << 32;
        self.lane.record(self.end).store(head, Ordering::Relaxed);
        let (first, more) = self.lane.run(self.end + 1, needed - 1);
        let (bytes, further) = bytes.split_at(bytes.len().min(8 * first.len()));
        store(first, bytes);
        store(more, further);
        self.end += needed;
        // What the next record is likely to need: the taker has that memory, from the last time round.
        AHEAD.into_iter().for_each(|ahead| self.lane.soon_written(self.end + ahead));
        true
    }

    /// What was written is there from now on: the taker sees it, or is to be called.
    #[inline]
    pub(super) fn publish(&self) -> Put {
        self.lane.end().store(self.end, Ordering::Release);
        self.lane.fence();
        match self.lane.state().load(Ordering::Relaxed) {
            LOOKING | CALLED => Put::Seen,
            DOZING => {
                rouse(&self.lane);
                Put::Seen
            }
            _ => match self.lane.state().change(ASLEEP, CALLED) {
                Ok(_) => Put::Unseen,
                Err(DOZING) => {
                    rouse(&self.lane);
                    Put::Seen
                }
                Err(_) => Put::Seen,
            },
        }
    }

    #[inline]
    fn has_room(&mut self, needed: u64) -> bool {
        // A taker that lies about how far it has come finds the lane full, or loses what it has not taken.
        let is_free = |start: u64, end: u64| end.wrapping_sub(start).saturating_add(needed) <= M::ROOM;
        if !is_free(self.start, self.end) {
            self.start = self.lane.start().load(Ordering::Acquire);
        }
        is_free(self.start, self.end)
    }
}

/// Writes bytes into just as many words as they need.
#[inline]
fn store<W: Word<u64>>(words: &[W], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, chunk) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
    }
    if let (Some(word), false) = (words.last(), rest.is_empty()) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}

/// Reads what [`store`] has written.
#[inline]
fn load<W: Word<u64>>(words: &[W], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    for (word, chunk) in words.iter().zip(whole) {
        *chunk = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let (Some(word), false) = (words.last(), rest.is_empty()) {
        rest.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes()[..rest.len()]);
    }
}

/// How many words a record of so many bytes takes.
#[inline]
fn words_for(bytes: usize) -> u64 {
    1 + bytes.div_ceil(8) as u64
}

/// The end of a lane that takes records out.
#[derive(Debug)]
pub(super) struct Taker<M: LaneMemory> {
    lane: M,
    /// As in the lane, for those who look; what is found there is not believed.
    start: Arc<M::Long>,
    /// How far the putter had come at the last look.
    end: u64,
    /// How far it has told the putter that it has come: at most an eighth of the lane behind the truth, since every word
    /// of it takes the putter's memory out of the hands of its processor.
    told: u64,
}

impl<M: LaneMemory> Taker<M> {
    pub(super) fn new(lane: M) -> Self {
        Self { lane, start: Arc::default(), end: 0, told: 0 }
    }

    /// Whether more was there at the last look.
    #[inline]
    pub(super) fn knows_more(&self) -> bool {
        self.start.load(Ordering::Relaxed) != self.end
    }

    pub(super) fn take(&mut self, buffer: &mut [u8], beside: u32) -> Result<Taken, LaneError> {
        let start = self.start.load(Ordering::Relaxed);
        if start == self.end {
            self.end = self.lane.end().load(Ordering::Acquire);
            if start == self.end {
                return Ok(Taken::Nothing);
            }
        }
        let words = self.end.wrapping_sub(start);
        let head = self.lane.record(start).load(Ordering::Relaxed);
        let (length, tag) = ((head & u64::from(u32::MAX)) as usize, (head >> 32) as u32);
        let needed = words_for(length);
        if words > M::ROOM || length > MAX_RECORD_BYTES.min(buffer.len()) || needed > words {
            return Err(LaneError::NoRecord { bytes: length as u64, words });
        }
        // Counts wrap around: whatever is less than half of all numbers ahead has yet to come.
        if tag.wrapping_sub(beside) as i32 > 0 {
            return Ok(Taken::Later);
        }
        let (first, more) = self.lane.run(start + 1, needed - 1);
        let (bytes, further) = buffer[..length].split_at_mut(length.min(8 * first.len()));
        load(first, bytes);
        load(more, further);
        let taken = start + needed;
        // The putter has that memory, and is done with it as far as is known.
        for ahead in AHEAD.into_iter().filter(|ahead| words - needed > *ahead) {
            self.lane.soon_read(taken + ahead);
        }
        self.start.store(taken, Ordering::Relaxed);
        if taken.wrapping_sub(self.told) >= M::ROOM / 8 {
            self.told = taken;
            self.lane.start().store(taken, Ordering::Release);
        }
        Ok(Taken::Record(length))
    }

    pub(super) fn watcher(&self) -> Watcher<M> {
        Watcher { lane: self.lane.clone(), start: Arc::clone(&self.start) }
    }
}

/// Who looks at a lane without taking anything, and says how its taker is to be woken.
#[derive(Debug)]
pub(super) struct Watcher<M: LaneMemory> {
    lane: M,
    /// How far the taker has come, as it says itself: the other side can write to the lane's own word.
    start: Arc<M::Long>,
}

// Derived, it would ask that words can be cloned.
impl<M: LaneMemory> Clone for Watcher<M> {
    fn clone(&self) -> Self {
        Self { lane: self.lane.clone(), start: Arc::clone(&self.start) }
    }
}

impl<M: LaneMemory> Watcher<M> {
    pub(super) fn has_packets(&self, beside: u32) -> bool {
        self.lane.beside().load(Ordering::Acquire) != beside
    }

    pub(super) fn has_records(&self) -> bool {
        self.lane.end().load(Ordering::Acquire) != self.start.load(Ordering::Relaxed)
    }

    /// How far the taker has come, when it has taken everything and the putter waits for room.
    pub(super) fn awaited_at(&self) -> Option<u64> {
        let waits = self.lane.wanted().load(Ordering::Relaxed) != 0 && !self.has_records();
        waits.then(|| self.start.load(Ordering::Relaxed))
    }

    pub(super) fn begin_looking(&self) {
        self.lane.state().store(LOOKING, Ordering::Relaxed);
    }

    pub(super) fn fall_asleep(&self) {
        self.lane.state().store(ASLEEP, Ordering::Relaxed);
        self.lane.fence();
    }

    pub(super) fn lie_down(&self) {
        self.lane.state().store(DOZING, Ordering::Relaxed);
        self.lane.fence();
    }

    pub(super) fn doze(&self, patience: Duration) {
        self.lane.sleep(DOZING, patience);
        self.begin_looking();
    }

    pub(super) fn rouse(&self) {
        // Whoever lies down after this sees why it is roused.
        self.lane.fence();
        rouse(&self.lane);
        // Also one whose word the other side has changed.
        self.lane.wake();
    }
}
