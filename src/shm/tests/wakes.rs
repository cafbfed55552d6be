//! Wake-ups at the worst moment.
//!
//! A lost wake-up is hard to see: the next one repairs it. So here there is no next one. Each side waits awake until
//! the other is about to fall asleep, changes its word once at a moment that differs every time, and then waits for
//! the answer: if that one wake-up is lost, both wait for ever.

use super::super::{Capture, CursorMemory, Producer, ReadMode, Reader, RingMemory};
use super::actor::{Actor, PLACES, Place};
use super::roles::{Role, Script, Seen};
use super::stage::Stage;
use super::{WATCHDOG, again, bell, copy, hesitate, row, storm};
use std::hint::spin_loop;
use std::os::fd::AsFd;
use std::time::Instant;

/// Waits awake until something holds.
fn watch(what: &str, is_true: impl Fn() -> bool) {
    let began = Instant::now();
    let mut looks = 0_u32;
    while !is_true() {
        spin_loop();
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(1024) {
            assert!(began.elapsed() < WATCHDOG, "watchdog: a wake-up was lost while {what}");
            std::thread::yield_now();
        }
    }
}

/// Publishes each frame while the reader, which has seen all others, goes to sleep.
fn check_pounce_on_reader(place: Place, mode: ReadMode) {
    let frames = storm(20_000, 1_000_000);
    let (ring, space, data) = (RingMemory::create(3, 1).expect("memory can be had"), bell(), bell());
    let mut producer = Producer::map(copy(ring.fd()), again(&space)).expect("the ring is fresh");
    ring.seal().expect("nobody has sealed it before");
    let cursor = CursorMemory::create(&ring, mode).expect("memory can be had");
    producer.readers().add(copy(cursor.fd()), again(&data)).expect("there is room");
    let reader = Actor::start(place, Role::Reader { spin: false });
    reader.say("reader", &[ring.fd(), cursor.fd(), data.as_fd(), space.as_fd()]);
    reader.expect("mapped");
    for sequence in 0..frames {
        watch("publishing", || cursor.counts().position == sequence);
        hesitate(sequence);
        let mut slot = producer.try_loan(row(1)).expect("the reader has seen all others");
        slot.pixels_mut().fill(sequence as u8);
        slot.publish(Capture { source_index: sequence + 1, ..Capture::default() });
    }
    producer.end();
    let seen = Seen::from_text(&reader.hear());
    assert_eq!((seen.frames, seen.jumps, seen.torn), (frames, 0, 0), "{place:?} {mode:?}");
}

#[test]
fn a_reader_is_woken_however_late_the_frame_comes() {
    for place in PLACES {
        check_pounce_on_reader(place, ReadMode::Lossless);
        check_pounce_on_reader(place, ReadMode::Latest);
    }
}

/// Gives one slot back while the producer, which has filled all others, goes to sleep.
fn check_pounce_on_producer(place: Place) {
    let (frames, slots) = (storm(20_000, 1_000_000), 3);
    let stage = Stage::open(place, slots, Script { frames, bytes: 1, is_varying: false, spin: false });
    let cursor = CursorMemory::create(&stage.ring, ReadMode::Lossless).expect("memory can be had");
    let data = bell();
    stage.producer.say("reader", &[cursor.fd(), data.as_fd()]);
    stage.producer.expect("added");
    let mut reader = Reader::map(copy(stage.ring.fd()), copy(cursor.fd()), data, again(&stage.space))
        .expect("the ring is sealed and the cursor fresh");
    stage.go();
    for sequence in 0..frames {
        let full = frames.min(sequence + u64::from(slots));
        watch("giving a slot back", || stage.ring.counts().published == full);
        hesitate(sequence);
        assert_eq!(reader.next().map(|frame| frame.meta().sequence), Some(sequence), "{place:?}");
    }
    stage.producer.expect("done");
}

#[test]
fn a_producer_is_woken_however_late_the_slot_comes() {
    PLACES.into_iter().for_each(check_pounce_on_producer);
}
