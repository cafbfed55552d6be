//! Stacks of frames: held whole while the producer passes them by, given back by whoever drops them or dies.

use super::super::pinning::{has, is_held_by, last_of, let_go, pin_of, reserve, say, take_if_free};
use super::super::slot::FrameSlot;
use super::super::{CursorMemory, FrameFormat, LoanError, Producer, ReadMode, Reader, RingEnd, StackError};
use super::actor::Place;
use super::fatal::Fatal;
use super::heap::HeapRing;
use super::protocol::{publish, take};
use super::roles::{Role, Script};
use super::stage::Stage;
use super::{WATCHDOG, again, bell, copy, storm};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

const LATEST: ReadMode = ReadMode::Latest;
const LOSSLESS: ReadMode = ReadMode::Lossless;
const SOON: Duration = Duration::from_millis(1);

fn sequences(reader: &mut Reader, frames: u32, patience: Duration) -> Result<Vec<u64>, StackError> {
    let stack = reader.stack(frames, patience)?;
    assert_eq!(stack.depth(), frames as usize);
    let numbers = stack.frames().map(|frame| {
        let sequence = frame.meta().sequence;
        assert!(frame.is_whole() && frame.bytes().iter().all(|byte| *byte == sequence as u8), "torn");
        sequence
    });
    Ok(numbers.collect())
}

#[test]
fn a_pin_of_many_frames_holds_these_and_no_others() {
    for (last, frames, held) in [(1, 1, 1..=1), (9, 3, 7..=9), (5, 5, 1..=5), (3, 4096, 1..=3)] {
        let pin = pin_of(last, frames);
        assert_eq!((last_of(pin), is_held_by(pin, 0), pin >> 63), (last, false, 0));
        (1..20).for_each(|mark| {
            assert_eq!(is_held_by(pin, mark), held.contains(&mark), "{mark} by {last} {frames}")
        });
    }
    assert!(!is_held_by(0, 0) && !is_held_by(0, 1));
}

#[test]
fn a_lossless_reader_takes_the_oldest_frames_at_once_and_holds_the_producer_back() {
    let ring = HeapRing::new(8, 64);
    let mut producer = ring.producer();
    let (mut reader, _) = ring.reader(&producer, LOSSLESS);
    (0..7).for_each(|number| assert_eq!(publish(&mut producer, 24), Ok(number)));
    assert_eq!(sequences(&mut reader, 3, WATCHDOG), Ok(vec![0, 1, 2]));
    let stack = reader.stack(4, WATCHDOG).expect("they are there");
    (7..11).for_each(|number| assert_eq!(publish(&mut producer, 24), Ok(number)));
    assert!(matches!(publish(&mut producer, 24), Err(LoanError::NoFreeSlot { .. })));
    assert_eq!(stack.frame(3).map(|frame| frame.meta().sequence), Some(6));
    assert!(stack.frame(4).is_none());
    drop(stack);
    assert_eq!((take(&mut reader), publish(&mut producer, 24)), (Some(7), Ok(11)));
}

#[test]
fn a_stack_that_cannot_be_says_why_and_holds_nothing() {
    for mode in [LATEST, LOSSLESS] {
        let ring = HeapRing::new(8, 64);
        let mut producer = ring.producer();
        let (mut reader, cursor) = ring.reader(&producer, mode);
        for frames in [0, 6] {
            assert_eq!(sequences(&mut reader, frames, SOON), Err(StackError::Overflow { frames, most: 5 }));
        }
        let underflow = StackError::Underflow { frames: 3, there: 0, after: SOON };
        assert_eq!(sequences(&mut reader, 3, SOON), Err(underflow));
        assert_eq!(cursor.place().pin.load(Ordering::Relaxed), 0);
        (0..2).for_each(|number| assert_eq!(publish(&mut producer, 24), Ok(number)));
        drop(producer);
        let there = if mode == LOSSLESS { 2 } else { 0 };
        let ended = StackError::Ended { frames: 3, there, end: RingEnd::Finished };
        assert_eq!(sequences(&mut reader, 3, WATCHDOG), Err(ended));
        assert_eq!(take(&mut reader), Some(if mode == LOSSLESS { 0 } else { 1 }));
        cursor.mark_gone();
        assert_eq!(sequences(&mut reader, 3, SOON), Err(StackError::Gone));
    }
}

