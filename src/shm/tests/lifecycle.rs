//! How rings begin and end: who may join, what is refused, who is woken.

use super::super::Doorbell;
use super::super::{
    AddReaderError, Capture, CursorMemory, CursorOpenError, CursorState, FormatError, Frame, FrameFormat,
    FrameMeta, LoanError, PixelType, Producer, ReadMode, Reader, RingCreateError, RingEnd, RingMemory,
    RingOpenError, SegmentOpenError, Wake, minimum_slots,
};
use super::{WATCHDOG, again, bell, copy, row};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::thread;
use std::time::Duration;

/// A ring in this process, as coordinator and producer hold it.
struct Home {
    ring: RingMemory,
    producer: Producer,
    space: Doorbell,
}

fn home(slots: u32) -> Home {
    let ring = RingMemory::create(slots, 64).expect("memory can be had");
    let space = bell();
    let producer = Producer::map(copy(ring.fd()), again(&space)).expect("the ring is fresh");
    ring.seal().expect("nobody has sealed it before");
    Home { ring, producer, space }
}

impl Home {
    fn cursor(&self, mode: ReadMode) -> (CursorMemory, Doorbell) {
        (CursorMemory::create(&self.ring, mode).expect("memory can be had"), bell())
    }

    fn join(&self, cursor: &CursorMemory, data: &Doorbell) -> Result<(), AddReaderError> {
        self.producer.readers().add(copy(cursor.fd()), again(data)).map(drop)
    }

    fn map(&self, cursor: &CursorMemory, data: &Doorbell) -> Result<Reader, RingOpenError> {
        Reader::map(copy(self.ring.fd()), copy(cursor.fd()), again(data), again(&self.space))
    }

    fn reader(&self, mode: ReadMode) -> (Reader, CursorMemory) {
        let (cursor, data) = self.cursor(mode);
        self.join(&cursor, &data).expect("there is room");
        (self.map(&cursor, &data).expect("the cursor is fresh"), cursor)
    }

    fn publish(&mut self) -> u64 {
        self.producer.try_loan(row(8)).expect("slots are free").publish(Capture::default())
    }
}

fn next(reader: &mut Reader) -> Option<u64> {
    reader.next().map(|frame| frame.meta().sequence)
}

#[test]
fn a_frame_that_does_not_fit_is_refused_and_counted() {
    let mut home = home(3);
    let refusal =
        |producer: &mut Producer, format| producer.loan(format).map(drop).expect_err("it does not fit");
    assert_eq!(refusal(&mut home.producer, row(65)), LoanError::TooLarge { bytes: 65, limit: 64 });
    let huge = FrameFormat::packed(u32::MAX, u32::MAX, PixelType::Gray8);
    assert!(matches!(refusal(&mut home.producer, huge), LoanError::TooLarge { .. }));
    let empty = FormatError::Empty { width: 0, height: 1 };
    assert_eq!(refusal(&mut home.producer, row(0)), LoanError::BadFormat(empty));
    let mut short = row(8);
    short.stride_bytes = 7;
    let error = FormatError::StrideTooShort { stride_bytes: 7, row_bytes: 8 };
    assert_eq!(refusal(&mut home.producer, short), LoanError::BadFormat(error));
    let odd = FrameFormat { width: 2, height: 2, stride_bytes: 5, pixel: PixelType::Gray16 };
    assert!(matches!(
        refusal(&mut home.producer, odd),
        LoanError::BadFormat(FormatError::StrideNotAligned { .. })
    ));
    assert_eq!((home.ring.counts().refused, home.publish()), (5, 0));
}

