//! Two sides that change a word and look at the other's, at the same time: at least one must see the other.

use super::super::ReadMode;
use super::heap::HeapRing;
use super::protocol::{publish, take};
use super::{hesitate, storm};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

#[test]
fn a_frame_that_comes_while_the_reader_lies_down_is_either_seen_or_rung_for() {
    let turns = if cfg!(miri) { 40 } else { storm(20_000, 1_000_000) };
    let ring = HeapRing::new(3, 8);
    let mut producer = ring.producer();
    let (mut reader, _) = ring.reader(&producer, ReadMode::Lossless);
    let start = Start::default();
    thread::scope(|scope| {
        let start = &start;
        scope.spawn(move || {
            for turn in 0..turns {
                start.together(2 * turn);
                publish(&mut producer, 8).expect("the reader has seen all others");
                start.together(2 * turn + 1);
            }
        });
        for turn in 0..turns {
            start.together(2 * turn);
            hesitate(turn);
            let may_sleep = reader.prepare_to_wait();
            start.together(2 * turn + 1);
            let is_rung = rustix::io::read(reader.doorbell(), &mut [0; 8]).is_ok();
            assert!(is_rung || !may_sleep, "the reader would sleep for ever in turn {turn}");
            reader.finish_wait();
            assert_eq!(take(&mut reader), Some(turn));
        }
    });
}

/// Lets two threads begin something within nanoseconds of each other. Relaxed, so that it adds no order of its own to
/// what is tested.
#[derive(Default)]
struct Start(AtomicU64);

impl Start {
    fn together(&self, round: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut looks = 0_u32;
        while self.0.load(Ordering::Relaxed) < 2 * (round + 1) {
            std::hint::spin_loop();
            looks += 1;
            if cfg!(miri) || looks.is_multiple_of(1024) {
                thread::yield_now();
            }
        }
    }
}
