//! Pins in a model of memory in which everything that Rust allows happens, with a producer that dies at any step, and with
//! mistakes that the model must find.
//!
//! The protocol is the one of every ring. What is modelled is what lies around it: the words, and pixels of which the model
//! knows who may touch them when.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic as modelled;
use loom::thread;

use super::super::latch::Word;
use super::super::layout::TAKING;
use super::super::pinning::{has, hear, hold, holds, last_of, let_go, reserve, say, still_has, take_if_free};

/// Frames of a stack in the model. One slot more is filled, and one has the newest frame.
const DEPTH: u32 = 2;
const SLOTS: usize = 4;

/// What is wrong with a ring, so that a test can show that it would be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// The producer does not look for pins once it has said that it takes a slot.
    LooksAtPinsTooEarly,
    /// The producer leaves alone what the last mark of a pin says, and nothing before it.
    SeesOneFrameOfAPin,
    /// The reader takes for granted that what it pins is there.
    ReservesUnseen,
    /// The reader looks only for the first of the frames that were published meanwhile.
    LooksForTheFirst,
    /// The reader takes a held frame for lost whose slot the producer is about to take, before it finds it held.
    TakesDoubtForLoss,
}

/// What its user never does with a word.
const NOTHING_LEFT_OUT: u8 = 0;
const NO_FULL_FENCE: u8 = 1;
const NO_RELEASE: u8 = 2;
const NO_ACQUIRE: u8 = 3;

/// A word in somebody's hand, who may leave out one kind of fence.
struct Hand<'a, const LEFT_OUT: u8>(&'a Modelled);

struct Modelled {
    word: modelled::AtomicU64,
    /// How many steps whoever writes has to live.
    steps: Arc<AtomicUsize>,
}

impl<const LEFT_OUT: u8> Word for Hand<'_, LEFT_OUT> {
    const TRIES: u32 = 2;

    fn get(&self) -> u64 {
        self.0.word.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        if has_step(&self.0.steps) {
            self.0.word.store(value, Ordering::Relaxed);
        }
    }

    fn fence(order: Ordering) {
        let is_left_out = match LEFT_OUT {
            NO_FULL_FENCE => order == Ordering::SeqCst,
            NO_RELEASE => order == Ordering::Release,
            NO_ACQUIRE => order == Ordering::Acquire,
            _ => false,
        };
        if !is_left_out {
            modelled::fence(order);
        }
    }
}

