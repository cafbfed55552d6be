//! The latch in a model of memory in which everything that Rust allows happens, and with a writer that dies at any step.

use std::cell::Cell;

use loom::sync::Arc;
use loom::sync::atomic as modelled;
use loom::thread;

use super::*;

/// Values of which one follows from the other.
type Related = [u64; 2];

fn related(number: u64) -> Related {
    [number, number * 7]
}

fn words<W: Word>(word: impl Fn() -> W) -> Vec<W> {
    let count = latch_words::<W>(Related::WORDS).expect("it is small");
    (0..count).map(|_| word()).collect()
}

/// What is taken is of one publication, and tells when that was.
fn check_whole<W: Word>(words: &[W], least: u64) -> Option<u64> {
    match take::<W, Related>(words, 0) {
        Ok(Snapshot { value, at_ns, number }) => {
            assert_eq!((value, at_ns), (related(number), number * 10), "torn");
            assert!(number >= least, "publication {number} after {least}");
            Some(number)
        }
        // A model's reader gives up soon, where a real one has a thousand tries.
        Err(error) => {
            assert_eq!(error, TakeError::Unsettled);
            None
        }
    }
}

/// The model's memory, with and without what the protocol says about order. The fewest slots, so that the writer comes
/// back to each of them soon.
pub(in crate::shm) struct Modelled<const IS_FENCED: bool>(modelled::AtomicU64);

impl<const IS_FENCED: bool> Modelled<IS_FENCED> {
    pub(in crate::shm) fn new() -> Self {
        Self(modelled::AtomicU64::new(0))
    }
}

impl<const IS_FENCED: bool> Word for Modelled<IS_FENCED> {
    const SLOTS: u64 = 2;
    const TRIES: u32 = 2;

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn fence(order: Ordering) {
        if IS_FENCED {
            modelled::fence(order);
        }
    }
}

/// Every course of a writer that publishes and a reader that looks twice.
fn model<const IS_FENCED: bool>(publications: u64) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let words = Arc::new(words(Modelled::<IS_FENCED>::new));
        put(&words, 1, 10, &related(1));
        let theirs = Arc::clone(&words);
        let writer = thread::spawn(move || {
            (2..=publications).for_each(|number| put(&theirs, number, number * 10, &related(number)));
        });
        let first = check_whole(&words, 1);
        check_whole(&words, first.unwrap_or(1));
        writer.join().expect("it does not panic");
        assert_eq!(check_whole(&words, publications), Some(publications));
    });
}

#[test]
fn in_every_course_of_the_model_a_set_is_whole_and_none_is_older_than_the_one_before() {
    model::<true>(3);
}

#[test]
#[should_panic(expected = "torn")]
fn without_its_fences_the_model_finds_a_torn_set() {
    model::<false>(3);
}

thread_local! {
    /// How many steps the writer has to live.
    static STEPS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Memory that a writer reaches as long as it lives.
pub(in crate::shm) struct Mortal(AtomicU64);

impl Mortal {
    pub(in crate::shm) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The writer on this thread has so many steps to live; says how many were left.
    pub(in crate::shm) fn live_for(steps: usize) -> usize {
        STEPS_LEFT.replace(steps)
    }
}

impl Word for Mortal {
    fn get(&self) -> u64 {
        Word::get(&self.0)
    }

    fn set(&self, value: u64) {
        let left = STEPS_LEFT.get();
        if left > 0 {
            STEPS_LEFT.set(left.saturating_sub(1));
            Word::set(&self.0, value);
        }
    }

    fn fence(order: Ordering) {
        AtomicU64::fence(order);
    }
}

/// How many stores a publication takes.
const STEPS: usize = 3 + Related::WORDS;

/// A writer dies before that step of its last publication: what is left is the publication before, or that one.
fn check_death(before: u64, step: usize) {
    let words = words(Mortal::new);
    Mortal::live_for(usize::MAX);
    (1..=before).for_each(|number| put(&words, number, number * 10, &related(number)));
    Mortal::live_for(step);
    put(&words, before + 1, (before + 1) * 10, &related(before + 1));
    if before == 0 && step < STEPS {
        assert_eq!(take::<_, Related>(&words, 0), Err(TakeError::NotPublished));
        return;
    }
    let expected = if step == STEPS { before + 1 } else { before };
    assert_eq!(check_whole(&words, before), Some(expected), "dead before step {step} after {before}");
}

#[test]
fn a_writer_that_dies_between_any_two_steps_leaves_a_whole_set() {
    for before in 0..10 {
        (0..=STEPS).for_each(|step| check_death(before, step));
    }
}

/// Words that no honest writer leaves there: an error in bounded time, or a value of the right shape.
fn check_lies(begun: u64, head: u64, expected: Option<TakeError>) {
    let words = words(|| AtomicU64::new(5));
    words[BEGUN].set(begun);
    words[HEAD].set(head);
    assert_eq!(take::<_, Related>(&words, 0).err(), expected, "begun {begun}, head {head}");
}

#[test]
fn whatever_a_writer_leaves_a_reader_comes_to_an_end() {
    check_lies(0, 0, Some(TakeError::NotPublished));
    check_lies(7, 7, None);
    check_lies(u64::MAX, u64::MAX, None);
    check_lies(2, u64::MAX, None);
    check_lies(11, 7, Some(TakeError::Unsettled));
    check_lies(6, 7, Some(TakeError::Unsettled));
    check_lies(0, u64::MAX, None);
    let words = words(|| AtomicU64::new(5));
    assert_eq!(take::<_, [bool; 2]>(&words, 0).err(), Some(TakeError::Damaged));
    assert_eq!(take::<_, u64>(&words, 1000).map(|taken| taken.value), Ok(u64::MAX));
}