#[test]
fn what_the_producer_says_about_a_frame_arrives_with_it() {
    let mut home = home(3);
    let (mut reader, _) = home.reader(ReadMode::Lossless);
    let format = FrameFormat { width: 3, height: 2, stride_bytes: 8, pixel: PixelType::Gray16 };
    let mut slot = home.producer.loan(format).expect("slots are free");
    slot.pixels_u16_mut().expect("the pixels are 16 bits wide").copy_from_slice(&[1, 2, 3, 0, 4, 5, 6, 0]);
    let before = super::super::monotonic_ns();
    slot.publish(Capture { exposure_us: 12.5, device_time_ns: 77, source_index: 9 });
    let frame = reader.next().expect("one is published");
    let meta = *frame.meta();
    assert_eq!((meta.sequence, meta.format, meta.bytes, meta.source_index), (0, format, 16, 9));
    assert_eq!((meta.exposure_us, meta.device_time_ns), (12.5, 77));
    assert!((before..=super::super::monotonic_ns()).contains(&meta.host_time_ns));
    assert_eq!(frame.pixels_u16(), Some(&[1, 2, 3, 0, 4, 5, 6, 0][..]));
    assert_eq!(frame.pixels_u8(), None);
    let rows: Vec<Vec<u16>> = frame
        .rows()
        .map(|row| row.chunks_exact(2).map(|pixel| u16::from_ne_bytes([pixel[0], pixel[1]])).collect())
        .collect();
    assert_eq!(rows, [[1, 2, 3], [4, 5, 6]]);
}

#[test]
fn a_frame_in_ordinary_memory_looks_like_any_other() {
    let meta = FrameMeta {
        sequence: 4,
        format: row(3),
        bytes: 0,
        exposure_us: 0.0,
        device_time_ns: 0,
        host_time_ns: 0,
        source_index: 0,
    };
    let frame = Frame::in_memory(meta, &[7, 8, 9, 10]).expect("the format makes sense");
    assert_eq!((frame.pixels_u8(), frame.meta().bytes, frame.is_whole()), (Some(&[7, 8, 9][..]), 3, true));
}

#[test]
fn a_full_ring_answers_at_once_or_after_the_patience_asked_for() {
    let mut home = home(3);
    let (mut reader, _) = home.reader(ReadMode::Lossless);
    (0..3).for_each(|sequence| assert_eq!(home.publish(), sequence));
    assert_eq!(home.producer.try_loan(row(8)).map(drop), Err(LoanError::NoFreeSlot { slots: 3 }));
    let after = Duration::from_millis(3);
    let late = home.producer.loan_timeout(row(8), after).map(drop);
    assert_eq!(late, Err(LoanError::TimedOut { slots: 3, after }));
    let counts = home.ring.counts();
    assert_eq!((counts.refused, counts.loans_waited, counts.waiting_since_ns), (2, 1, None));
    assert!(counts.waited_ns >= 3_000_000);
    assert_eq!((next(&mut reader), home.publish()), (Some(0), 3));
}

#[test]
fn an_interrupted_loan_answers_and_so_do_all_later_ones() {
    let mut home = home(3);
    let (mut reader, _) = home.reader(ReadMode::Lossless);
    (0..3).for_each(|sequence| assert_eq!(home.publish(), sequence));
    let interrupter = home.producer.interrupter();
    let Home { ring, mut producer, .. } = home;
    thread::scope(|scope| {
        let loan = scope.spawn(|| producer.loan(row(8)).map(drop));
        while ring.counts().waiting_since_ns.is_none() {
            thread::yield_now();
        }
        interrupter.interrupt();
        assert_eq!(loan.join().expect("no panic"), Err(LoanError::Interrupted));
    });
    assert_eq!(next(&mut reader), Some(0));
    assert_eq!(
        producer.try_loan(row(8)).map(drop),
        Err(LoanError::Interrupted),
        "a free slot changes nothing"
    );
    assert!(interrupter.is_interrupted());
}

#[test]
fn a_loan_already_made_can_be_published_after_an_interruption() {
    let mut home = home(3);
    let interrupter = home.producer.interrupter();
    let slot = home.producer.loan(row(8)).expect("slots are free");
    interrupter.interrupt();
    assert_eq!(slot.publish(Capture::default()), 0);
}