fn has_step(steps: &AtomicUsize) -> bool {
    steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// Pixels: whoever touches them while another does, without an order between the two, is found by the model.
#[derive(Default)]
struct Pixels {
    touched: UnsafeCell<()>,
    number: AtomicU64,
}

/// The words of a ring with one reader.
struct Ring {
    marks: Vec<Modelled>,
    pixels: Vec<Pixels>,
    head: Modelled,
    pin: Modelled,
    producer_steps: Arc<AtomicUsize>,
    mistake: Mistake,
}

impl Ring {
    fn new(producer_steps: usize, mistake: Mistake) -> Self {
        let (mortal, immortal) =
            (Arc::new(AtomicUsize::new(producer_steps)), Arc::new(AtomicUsize::new(usize::MAX)));
        let word = |steps: &Arc<AtomicUsize>| Modelled {
            word: modelled::AtomicU64::new(0),
            steps: Arc::clone(steps),
        };
        Self {
            marks: (0..SLOTS).map(|_| word(&mortal)).collect(),
            pixels: (0..SLOTS).map(|_| Pixels::default()).collect(),
            head: word(&mortal),
            pin: word(&immortal),
            producer_steps: mortal,
            mistake,
        }
    }

    /// As `Producer` and `FrameSlot` do it; whether there was a free slot.
    fn publish<const LEFT_OUT: u8>(&self, marks: &mut [u64; SLOTS], mark: u64) -> bool {
        let hand = |word| Hand::<LEFT_OUT>(word);
        let free = (0..SLOTS).find(|&slot| {
            let looks = Cell::new(0);
            let is_pinned = |mark| {
                looks.set(looks.get() + 1);
                match self.mistake {
                    Mistake::LooksAtPinsTooEarly if looks.get() > 1 => false,
                    Mistake::SeesOneFrameOfAPin => last_of(hear(&hand(&self.pin))) == mark,
                    _ => holds(&hand(&self.pin), mark),
                }
            };
            take_if_free(&hand(&self.marks[slot]), &mut marks[slot], mark - 1, u64::MAX, is_pinned)
        });
        let Some(slot) = free else { return false };
        if has_step(&self.producer_steps) {
            self.pixels[slot].touched.with_mut(|_| self.pixels[slot].number.store(mark, Ordering::Relaxed));
        }
        say(&hand(&self.marks[slot]), mark);
        marks[slot] = mark;
        say(&hand(&self.head), mark);
        Hand::<LEFT_OUT>::fence(Ordering::SeqCst);
        true
    }

    fn slot_of<const LEFT_OUT: u8>(&self, mark: u64) -> Option<usize> {
        self.marks.iter().position(|word| has(&Hand::<LEFT_OUT>(word), mark))
    }

    fn slot_of_held<const LEFT_OUT: u8>(&self, mark: u64) -> Option<usize> {
        match self.mistake {
            Mistake::TakesDoubtForLoss => self.slot_of::<LEFT_OUT>(mark),
            _ => self.marks.iter().position(|word| still_has(&Hand::<LEFT_OUT>(word), mark)),
        }
    }

    /// Looks at the frame with this mark, which is held.
    fn look(&self, slot: usize, mark: u64) {
        let pixels = &self.pixels[slot];
        pixels.touched.with(|_| assert_eq!(pixels.number.load(Ordering::Relaxed), mark, "torn"));
        assert_eq!(self.marks[slot].word.load(Ordering::Relaxed) & !TAKING, mark, "torn");
    }

    /// Takes a stack, looks at it twice and gives it back; the mark of its last frame, if all of them came.
    fn take_stack<const LEFT_OUT: u8>(&self) -> Option<u64> {
        let (pin, head) = (Hand::<LEFT_OUT>(&self.pin), || hear(&Hand::<LEFT_OUT>(&self.head)));
        let looks = Cell::new(0);
        let is_there = |mark| {
            looks.set(looks.get() + 1);
            match self.mistake {
                Mistake::ReservesUnseen => true,
                Mistake::LooksForTheFirst if looks.get() > 1 => true,
                _ => self.slot_of::<LEFT_OUT>(mark).is_some(),
            }
        };
        let first = reserve(&pin, DEPTH, head, is_there).ok()?;
        let last = first + u64::from(DEPTH) - 1;
        let held = (head() >= last).then(|| {
            let slot_of = |mark| self.slot_of_held::<LEFT_OUT>(mark);
            let slots: Vec<_> = (first..=last)
                .map(|mark| slot_of(mark).unwrap_or_else(|| panic!("torn: no {mark}")))
                .collect();
            for _ in 0..2 {
                slots.iter().zip(first..).for_each(|(slot, mark)| self.look(*slot, mark));
            }
            last
        });
        let_go(&pin);
        held
    }

    /// Holds the newest frame, as `Reader` does it, and looks at it.
    fn take_newest<const LEFT_OUT: u8>(&self) {
        let pin = Hand::<LEFT_OUT>(&self.pin);
        let mark = hear(&Hand::<LEFT_OUT>(&self.head));
        if mark > 0 {
            hold(&pin, mark);
            if let Some(slot) = self.slot_of::<LEFT_OUT>(mark) {
                self.look(slot, mark);
            }
            let_go(&pin);
        }
    }
}

/// Every course of a producer that publishes so many frames, or dies, and a reader.
fn model<const PRODUCER: u8, const READER: u8>(
    frames: u64,
    steps: usize,
    interruptions: usize,
    mistake: Mistake,
    read: fn(&Ring),
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(interruptions + usize::from(std::env::var_os("LABRIG_STORM").is_some()));
    model.check(move || {
        let ring = Arc::new(Ring::new(steps, mistake));
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            let mut marks = [0; SLOTS];
            for mark in 1..=frames {
                // A reader that goes on from one stack to the next while the slots are looked at may hide them all; it never
                // holds the producer back for longer, or this would have no end.
                while !theirs.publish::<PRODUCER>(&mut marks, mark) {
                    thread::yield_now();
                }
            }
        });
        read(&ring);
        producer.join().expect("it does not panic");
    });
}

