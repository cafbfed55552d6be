//! A lane whose other side writes anything at any time: what is taken is data or an error, and everybody comes back.

use super::super::words::LaneMemory;
use super::super::*;
use super::{to_manager, words_to_manager};
use crate::shm::tests::storm;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

/// Numbers that look random, and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }
}

/// Something that a word might be, or might well not be.
fn lie(dice: &mut Dice, truth: u64) -> u64 {
    match dice.below(6) {
        0 => dice.roll(),
        1 => 0,
        2 => u64::MAX,
        3 => truth.wrapping_add(dice.below(ROOM * 2)),
        4 => truth.wrapping_sub(dice.below(ROOM * 2)),
        _ => dice.below(MAX_RECORD_BYTES as u64 * 2) | dice.below(3) << 32,
    }
}

/// Writes a lie to one of the words, whoever may write there.
fn damage(words: &SharedLane, dice: &mut Dice) {
    let long = |word: &AtomicU64, dice: &mut Dice| {
        word.store(lie(dice, word.load(Ordering::Relaxed)), Ordering::Relaxed);
    };
    match dice.below(8) {
        0 => long(words.end(), dice),
        1 => long(words.start(), dice),
        2 => words.state().store(dice.below(6) as u32, Ordering::Relaxed),
        3 => words.state().store(dice.roll() as u32, Ordering::Relaxed),
        4 => words.beside().store(dice.roll() as u32, Ordering::Relaxed),
        // Most are heads of records when they lie where the next one is taken or put.
        5 => long(words.record(words.start().load(Ordering::Relaxed)), dice),
        6 => long(words.record(words.end().load(Ordering::Relaxed)), dice),
        _ => long(words.record(dice.below(ROOM)), dice),
    }
}

fn check_taken(taker: &mut LaneTaker, dice: &mut Dice) {
    let mut buffer = vec![0; dice.below(MAX_RECORD_BYTES as u64 + 1) as usize];
    if let Ok(Taken::Record(length)) = taker.take(&mut buffer, dice.below(4) as u32) {
        assert!(length <= buffer.len());
    }
}

fn put(putter: &mut LanePutter, dice: &mut Dice) {
    let record = vec![7; dice.below(MAX_RECORD_BYTES as u64 + 1) as usize];
    let _ = putter.put(&record, dice.below(4) as u32);
}

fn look(lookout: &Lookout, dice: &mut Dice) {
    match dice.below(6) {
        0 => lookout.begin_looking(),
        1 => lookout.fall_asleep(),
        2 => lookout.rouse(),
        3 => {
            let _ = lookout.has_records() || lookout.has_packets(dice.roll() as u32);
        }
        _ => {
            lookout.lie_down();
            lookout.doze(Duration::from_nanos(dice.below(1000)));
        }
    }
}

#[test]
fn whatever_is_written_between_two_steps_each_step_comes_to_an_end() {
    for seed in 0..storm(200, 20_000) {
        let pair = LanePair::create().expect("memory");
        let (mut putter, mut taker) = to_manager(&pair);
        let (words, lookout, mut dice) = (words_to_manager(&pair), taker.lookout(), Dice(seed));
        for _ in 0..500 {
            (0..dice.below(3)).for_each(|_| damage(&words, &mut dice));
            match dice.below(3) {
                0 => put(&mut putter, &mut dice),
                1 => check_taken(&mut taker, &mut dice),
                _ => look(&lookout, &mut dice),
            }
        }
    }
}

#[test]
fn whatever_is_written_meanwhile_each_step_comes_to_an_end() {
    let pair = LanePair::create().expect("memory");
    let (mut putter, mut taker) = to_manager(&pair);
    let (words, lookout) = (words_to_manager(&pair), taker.lookout());
    let is_over = AtomicBool::new(false);
    let turns = storm(20_000, 2_000_000);
    thread::scope(|scope| {
        let vandal = || {
            let mut dice = Dice(1);
            while !is_over.load(Ordering::Relaxed) {
                damage(&words, &mut dice);
            }
        };
        scope.spawn(vandal);
        let putting = scope.spawn(move || {
            let mut dice = Dice(2);
            (0..turns).for_each(|_| put(&mut putter, &mut dice));
        });
        let taking = scope.spawn(move || {
            let mut dice = Dice(3);
            for _ in 0..turns {
                check_taken(&mut taker, &mut dice);
                look(&lookout, &mut dice);
            }
        });
        let ends = [putting.join(), taking.join()];
        is_over.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok));
    });
}

#[test]
fn a_sleeper_whom_nobody_wakes_looks_again() {
    let pair = LanePair::create().expect("memory");
    let lookout = to_manager(&pair).1.lookout();
    lookout.lie_down();
    // Were it to sleep for as long as it is ready to, this would never end.
    lookout.doze(Duration::MAX);
    assert!(!lookout.has_records());
}
