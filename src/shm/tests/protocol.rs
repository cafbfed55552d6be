//! The protocol of the ring over ordinary memory. Miri runs these too (`cargo miri test protocol`): it reports any
//! byte of a frame that is read and written without an order between the two.

use super::super::{Capture, Frame, LoanError, Producer, ReadMode, Reader};
use super::heap::HeapRing;
use super::row;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const FRAMES: u64 = if cfg!(miri) { 60 } else { 50_000 };

/// Publishes one frame that is filled with its own number.
pub(super) fn publish(producer: &mut Producer, bytes: u32) -> Result<u64, LoanError> {
    let stamp = producer.published() as u8;
    let mut slot = producer.try_loan(row(bytes))?;
    slot.pixels_mut().fill(stamp);
    Ok(slot.publish(Capture::default()))
}

/// The number of a frame, after a proof that every byte of it belongs to that number.
fn number(frame: &Frame<'_>) -> u64 {
    let sequence = frame.meta().sequence;
    assert!(frame.bytes().iter().all(|byte| *byte == sequence as u8), "frame {sequence} is torn");
    assert!(frame.is_whole(), "frame {sequence} was overwritten");
    sequence
}

pub(super) fn take(reader: &mut Reader) -> Option<u64> {
    reader.next().map(|frame| number(&frame))
}

fn publish_all(mut producer: Producer) {
    for _ in 0..FRAMES {
        while let Err(error) = publish(&mut producer, 24) {
            assert!(matches!(error, LoanError::NoFreeSlot { .. }), "{error}");
            thread::yield_now();
        }
    }
}

fn read_to_the_end(mut reader: Reader) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        match take(&mut reader) {
            Some(sequence) => seen.push(sequence),
            None if reader.is_ended_and_drained() => return seen,
            None => thread::yield_now(),
        }
    }
}

/// Runs one producer against readers of these modes, each on a thread of its own.
fn check_threads(slots: u32, modes: &[ReadMode]) {
    let ring = HeapRing::new(slots, 64);
    let producer = ring.producer();
    let readers: Vec<_> = modes.iter().map(|mode| ring.reader(&producer, *mode)).collect();
    thread::scope(|scope| {
        let threads: Vec<_> = readers
            .into_iter()
            .map(|(reader, cursor)| (scope.spawn(|| read_to_the_end(reader)), cursor))
            .collect();
        publish_all(producer);
        for ((thread, cursor), mode) in threads.into_iter().zip(modes) {
            let seen = thread.join().expect("the reader did not panic");
            assert!(seen.is_sorted_by(|a, b| a < b), "frames came twice or out of order: {seen:?}");
            assert_eq!(seen.last(), Some(&(FRAMES - 1)), "the last frame stays to be seen");
            if *mode == ReadMode::Lossless {
                assert_eq!(seen.len() as u64, FRAMES, "a lossless reader misses nothing");
            }
            let place = cursor.place();
            let (taken, skipped) =
                (place.taken.load(Ordering::Relaxed), place.skipped.load(Ordering::Relaxed));
            assert_eq!(taken, seen.len() as u64);
            assert_eq!(taken + skipped, FRAMES, "every frame is accounted for");
            assert_eq!(place.damaged.load(Ordering::Relaxed), 0);
        }
    });
}

#[test]
fn threads_with_one_lossless_reader_see_everything() {
    check_threads(3, &[ReadMode::Lossless]);
}

#[test]
fn threads_with_latest_readers_never_see_a_torn_frame() {
    check_threads(4, &[ReadMode::Latest, ReadMode::Latest]);
}

#[test]
fn threads_with_mixed_readers_each_get_their_due() {
    check_threads(4, &[ReadMode::Lossless, ReadMode::Latest]);
}

#[test]
fn a_reader_that_asks_for_the_latest_at_any_time_sees_whole_frames() {
    let ring = HeapRing::new(4, 64);
    let producer = ring.producer();
    let readers = [ring.reader(&producer, ReadMode::Latest), ring.reader(&producer, ReadMode::Lossless)];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (mut reader, _) in readers {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut last = 0;
                while !is_over.load(Ordering::Acquire) {
                    let seen = reader.latest().map_or(last, |frame| number(&frame));
                    assert!(seen >= last, "the latest frame never goes back: {seen} after {last}");
                    last = seen;
                    thread::yield_now();
                }
            });
        }
        publish_all(producer);
        is_over.store(true, Ordering::Release);
    });
}

