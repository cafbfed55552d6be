//! Lanes that are full, wrap around, are slept on, and lie.

mod hostile;
mod model;
mod proof;

use super::words::LaneMemory;
use super::*;
use std::thread;

/// A second look at the lane to the manager, also to damage it.
fn words_to_manager(pair: &LanePair) -> SharedLane {
    SharedLane::new(Arc::clone(&pair.memory), 0)
}

fn to_manager(pair: &LanePair) -> (LanePutter, LaneTaker) {
    (pair.of_coordinator().0, pair.of_manager().1)
}

fn taken(taker: &mut LaneTaker) -> Vec<u8> {
    let mut buffer = [0; MAX_RECORD_BYTES];
    match taker.take(&mut buffer, 0) {
        Ok(Taken::Record(length)) => buffer[..length].to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_of_every_length_come_out_as_they_went_in_however_often_the_lane_wraps_around() {
    let pair = LanePair::create().expect("memory");
    let (mut putter, mut taker) = to_manager(&pair);
    for length in (0..=MAX_RECORD_BYTES).chain(0..100) {
        let record: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
        assert_ne!(putter.put(&record, 0), Put::Full);
        assert_eq!(taken(&mut taker), record);
    }
    assert_eq!(taker.take(&mut [0; MAX_RECORD_BYTES], 0), Ok(Taken::Nothing));
}

#[test]
fn a_full_lane_refuses_and_takes_more_once_there_is_room() {
    let pair = LanePair::create().expect("memory");
    let (mut putter, mut taker) = to_manager(&pair);
    let count = (0..).take_while(|_| putter.put(&[1; 56], 0) != Put::Full).count();
    assert_eq!(count as u64, ROOM / 8);
    // The putter is told of room by the eighth.
    (0..count / 8).for_each(|_| assert_eq!(taken(&mut taker), [1; 56]));
    (0..count / 8).for_each(|_| assert_ne!(putter.put(&[2; 56], 0), Put::Full));
    assert_eq!(putter.put(&[3; 56], 0), Put::Full);
    (count / 8..count).for_each(|_| assert_eq!(taken(&mut taker), [1; 56]));
    (0..count / 8).for_each(|_| assert_eq!(taken(&mut taker), [2; 56]));
}

#[test]
fn a_record_waits_for_the_packets_that_went_before_it_also_when_their_count_wraps_around() {
    let pair = LanePair::create().expect("memory");
    let (mut putter, mut taker) = to_manager(&pair);
    let mut buffer = [0; MAX_RECORD_BYTES];
    let _ = putter.put(&[5], 1);
    assert_eq!(taker.take(&mut buffer, 0), Ok(Taken::Later));
    assert_eq!(taker.take(&mut buffer, u32::MAX), Ok(Taken::Later));
    assert_eq!(taker.take(&mut buffer, 1), Ok(Taken::Record(1)));
    let _ = putter.put(&[6], u32::MAX);
    assert_eq!(taker.take(&mut buffer, 3), Ok(Taken::Record(1)));
}

#[test]
fn whoever_sleeps_elsewhere_is_to_be_called_once() {
    let pair = LanePair::create().expect("memory");
    let (mut putter, taker) = to_manager(&pair);
    let lookout = taker.lookout();
    assert_eq!((putter.put(&[1], 0), putter.put(&[2], 0)), (Put::Unseen, Put::Seen));
    lookout.begin_looking();
    assert_eq!(putter.put(&[3], 0), Put::Seen);
    lookout.fall_asleep();
    assert!(lookout.has_records());
    assert_eq!(putter.put(&[4], 0), Put::Unseen);
}

/// Lies down and dozes until something is there, as a thread that waits for an answer does.
fn doze_until_there_is_something(lookout: &Lookout) {
    loop {
        lookout.lie_down();
        if lookout.has_records() {
            return lookout.begin_looking();
        }
        lookout.doze(Duration::from_secs(60));
    }
}

#[test]
fn no_record_is_slept_through_in_a_great_many() {
    const COUNT: u64 = 200_000;
    let pair = LanePair::create().expect("memory");
    let (mut putter, mut taker) = to_manager(&pair);
    let put = move || {
        for number in 0..COUNT {
            // Where the taker comes to rest changes with every record.
            (0..number % 64).for_each(|_| std::hint::spin_loop());
            while putter.put(&number.to_le_bytes(), 0) == Put::Full {
                thread::yield_now();
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(put);
        let lookout = taker.lookout();
        for number in 0..COUNT {
            if !lookout.has_records() {
                doze_until_there_is_something(&lookout);
            }
            assert_eq!(taken(&mut taker), number.to_le_bytes());
        }
    });
}

#[test]
fn a_lying_putter_is_found_out() {
    let check = |end: u64, head: u64| {
        let pair = LanePair::create().expect("memory");
        let (_, mut taker) = to_manager(&pair);
        words_to_manager(&pair).record(0).store(head, Ordering::Relaxed);
        words_to_manager(&pair).end().store(end, Ordering::Release);
        let found = taker.take(&mut [0; MAX_RECORD_BYTES], 0);
        assert!(matches!(found, Err(LaneError::NoRecord { .. })), "{end} {head}: {found:?}");
    };
    check(ROOM + 1, 8);
    check(u64::MAX, 8);
    check(1, 8);
    check(ROOM, MAX_RECORD_BYTES as u64 + 1);
    check(ROOM, u64::from(u32::MAX));
}

#[test]
fn a_lying_taker_finds_the_lane_full() {
    for start in [u64::MAX, 1 << 40, ROOM + 1] {
        let pair = LanePair::create().expect("memory");
        let (mut putter, _) = to_manager(&pair);
        words_to_manager(&pair).start().store(start, Ordering::Release);
        let count = (0..2 * ROOM).take_while(|_| putter.put(&[1; 56], 0) != Put::Full).count();
        assert!(count as u64 <= ROOM / 8, "{start}: {count} fitted");
    }
}

#[test]
fn what_holds_no_lanes_is_refused() {
    let double = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().expect("a descriptor");
    let (other, _memory) = Segment::create_shared("labrig-test", PAIR_BYTES).expect("memory");
    assert_eq!(LanePair::map(double(other.fd())).err(), Some(LaneOpenError::NoLanes { found: 0 }));
    let small = Segment::create("labrig-test", 4096).expect("memory");
    assert!(matches!(LanePair::map(double(small.fd())), Err(LaneOpenError::Segment(_))));
    let pair = LanePair::create().expect("memory");
    pair.memory.view::<PairWords>(0).about.0.version.store(1, Ordering::Relaxed);
    let expected = LaneOpenError::OtherVersion { found: 1, expected: LAYOUT_VERSION };
    assert_eq!(LanePair::map(double(pair.fd())).err(), Some(expected));
}

#[test]
fn a_sleeper_that_has_gone_and_says_that_it_is_to_be_called_is_not_contradicted() {
    let pair = LanePair::create().expect("memory");
    let (mut putter, taker) = to_manager(&pair);
    let lookout = taker.lookout();
    lookout.lie_down();
    lookout.fall_asleep();
    // Whoever woke it comes late.
    lookout.rouse();
    assert_eq!(putter.put(&[1], 0), Put::Unseen);
}
