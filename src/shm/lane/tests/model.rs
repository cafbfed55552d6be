//! A lane and a pipe in memory in which every order of events is tried, and mistakes that can be planted there.
//!
//! The protocol that runs over it is the one of every rig. What is modelled is what lies below it: loom's words, which
//! show a reader what the memory model of C11 lets it see, old values too; a futex; and the pipe, a queue behind a lock.

use super::super::words::{LaneMemory, Word};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is wrong with a lane, so that a test can show that it would be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    None,
    /// A record is put, and `state` looked at, without a fence between.
    PutterWithoutFence,
    /// `state` is said, and the lane looked at, without a fence between.
    TakerWithoutFence,
    /// Whoever asks and rouses has no fence between.
    RouserWithoutFence,
    /// `end` is stored without releasing what was written before.
    LaxEnd,
    /// `state` is looked at and then overwritten, not exchanged in one step.
    StateOverwritten,
    /// The taker goes to sleep whatever `state` says by then.
    SleepsUnasked,
    /// The taker looks before it says that it sleeps, and not after.
    LooksTooEarly,
    /// A packet is handed out without a look for records that were put before it.
    PacketsOvertake,
    /// Records do not say how many packets were sent before them.
    RecordsOvertake,
}

/// Who holds a handle of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Putter,
    Taker,
    Rouser,
}

#[derive(Debug, Default)]
pub(super) struct Long {
    word: AtomicU64,
    is_lax: bool,
}

#[derive(Debug, Default)]
pub(super) struct Short {
    word: AtomicU32,
    is_overwritten: bool,
}

impl Word<u64> for Long {
    fn load(&self, ordering: Ordering) -> u64 {
        self.word.load(ordering)
    }

    fn store(&self, value: u64, ordering: Ordering) {
        self.word.store(value, if self.is_lax { Ordering::Relaxed } else { ordering });
    }

    fn change(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed)
    }
}

impl Word<u32> for Short {
    fn load(&self, ordering: Ordering) -> u32 {
        self.word.load(ordering)
    }

    /// Between what one side exchanges and what the other stores afterwards there is an order, which loom knows of only
    /// when the store has seen the exchange.
    fn store(&self, value: u32, ordering: Ordering) {
        self.word.swap(value, ordering);
    }

    fn change(&self, from: u32, to: u32) -> Result<u32, u32> {
        if !self.is_overwritten {
            return self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed);
        }
        let found = self.word.load(Ordering::SeqCst);
        if found != from {
            return Err(found);
        }
        self.word.store(to, Ordering::SeqCst);
        Ok(found)
    }
}

/// A lane of four words: two records of eight bytes fill it, and the third one wraps around.
#[derive(Debug)]
struct Words {
    end: Long,
    beside: Short,
    wanted: Short,
    start: Long,
    state: Short,
    records: [Long; 4],
    bed: Mutex<()>,
    alarm: Condvar,
}

/// A handle of a lane.
#[derive(Debug, Clone)]
pub(super) struct ModelLane {
    words: Arc<Words>,
    mistake: Mistake,
    side: Side,
}

impl ModelLane {
    pub(super) fn new(mistake: Mistake) -> Self {
        let is = |other| mistake == other;
        let words = Words {
            end: Long { is_lax: is(Mistake::LaxEnd), ..Long::default() },
            beside: Short::default(),
            wanted: Short::default(),
            start: Long::default(),
            state: Short { is_overwritten: is(Mistake::StateOverwritten), ..Short::default() },
            records: Default::default(),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
        };
        Self { words: Arc::new(words), mistake, side: Side::Putter }
    }

    /// The same lane, in the hands of another.
    pub(super) fn of(&self, side: Side) -> Self {
        Self { side, ..self.clone() }
    }
}

impl LaneMemory for ModelLane {
    type Long = Long;
    type Short = Short;

    const ROOM: u64 = 4;

    fn records(&self) -> &[Long] {
        &self.words.records
    }

    fn end(&self) -> &Long {
        &self.words.end
    }

    fn beside(&self) -> &Short {
        &self.words.beside
    }

    fn wanted(&self) -> &Short {
        &self.words.wanted
    }

    fn start(&self) -> &Long {
        &self.words.start
    }

    fn state(&self) -> &Short {
        &self.words.state
    }

    fn fence(&self) {
        let is_left_out = match self.mistake {
            Mistake::PutterWithoutFence => self.side == Side::Putter,
            Mistake::TakerWithoutFence => self.side == Side::Taker,
            Mistake::RouserWithoutFence => self.side == Side::Rouser,
            _ => false,
        };
        if !is_left_out {
            fence(Ordering::SeqCst);
        }
    }

    /// As the system does it: the word is looked at under the lock that whoever wakes takes as well. There is no
    /// patience, so that a wake-up that is missed is missed for ever, and found.
    fn sleep(&self, asleep: u32, _patience: Duration) {
        let bed = self.words.bed.lock().expect("nobody panics in it");
        if self.mistake == Mistake::SleepsUnasked || self.words.state.load(Ordering::Relaxed) == asleep {
            drop(self.words.alarm.wait(bed).expect("nobody panics in it"));
        }
    }

    fn wake(&self) {
        let _bed = self.words.bed.lock().expect("nobody panics in it");
        self.words.alarm.notify_all();
    }
}

/// A pipe that is never full.
#[derive(Debug)]
pub(super) struct ModelPipe<P> {
    packets: Mutex<VecDeque<P>>,
    bell: Condvar,
}

impl<P> ModelPipe<P> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { packets: Mutex::new(VecDeque::new()), bell: Condvar::new() })
    }

    pub(super) fn send(&self, packet: P) {
        self.packets.lock().expect("nobody panics in it").push_back(packet);
        self.bell.notify_all();
    }

    pub(super) fn receive(&self) -> Option<P> {
        self.packets.lock().expect("nobody panics in it").pop_front()
    }

    /// Waits until there is something.
    pub(super) fn poll(&self) {
        let mut packets = self.packets.lock().expect("nobody panics in it");
        while packets.is_empty() {
            packets = self.bell.wait(packets).expect("nobody panics in it");
        }
    }
}