/// A small source of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Takes random steps and compares the ring with what a ring ought to be.
fn check_random_walk(seed: u64) {
    let (slots, steps) = (5, if cfg!(miri) { 300 } else { 20_000 });
    let ring = HeapRing::new(slots, 64);
    let mut producer = ring.producer();
    let (mut lossless, _) = ring.reader(&producer, ReadMode::Lossless);
    let (mut latest, _) = ring.reader(&producer, ReadMode::Latest);
    let (mut published, mut done, mut seen) = (0, 0, 0);
    let mut dice = Dice(seed);
    for _ in 0..steps {
        match dice.roll(5) {
            0 | 1 => {
                let bytes = 1 + dice.roll(64) as u32;
                match publish(&mut producer, bytes) {
                    Ok(sequence) => {
                        assert_eq!(sequence, published);
                        published += 1;
                    }
                    // All slots are before the lossless reader; the newest frame is one of them.
                    Err(error) => {
                        assert_eq!(
                            (error, published - done),
                            (LoanError::NoFreeSlot { slots }, u64::from(slots))
                        );
                    }
                }
            }
            2 => {
                let expected = (done < published).then_some(done);
                assert_eq!(take(&mut lossless), expected);
                done += u64::from(expected.is_some());
            }
            3 => {
                let expected = (seen < published).then(|| published - 1);
                assert_eq!(take(&mut latest), expected);
                seen = published;
            }
            _ => {
                assert_eq!(lossless.has_news(), done < published);
                assert_eq!(latest.latest().map(|frame| number(&frame)), published.checked_sub(1));
                seen = published;
            }
        }
    }
}

#[test]
fn a_random_walk_finds_nothing_but_the_promised() {
    for seed in 1..=4 {
        check_random_walk(seed * 0x9e37_79b9);
    }
}

#[test]
fn a_held_frame_stays_whole_while_the_producer_runs_on() {
    let ring = HeapRing::new(3, 64);
    let mut producer = ring.producer();
    let (mut reader, _) = ring.reader(&producer, ReadMode::Latest);
    publish(&mut producer, 64).expect("slots are free");
    let frame = reader.next().expect("one is published");
    for _ in 0..20 {
        publish(&mut producer, 64).expect("a reader of the latest frame holds nobody back");
        assert_eq!(number(&frame), 0);
    }
    drop(frame);
    assert_eq!(take(&mut reader), Some(20));
}

#[test]
fn a_loan_that_is_not_published_leaves_no_trace() {
    let ring = HeapRing::new(3, 64);
    let mut producer = ring.producer();
    let (mut reader, _) = ring.reader(&producer, ReadMode::Lossless);
    for _ in 0..10 {
        producer.try_loan(row(64)).expect("slots are free").pixels_mut().fill(255);
    }
    assert_eq!(take(&mut reader), None);
    assert_eq!(publish(&mut producer, 64), Ok(0));
    assert_eq!(take(&mut reader), Some(0));
}

#[test]
fn a_forgotten_frame_is_given_back_with_the_next_call() {
    let ring = HeapRing::new(3, 64);
    let mut producer = ring.producer();
    let (mut reader, _) = ring.reader(&producer, ReadMode::Lossless);
    for sequence in 0..9 {
        publish(&mut producer, 8).expect("the reader is never more than two frames behind");
        let frame = reader.next().expect("one is published");
        assert_eq!(number(&frame), sequence);
        std::mem::forget(frame);
    }
}

#[test]
fn a_lossless_reader_that_skips_says_how_many() {
    let ring = HeapRing::new(8, 64);
    let mut producer = ring.producer();
    let (mut reader, cursor) = ring.reader(&producer, ReadMode::Lossless);
    for _ in 0..5 {
        publish(&mut producer, 8).expect("slots are free");
    }
    assert_eq!(take(&mut reader), Some(0));
    assert_eq!(reader.latest().map(|frame| number(&frame)), Some(4));
    assert_eq!(reader.latest().map(|frame| number(&frame)), Some(4), "the latest stays the latest");
    assert!(!reader.has_news());
    let place = cursor.place();
    let counted = [&place.taken, &place.skipped, &place.position].map(|word| word.load(Ordering::Relaxed));
    assert_eq!(counted, [2, 3, 5]);
}