#[test]
fn a_removed_reader_frees_a_producer_that_waits_for_it() {
    let mut home = home(3);
    let (cursor, data) = home.cursor(ReadMode::Lossless);
    let readers = home.producer.readers();
    let id = readers.add(copy(cursor.fd()), again(&data)).expect("there is room");
    (0..3).for_each(|sequence| assert_eq!(home.publish(), sequence));
    let Home { ring, mut producer, .. } = home;
    thread::scope(|scope| {
        let loan = scope.spawn(|| producer.loan_timeout(row(8), WATCHDOG).map(drop));
        while ring.counts().waiting_since_ns.is_none() {
            thread::yield_now();
        }
        readers.remove(id);
        assert_eq!(loan.join().expect("no panic"), Ok(()));
    });
    assert_eq!((readers.count(), cursor.counts().state), (0, CursorState::Gone));
}

#[test]
fn a_reader_that_leaves_frees_a_producer_that_waits_for_it() {
    let mut home = home(3);
    let (reader, _) = home.reader(ReadMode::Lossless);
    (0..3).for_each(|sequence| assert_eq!(home.publish(), sequence));
    let Home { ring, mut producer, .. } = home;
    thread::scope(|scope| {
        let loan = scope.spawn(|| producer.loan_timeout(row(8), WATCHDOG).map(drop));
        while ring.counts().waiting_since_ns.is_none() {
            thread::yield_now();
        }
        drop(reader);
        assert_eq!(loan.join().expect("no panic"), Ok(()));
    });
}

#[test]
fn a_reader_sees_what_is_published_after_it_has_joined() {
    let mut home = home(5);
    home.publish();
    let (cursor, data) = home.cursor(ReadMode::Lossless);
    let mut reader = home.map(&cursor, &data).expect("the cursor is fresh");
    assert!(reader.next().is_none() && reader.latest().is_none() && !reader.has_news());
    home.publish();
    home.join(&cursor, &data).expect("there is room");
    assert_eq!((next(&mut reader), cursor.counts().start), (None, 2));
    assert_eq!(reader.latest().map(|frame| frame.meta().sequence), Some(1), "the latest may be older");
    home.publish();
    assert_eq!((next(&mut reader), next(&mut reader)), (Some(2), None));
    assert_eq!((cursor.counts().taken, cursor.counts().skipped), (1, 0));
}

#[test]
fn an_ended_ring_is_drained_before_its_end_is_told() {
    let mut home = home(4);
    let (mut reader, _) = home.reader(ReadMode::Lossless);
    (0..2).for_each(|sequence| assert_eq!(home.publish(), sequence));
    assert_eq!((reader.ending(), reader.is_ended_and_drained()), (None, false));
    home.producer.end();
    assert_eq!((reader.ending(), reader.is_ended_and_drained()), (Some(RingEnd::Finished), false));
    for sequence in 0..2 {
        assert_eq!(reader.wait(WATCHDOG), Ok(Wake::News));
        assert_eq!(next(&mut reader), Some(sequence));
    }
    assert!(reader.is_ended_and_drained());
    assert_eq!(reader.wait(WATCHDOG), Ok(Wake::Ended(RingEnd::Finished)));
}

#[test]
fn a_ring_that_the_coordinator_has_ended_gives_no_more_loans() {
    let mut home = home(3);
    home.ring.mark_producer_lost([]);
    assert_eq!(home.producer.try_loan(row(8)).map(drop), Err(LoanError::Ended));
    home.producer.end();
    assert_eq!(home.ring.counts().ended, Some(RingEnd::ProducerLost), "the first word counts");
}

fn is_ringing(reader: &Reader) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(reader.doorbell(), PollFlags::IN)], Some(&now)) == Ok(1)
}

#[test]
fn the_doorbell_rings_for_announced_sleeps_only_and_once_for_each() {
    let mut home = home(8);
    let (mut reader, _) = home.reader(ReadMode::Lossless);
    home.publish();
    assert!(!is_ringing(&reader), "nobody sleeps, so nobody pays for a ring");
    assert!(!reader.prepare_to_wait(), "there is news");
    assert_eq!(next(&mut reader), Some(0));
    assert!(reader.prepare_to_wait());
    home.publish();
    assert!(is_ringing(&reader));
    reader.finish_wait();
    assert!(!is_ringing(&reader) && reader.has_news());
    assert_eq!(next(&mut reader), Some(1));
    home.publish();
    assert!(!is_ringing(&reader));
    assert_eq!(next(&mut reader), Some(2));
    assert!(reader.prepare_to_wait());
    home.producer.end();
    assert!(is_ringing(&reader), "the end wakes everybody");
    assert_eq!(reader.wait(Duration::ZERO), Ok(Wake::Ended(RingEnd::Finished)));
}