#[test]
fn the_producer_passes_a_stack_by_and_goes_on() {
    let ring = HeapRing::new(8, 64);
    let mut producer = ring.producer();
    let (mut reader, _) = ring.reader(&producer, LATEST);
    thread::scope(|scope| {
        let holding = scope.spawn(move || {
            let stack = reader.stack(4, WATCHDOG).expect("they come");
            let first: Vec<_> = stack.frames().map(|frame| frame.meta().sequence).collect();
            assert!(first.windows(2).all(|pair| pair[1] == pair[0] + 1), "{first:?}");
            drop(stack);
            first
        });
        while !holding.is_finished() {
            publish(&mut producer, 24).expect("a stack of four leaves room in eight slots");
        }
        assert_eq!(holding.join().expect("whole").len(), 4);
    });
}

#[test]
fn stacks_are_whole_under_a_producer_at_full_speed() {
    for modes in [&[LATEST][..], &[LATEST, LATEST], &[LOSSLESS, LATEST]] {
        let ring = HeapRing::new(16, 64);
        let mut producer = ring.producer();
        let readers: Vec<_> = modes.iter().map(|mode| ring.reader(&producer, *mode).0).collect();
        let stacks = storm(300, 100_000);
        thread::scope(|scope| {
            let threads = readers.into_iter().map(|mut reader| {
                scope.spawn(move || {
                    let mut next = 0;
                    for _ in 0..stacks {
                        let numbers = sequences(&mut reader, 5, WATCHDOG).expect("they come");
                        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
                        assert!(numbers.len() == 5 && numbers[0] >= next, "{numbers:?} after {next}");
                        next = numbers[4] + 1;
                    }
                })
            });
            let threads: Vec<_> = threads.collect();
            while threads.iter().any(|thread| !thread.is_finished()) {
                if publish(&mut producer, 24).is_err() {
                    thread::yield_now();
                }
            }
            threads.into_iter().for_each(|thread| thread.join().expect("whole"));
        });
    }
}

/// Kills a reader while it holds a stack, or while it takes one after the other.
fn check_dead_stacker(mode: ReadMode, frames: u64, is_at_work: bool) {
    let script = Script { frames, bytes: 64, is_varying: false, spin: true };
    let stage = Stage::open(Place::Process, 8, script);
    let victim = stage.invite(mode, Role::Stacker);
    if mode == LATEST {
        stage.watch("a reservation", |_| victim.cursor.counts().pinned.is_some());
    }
    (0..6).for_each(|_| stage.producer.say("one", &[]));
    victim.actor.expect("holding");
    if is_at_work {
        victim.actor.say("go on", &[]);
    }
    stage.go();
    let held_back = |published: u64| mode == LOSSLESS && !is_at_work && published == 8;
    stage.watch("frames", |ring| held_back(ring.counts().published) || ring.counts().published > frames / 2);
    victim.actor.kill();
    victim.cursor.mark_gone(&stage.space);
    stage.producer.expect("done");
    assert_eq!(stage.ring.counts().published, frames);
}

#[test]
fn whatever_a_dead_reader_held_of_a_stack_is_filled_again() {
    for mode in [LATEST, LOSSLESS] {
        check_dead_stacker(mode, 1000, false);
        (0..storm(3, 100)).for_each(|turn| check_dead_stacker(mode, 20_000 + 17 * turn, true));
    }
}

/// The part of a role: reserves and gives back, until this process is killed before that step.
pub(super) fn reserve_until_dead(reader: &Reader, steps: usize) {
    let pin = Fatal(&reader.cursor.place().pin);
    Fatal::live_for(steps);
    loop {
        let reserved = reserve(&pin, 4, || reader.ring.head(), |mark| reader.inspect(mark, has).is_some());
        assert!(reserved.is_ok(), "nobody publishes");
        let_go(&pin);
    }
}

