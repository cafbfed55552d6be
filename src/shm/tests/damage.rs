//! What a reader makes of memory that lies.

use super::super::ring_map::RingMap;
use super::super::{Capture, Producer, ReadMode, Reader};
use super::heap::HeapRing;
use super::row;
use std::sync::atomic::Ordering;

const SLOTS: u32 = 4;

fn publish(producer: &mut Producer) {
    producer.try_loan(row(64)).expect("slots are free").publish(Capture::default());
}

/// Publishes three frames, damages the memory, and asks which frames the reader still sees and how many it wrote off.
fn check_damage(mode: ReadMode, damage: impl Fn(&RingMap), seen: &[u64], written_off: u64) {
    let ring = HeapRing::new(SLOTS, 64);
    let mut producer = ring.producer();
    let (mut reader, cursor) = ring.reader(&producer, mode);
    (0..3).for_each(|_| publish(&mut producer));
    damage(&ring.map());
    assert_eq!(drain(&mut reader), seen, "{mode:?}");
    assert_eq!(cursor.place().damaged.load(Ordering::Relaxed), written_off, "{mode:?}");
}

fn drain(reader: &mut Reader) -> Vec<u64> {
    std::iter::from_fn(|| reader.next().map(|frame| frame.meta().sequence)).collect()
}

/// Which slot the frame `sequence` lies in.
fn slot_of(ring: &RingMap, sequence: u64) -> usize {
    ring.find(sequence).expect("the index is still whole")
}

#[test]
fn an_index_that_points_nowhere_costs_its_frame() {
    let damage = |ring: &RingMap| ring.index(1).store(u32::MAX, Ordering::Relaxed);
    check_damage(ReadMode::Lossless, damage, &[0, 2], 1);
    check_damage(ReadMode::Latest, damage, &[2], 0);
}

#[test]
fn an_index_that_points_to_another_frame_costs_its_frame() {
    let damage = |ring: &RingMap| ring.index(2).store(slot_of(ring, 1) as u32, Ordering::Relaxed);
    check_damage(ReadMode::Lossless, damage, &[0, 1], 1);
    check_damage(ReadMode::Latest, damage, &[], 1);
}

#[test]
fn a_format_beyond_the_slot_costs_its_frame() {
    let damage = |ring: &RingMap| {
        let words = ring.slot(slot_of(ring, 2));
        words.stride_bytes.store(u32::MAX, Ordering::Relaxed);
        words.height.store(u32::MAX, Ordering::Relaxed);
    };
    check_damage(ReadMode::Lossless, damage, &[0, 1], 1);
    check_damage(ReadMode::Latest, damage, &[], 1);
}

#[test]
fn a_pixel_type_that_does_not_exist_costs_its_frame() {
    let damage = |ring: &RingMap| ring.slot(slot_of(ring, 0)).pixel.store(77, Ordering::Relaxed);
    check_damage(ReadMode::Lossless, damage, &[1, 2], 1);
}

#[test]
fn a_head_from_the_far_future_costs_what_is_missing() {
    let damage = |ring: &RingMap| ring.progress().head.store(u64::MAX, Ordering::Relaxed);
    check_damage(ReadMode::Lossless, damage, &[], u64::MAX);
    check_damage(ReadMode::Latest, damage, &[], 1);
}

#[test]
fn a_head_that_goes_back_shows_nothing() {
    let damage = |ring: &RingMap| ring.progress().head.store(0, Ordering::Relaxed);
    check_damage(ReadMode::Lossless, damage, &[], 0);
    check_damage(ReadMode::Latest, damage, &[], 0);
}

#[test]
fn a_reader_that_is_declared_gone_knows_that_its_frame_was_overwritten() {
    let ring = HeapRing::new(SLOTS, 64);
    let mut producer = ring.producer();
    let (mut reader, cursor) = ring.reader(&producer, ReadMode::Lossless);
    publish(&mut producer);
    let frame = reader.next().expect("one is published");
    cursor.mark_gone();
    assert!(frame.is_whole());
    (0..SLOTS).for_each(|_| publish(&mut producer));
    assert!(!frame.is_whole());
    drop(frame);
    assert!(reader.is_gone() && reader.next().is_none() && !reader.has_news());
}
