//! Two rings of slots in shared memory, one each way, each with one writer and one reader.
//!
//! Who waits looks for at most 20 µs, and offers its processor every 32 looks; then it sleeps on a flag. The waker
//! reads that same flag after it has shown what it has to show, so that no wake-up is lost: a flag that was cleared too
//! late is a wait that does not begin, and never one that does not end.

use std::hint::spin_loop;
use std::io::stdin;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use harness::memory::Shared;
use harness::team::{Answer, Far, Message, Near};
use rustix::io::Errno;
use rustix::thread::{futex, sched_yield};
use serde::Serialize;
use serde::de::DeserializeOwned;

const SLOTS: u64 = 1024;
/// A slot's first word is the length of the message in the others.
const SLOT_WORDS: usize = 16;
const MOST_BYTES: usize = (SLOT_WORDS - 1) * 8;
/// Words of different writers lie in cache lines of their own, two apart for processors that fetch pairs.
const LINE: usize = 16;
const LANE_WORDS: usize = 4 * LINE + SLOTS as usize * SLOT_WORDS;
/// Before the lanes: whether the coordinator has left.
const LANES_AT: usize = LINE;

const LONGEST_LOOK: Duration = Duration::from_micros(20);
const LOOKS_PER_YIELD: u32 = 32;
/// Longer than any work takes: a child that is silent for so long is dead.
const PATIENCE: futex::Timespec = futex::Timespec { tv_sec: 30, tv_nsec: 0 };

/// The words of one lane.
struct Lane<'a> {
    /// How many messages have been written.
    head: &'a AtomicU64,
    /// How many have been read.
    tail: &'a AtomicU64,
    /// Whether the reader sleeps, or is about to.
    reader_sleeps: &'a AtomicU32,
    /// Whether the writer does.
    writer_sleeps: &'a AtomicU32,
    slots: &'a [AtomicU64],
}

impl<'a> Lane<'a> {
    fn of(memory: &'a Shared, which: usize) -> Self {
        let at = LANES_AT + which * LANE_WORDS;
        let (words, halves) = (memory.words(), memory.half_words());
        Self {
            head: &words[at],
            tail: &words[at + LINE],
            reader_sleeps: &halves[2 * (at + 2 * LINE)],
            writer_sleeps: &halves[2 * (at + 3 * LINE)],
            slots: &words[at + 4 * LINE..at + LANE_WORDS],
        }
    }

    fn slot(&self, number: u64) -> &'a [AtomicU64] {
        let at = (number % SLOTS) as usize * SLOT_WORDS;
        &self.slots[at..at + SLOT_WORDS]
    }
}

/// One side's view of both lanes.
struct Side {
    memory: Shared,
    out_lane: usize,
    written: u64,
    read: u64,
    patience: Option<&'static futex::Timespec>,
}

impl Side {
    fn new(memory: Shared, out_lane: usize, patience: Option<&'static futex::Timespec>) -> Self {
        Self { memory, out_lane, written: 0, read: 0, patience }
    }

    fn closed(&self) -> &AtomicU32 {
        &self.memory.half_words()[0]
    }

    fn say(&mut self, value: &impl Serialize) {
        let mut buffer = [0; MOST_BYTES];
        let length = postcard::to_slice(value, &mut buffer).expect("a message fits its slot").len();
        let lane = Lane::of(&self.memory, self.out_lane);
        let number = self.written;
        self.wait(lane.writer_sleeps, || number < lane.tail.load(Ordering::Acquire) + SLOTS);
        let slot = lane.slot(number);
        slot[0].store(length as u64, Ordering::Relaxed);
        for (word, bytes) in slot[1..].iter().zip(buffer[..length.next_multiple_of(8)].chunks_exact(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().expect("eight")), Ordering::Relaxed);
        }
        // Release: who sees the count sees the message.
        lane.head.store(number + 1, Ordering::Release);
        wake(lane.reader_sleeps);
        self.written = number + 1;
    }

    /// The next value; none when the coordinator has left.
    fn hear<T: DeserializeOwned>(&mut self) -> Option<T> {
        let lane = Lane::of(&self.memory, 1 - self.out_lane);
        let number = self.read;
        let is_there = || lane.head.load(Ordering::Acquire) > number;
        let is_over = || self.closed().load(Ordering::Acquire) != 0;
        self.wait(lane.reader_sleeps, || is_there() || is_over());
        if !is_there() {
            return None;
        }
        let slot = lane.slot(number);
        let length = usize::try_from(slot[0].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let mut buffer = [0; MOST_BYTES];
        let message = buffer.get_mut(..length).expect("a message fits its slot");
        for (word, bytes) in slot[1..].iter().zip(message.chunks_mut(8)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes()[..bytes.len()]);
        }
        // Release: the slot has been read before it is written again.
        lane.tail.store(number + 1, Ordering::Release);
        wake(lane.writer_sleeps);
        self.read = number + 1;
        Some(postcard::from_bytes(&buffer[..length]).expect("what was sent can be decoded"))
    }

    /// Returns when `is_ready` has been so.
    fn wait(&self, sleeps: &AtomicU32, is_ready: impl Fn() -> bool) {
        if look(&is_ready) {
            return;
        }
        loop {
            sleeps.store(1, Ordering::Relaxed);
            // Pairs with the fence in `wake`: either this sees what was shown, or the waker sees the flag.
            fence(Ordering::SeqCst);
            if is_ready() {
                return sleeps.store(0, Ordering::Relaxed);
            }
            match futex::wait(sleeps, futex::Flags::empty(), 1, self.patience) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => panic!("nobody wakes this side of the ring: {error}"),
            }
        }
    }
}

/// Looks for a short while, without sleeping.
fn look(is_ready: impl Fn() -> bool) -> bool {
    if is_ready() {
        return true;
    }
    let begun = Instant::now();
    loop {
        for _ in 0..LOOKS_PER_YIELD {
            if is_ready() {
                return true;
            }
            spin_loop();
        }
        if begun.elapsed() >= LONGEST_LOOK {
            return false;
        }
        sched_yield();
    }
}

/// Wakes who sleeps on this flag.
fn wake(sleeps: &AtomicU32) {
    // Pairs with the fence in `Side::wait`.
    fence(Ordering::SeqCst);
    if sleeps.load(Ordering::Relaxed) == 1 && sleeps.swap(0, Ordering::Relaxed) == 1 {
        futex::wake(sleeps, futex::Flags::empty(), 1).expect("a futex can be woken");
    }
}

/// The coordinator's side.
pub(crate) struct Ring(Side);

impl Near for Ring {
    const ROLE: &'static str = "hand-ring-yield";

    fn open() -> (Self, OwnedFd) {
        let (memory, file) = Shared::create((LANES_AT + 2 * LANE_WORDS) * 8);
        (Self(Side::new(memory, 0, Some(&PATIENCE))), file)
    }

    fn write(&mut self, message: &Message) {
        self.0.say(message);
    }

    fn read(&mut self) -> Answer {
        self.0.hear().expect("only the coordinator leaves")
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.closed().store(1, Ordering::Release);
        wake(Lane::of(&self.0.memory, 0).reader_sleeps);
    }
}

/// A child's side.
pub(crate) struct ChildRing(Side);

impl Far for ChildRing {
    fn inherited() -> Self {
        Self(Side::new(Shared::of(&stdin().as_fd()), 1, None))
    }

    fn read(&mut self) -> Option<Message> {
        self.0.hear()
    }

    fn write(&mut self, answer: &Answer) {
        self.0.say(answer);
    }
}