/// The part of a role: publishes as a producer does, until this process is killed before that step.
pub(super) fn publish_until_dead(producer: &mut Producer, format: FrameFormat, steps: usize) {
    Fatal::live_for(steps);
    loop {
        let Producer { ring, readers, marks, head, .. } = &mut *producer;
        let free = readers.with(|seats| {
            (0..marks.len()).find(|&slot| {
                let is_pinned = |mark| seats.is_pinned(mark);
                let word = Fatal(&ring.slot(slot).mark);
                take_if_free(&word, &mut marks[slot], *head, seats.needed_from(), is_pinned)
            })
        });
        let slot = free.expect("a stack leaves room");
        let (sequence, mark) = (*head, *head + 1);
        FrameSlot::new(producer, slot, format).pixels_mut().fill(sequence as u8);
        let (ring, words) = (&producer.ring, producer.ring.slot(slot));
        words.width.store(format.width, Ordering::Relaxed);
        words.height.store(format.height, Ordering::Relaxed);
        words.stride_bytes.store(format.stride_bytes, Ordering::Relaxed);
        words.pixel.store(format.pixel as u32, Ordering::Relaxed);
        ring.index(sequence).store(slot as u32, Ordering::Relaxed);
        say(&Fatal(&words.mark), mark);
        say(&Fatal(&ring.progress().head), mark);
        producer.marks[slot] = mark;
        producer.head = mark;
    }
}

/// Kills a reader before that step of taking stacks and giving them back, while nothing is published.
fn check_dead_reserver(steps: usize) {
    let script = Script { frames: 500, bytes: 64, is_varying: false, spin: true };
    let stage = Stage::open(Place::Process, 8, script);
    let victim = stage.invite(LATEST, Role::Stacker);
    stage.watch("a reservation", |_| victim.cursor.counts().pinned.is_some());
    (0..6).for_each(|_| stage.producer.say("one", &[]));
    victim.actor.expect("holding");
    victim.actor.say(&format!("die {steps}"), &[]);
    assert!(victim.actor.hears_of_an_end());
    // Every other step gives back.
    assert_eq!(victim.cursor.counts().pinned.is_some(), steps % 2 == 1, "dead before step {steps}");
    victim.cursor.mark_gone(&stage.space);
    stage.go();
    stage.producer.expect("done");
    assert_eq!(stage.ring.counts().published, 500);
}

#[test]
fn a_reader_that_is_killed_between_any_two_steps_leaves_no_slot_behind() {
    (0..4).for_each(check_dead_reserver);
}

/// Kills a producer before that step of publishing frame after frame, while a stack is held.
fn check_dead_producer(mode: ReadMode, steps: usize) {
    let script = Script { frames: 0, bytes: 64, is_varying: false, spin: true };
    let stage = Stage::open(Place::Process, 8, script);
    let cursor = CursorMemory::create(&stage.ring, mode).expect("memory can be had");
    let data = bell();
    stage.producer.say("reader", &[cursor.fd(), data.as_fd()]);
    stage.producer.expect("added");
    let mut reader = Reader::map(copy(stage.ring.fd()), copy(cursor.fd()), again(&data), again(&stage.space))
        .expect("the cursor is fresh");
    thread::scope(|scope| {
        let taking = scope.spawn(|| reader.stack(4, WATCHDOG).expect("they come"));
        if mode == LATEST {
            stage.watch("a reservation", |_| cursor.counts().pinned.is_some());
        }
        (0..5).for_each(|_| stage.producer.say("one", &[]));
        let stack = taking.join().expect("no panic");
        stage.producer.say(&format!("die {steps}"), &[]);
        assert!(stage.producer.hears_of_an_end());
        stage.ring.mark_producer_lost([&data]);
        for (frame, number) in stack.frames().zip(0_u64..) {
            assert_eq!((frame.meta().sequence, frame.is_whole()), (number, true), "dead before step {steps}");
            assert!(frame.bytes().iter().all(|byte| *byte == number as u8), "torn before step {steps}");
        }
    });
    let newest = reader.latest().expect("the newest is never taken away");
    let (sequence, head) = (newest.meta().sequence, stage.ring.counts().published);
    assert_eq!((sequence, newest.is_whole()), (head - 1, true), "dead before step {steps}");
    assert!(newest.bytes().iter().all(|byte| *byte == sequence as u8), "torn before step {steps}");
    drop(newest);
    assert!(reader.is_ended_and_drained());
}

#[test]
fn a_stack_stays_whole_when_its_producer_is_killed_between_any_two_steps() {
    // The first slots are fresh; then it comes back to those that it has filled since.
    for mode in [LATEST, LOSSLESS] {
        (0..if mode == LATEST { 16 } else { 6 }).for_each(|steps| check_dead_producer(mode, steps));
    }
}