#[test]
fn a_wait_without_news_ends_when_the_patience_does() {
    let home = home(3);
    let (mut reader, cursor) = home.reader(ReadMode::Latest);
    assert_eq!(reader.wait(Duration::from_millis(2)), Ok(Wake::TimedOut));
    assert!(!cursor.counts().is_waiting);
    cursor.mark_gone(&home.space);
    assert_eq!(reader.wait(WATCHDOG), Ok(Wake::Gone));
}

#[test]
fn a_ring_takes_no_more_readers_than_it_has_slots_for() {
    let home = home(minimum_slots(2));
    let (first, second) = (home.reader(ReadMode::Latest), home.reader(ReadMode::Lossless));
    let (cursor, data) = home.cursor(ReadMode::Latest);
    assert_eq!(home.ring.max_readers(), 2);
    assert_eq!(home.join(&cursor, &data), Err(AddReaderError::NoRoom { slots: 4, limit: 2 }));
    drop(first);
    assert_eq!(home.join(&cursor, &data), Ok(()), "whoever leaves makes room");
    drop(second);
}

#[test]
fn a_cursor_serves_one_reader_of_one_ring_once() {
    let (home, other) = (home(4), home(4));
    let (cursor, data) = home.cursor(ReadMode::Latest);
    assert_eq!(other.join(&cursor, &data), Err(AddReaderError::Cursor(CursorOpenError::OtherRing)));
    let wrong = other.map(&cursor, &data).map(drop);
    assert_eq!(wrong, Err(RingOpenError::Cursor(CursorOpenError::OtherRing)));
    assert_eq!(home.join(&cursor, &data), Ok(()));
    assert_eq!(home.join(&cursor, &data), Err(AddReaderError::AlreadyJoined));
    let reader = home.map(&cursor, &data).expect("it is the first");
    let second = home.map(&cursor, &data).map(drop);
    assert_eq!(second, Err(RingOpenError::Cursor(CursorOpenError::HasReader)));
    drop(reader);
    assert_eq!(home.join(&cursor, &data), Err(AddReaderError::Gone));
    let ring = Reader::map(copy(home.ring.fd()), copy(home.ring.fd()), bell(), bell()).map(drop);
    let closed = CursorOpenError::Segment(SegmentOpenError::WrongSize { found: 0x6000, expected: 4096 });
    assert_eq!(ring, Err(RingOpenError::Cursor(closed)));
}

#[test]
fn a_ring_has_one_producer_ever() {
    let ring = RingMemory::create(3, 64).expect("memory can be had");
    let first = Producer::map(copy(ring.fd()), bell()).expect("the ring is fresh");
    let second = || Producer::map(copy(ring.fd()), bell()).map(drop);
    assert_eq!(second(), Err(RingOpenError::HasProducer));
    drop(first);
    assert_eq!(second(), Err(RingOpenError::HasProducer));
}

#[test]
fn a_ring_of_impossible_size_is_refused() {
    let create = |slots, bytes| RingMemory::create(slots, bytes).map(drop).expect_err("it is impossible");
    assert_eq!(create(2, 64), RingCreateError::BadSlots { slots: 2, least: 3, most: 4096 });
    assert!(matches!(create(5000, 64), RingCreateError::BadSlots { .. }));
    assert!(matches!(create(3, 0), RingCreateError::BadFrameSize { bytes: 0, .. }));
    assert!(matches!(create(3, u64::MAX), RingCreateError::BadFrameSize { .. }));
    let error = create(4096, 1 << 40).to_string();
    assert!(error.contains("are free"), "{error}");
}