fn stacks<const READER: u8>(ring: &Ring) {
    let last = ring.take_stack::<READER>();
    let next = ring.take_stack::<READER>();
    assert!(next.is_none_or(|next| next >= last.unwrap_or(0) + u64::from(DEPTH)), "{next:?} after {last:?}");
}

#[test]
fn in_every_course_of_the_model_a_stack_is_whole_and_the_producer_goes_on() {
    model::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(5, usize::MAX, 2, Mistake::None, stacks::<NOTHING_LEFT_OUT>);
}

#[test]
fn in_every_course_of_the_model_the_newest_frame_is_whole() {
    let read = Ring::take_newest::<NOTHING_LEFT_OUT>;
    model::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(4, usize::MAX, 3, Mistake::None, read);
}

#[test]
fn in_every_course_of_the_model_a_producer_that_dies_at_any_step_leaves_a_stack_whole() {
    for steps in 0..24 {
        let read = |ring: &Ring| assert!(ring.take_stack::<NOTHING_LEFT_OUT>().is_none_or(|last| last <= 5));
        model::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(5, steps, 1, Mistake::None, read);
    }
}

/// The model shows this mistake, by a failure that says so.
fn check_finds<const PRODUCER: u8, const READER: u8>(mistake: Mistake, complaints: &[&str]) {
    let play = || model::<PRODUCER, READER>(5, usize::MAX, 3, mistake, stacks::<READER>);
    let told = catch_unwind(AssertUnwindSafe(play)).expect_err("the mistake is found");
    let text = told.downcast_ref::<String>().map(String::as_str).or(told.downcast_ref::<&str>().copied());
    let is_told = |text: &str| complaints.iter().any(|complaint| text.contains(complaint));
    assert!(text.is_some_and(is_told), "{mistake:?}: {text:?}");
}

/// What the model says of pixels that are touched without an order between the two who do, and a scene of a frame that is
/// not what it ought to be.
const TORN: &[&str] = &["Causality violation", "torn"];
/// What a scene says of a frame that is held and not found.
const LOST: &[&str] = &["torn: no "];

#[test]
fn without_a_full_fence_on_both_sides_the_model_finds_a_torn_stack() {
    check_finds::<NO_FULL_FENCE, NOTHING_LEFT_OUT>(Mistake::None, TORN);
    check_finds::<NOTHING_LEFT_OUT, NO_FULL_FENCE>(Mistake::None, TORN);
}

#[test]
fn without_release_and_acquire_the_model_finds_pixels_in_two_hands() {
    check_finds::<NO_RELEASE, NOTHING_LEFT_OUT>(Mistake::None, TORN);
    check_finds::<NO_ACQUIRE, NOTHING_LEFT_OUT>(Mistake::None, TORN);
    check_finds::<NOTHING_LEFT_OUT, NO_RELEASE>(Mistake::None, TORN);
    check_finds::<NOTHING_LEFT_OUT, NO_ACQUIRE>(Mistake::None, TORN);
}

#[test]
fn the_model_finds_a_side_that_looks_too_little() {
    check_finds::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(Mistake::LooksAtPinsTooEarly, TORN);
    check_finds::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(Mistake::SeesOneFrameOfAPin, TORN);
    check_finds::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(Mistake::ReservesUnseen, LOST);
    check_finds::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(Mistake::LooksForTheFirst, LOST);
    check_finds::<NOTHING_LEFT_OUT, NOTHING_LEFT_OUT>(Mistake::TakesDoubtForLoss, LOST);
}
