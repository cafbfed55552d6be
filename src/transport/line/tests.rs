//! Lines whose two ways have one order, that are slept on, and that end.

mod deaths;
mod hostile;
mod peers;

use super::*;
use crate::shm::{LanePair, look_for_a_moment};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::sync::mpsc;
use std::thread;

/// The coordinator's end and the manager's.
fn wide() -> (Line, Line) {
    wide_over(&LanePair::create().expect("memory"))
}

fn wide_over(lanes: &LanePair) -> (Line, Line) {
    let (ours, theirs) = Pipe::pair().expect("a pair");
    let (ours, theirs) = (Line::new(ours), Line::new(theirs));
    ours.widen(lanes.of_coordinator());
    theirs.widen(lanes.of_manager());
    (ours, theirs)
}

fn received(line: &Line) -> Vec<u8> {
    received_with(line).0
}

fn received_with(line: &Line) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut buffer = vec![0; 8192];
    loop {
        match line.receive(&mut buffer) {
            Ok(Packet { length: 0, .. }) => {}
            Ok(packet) => return (buffer[..packet.length].to_vec(), packet.descriptors),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn what_has_no_room_is_kept_back_until_the_other_side_has_taken_everything() {
    let (ours, theirs) = wide();
    ours.keep_back();
    theirs.wake_up();
    let mut kept = 0_u64;
    while ours.send(&kept.to_le_bytes()).is_ok() {
        kept += 1;
    }
    assert_eq!(ours.send(&kept.to_le_bytes()), Err(PipeError::NoRoom));
    let mut buffer = vec![0; 8192];
    assert!(ours.receive(&mut buffer).is_err(), "nobody has told of room yet");
    (0..kept).for_each(|number| assert_eq!(received(&theirs), number.to_le_bytes()));
    assert_eq!(theirs.receive_known(&mut buffer).expect_err("it is empty"), PipeError::NotReady);
    assert_eq!(ours.receive(&mut buffer).expect("it is told").length, 0);
    assert_eq!(theirs.receive_known(&mut buffer).expect_err("it is empty"), PipeError::NotReady);
    assert_eq!(ours.receive(&mut buffer).expect_err("it is told once"), PipeError::NotReady);
    ours.send(&kept.to_le_bytes()).expect("there is room");
    assert_eq!(received(&theirs), kept.to_le_bytes());
}

#[test]
fn several_are_told_of_once() {
    let (ours, theirs) = wide();
    let mut sending = ours.begin_sending();
    (0..3_u8).for_each(|number| sending.send(&[number]).expect("room"));
    assert!(!theirs.has_records(), "nothing is there before it is told of");
    sending.finish().expect("the other side is there");
    let mut buffer = vec![0; 8192];
    (0..3_u8).for_each(|number| assert_eq!(received(&theirs), [number]));
    assert_eq!(theirs.receive(&mut buffer).expect("it was called").length, 0);
    assert_eq!(theirs.receive(&mut buffer).expect_err("it was called once"), PipeError::NotReady);
}

#[test]
fn what_is_small_and_what_is_large_arrives_in_the_order_in_which_it_was_sent() {
    let (ours, theirs) = wide();
    let message = |number: u8| vec![number; if number.is_multiple_of(3) { 5000 } else { 50 }];
    (0..30).for_each(|number| ours.send(&message(number)).expect("room"));
    (0..30).for_each(|number| assert_eq!(received(&theirs), message(number)));
    let nothing = theirs.receive(&mut [0; 8192]).expect_err("nothing is left");
    assert_eq!(nothing, PipeError::NotReady);
}

#[test]
fn buffers_keep_their_place_among_what_goes_by_the_lane() {
    let (ours, theirs) = wide();
    let buffers = [(); 16].map(|()| Buffer::new(tempfile::tempfile().expect("a file").into()));
    ours.send(b"before").expect("room");
    ours.send_beside(b"beside", &buffers).expect("room");
    ours.send(b"after").expect("room");
    assert_eq!(received(&theirs), b"before");
    let (bytes, descriptors) = received_with(&theirs);
    assert_eq!((bytes.as_slice(), descriptors.len()), (&b"beside"[..], 16));
    for (sent, came) in buffers.iter().zip(&descriptors) {
        let file = |descriptor| rustix::fs::fstat(descriptor).expect("a file").st_ino;
        assert_eq!(file(sent.as_fd()), file(came.as_fd()), "they stay in order");
    }
    assert_eq!(received(&theirs), b"after");
}

#[test]
fn the_last_words_in_a_lane_are_heard_after_the_end_of_the_pipe() {
    let (ours, theirs) = wide();
    theirs.wake_up();
    ours.send(b"small").expect("room");
    ours.send(&[7; 5000]).expect("room");
    ours.send(b"last").expect("room");
    drop(ours);
    assert_eq!(received(&theirs), b"small");
    assert_eq!(received(&theirs), [7; 5000]);
    assert_eq!(received(&theirs), b"last");
    assert_eq!(theirs.receive(&mut [0; 8192]).expect_err("the end"), PipeError::Closed);
}

#[test]
fn what_is_put_last_is_received_however_soon_the_end_follows() {
    let (other, lines) = mpsc::channel::<(u64, Line)>();
    let send_and_go = move || {
        for (turn, line) in lines {
            // When it comes, and how long after the other has begun to look, changes with every turn.
            (0..turn * 7 % 1999).for_each(|_| std::hint::spin_loop());
            line.send(b"last").expect("room");
        }
    };
    thread::scope(|scope| {
        scope.spawn(send_and_go);
        for turn in 0..3000 {
            let (ours, theirs) = wide();
            // Nobody is called, so that nothing but the end is in the pipe.
            theirs.wake_up();
            other.send((turn, ours)).expect("somebody sends");
            let mut came = Vec::new();
            let mut buffer = vec![0; 8192];
            let end = loop {
                match theirs.receive(&mut buffer) {
                    Ok(packet) => came.push(buffer[..packet.length].to_vec()),
                    Err(PipeError::NotReady) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!((came, end), (vec![b"last".to_vec()], PipeError::Closed), "in turn {turn}");
        }
        drop(other);
    });
}

#[test]
fn a_line_that_is_shut_has_ended_for_the_other_side_though_somebody_holds_it() {
    let (ours, theirs) = wide();
    theirs.wake_up();
    ours.send(b"last").expect("room");
    ours.shut();
    assert!(ours.is_shut());
    assert_eq!(received(&theirs), b"last");
    assert_eq!(theirs.receive(&mut [0; 8192]).expect_err("the end"), PipeError::Closed);
    assert_eq!(theirs.send(&[7; 5000]), Err(PipeError::Closed));
}

#[test]
fn a_record_that_claims_to_follow_packets_that_were_never_sent_ends_the_line() {
    let (ours, theirs) = wide();
    let Some(lane) = &mut ours.out.lock().lane else { panic!("it has lanes") };
    let _ = lane.put(b"x", 5);
    let found = theirs.receive(&mut [0; 8192]).expect_err("a lie");
    assert_eq!(found, PipeError::Lane(LaneError::NoPackets));
}

/// How long a test waits for something that ought to happen at once. Only a hang ever takes this long.
const WATCHDOG: Timespec = Timespec { tv_sec: 300, tv_nsec: 0 };

/// Sleeps as a manager's worker does: it looks for a moment, says so, looks once more, and waits for its pipe.
fn sleep(line: &Line) {
    if !look_for_a_moment(|| line.has_news()) && line.fall_asleep() {
        let mut pipe = [PollFd::new(line, PollFlags::IN)];
        assert_eq!(poll(&mut pipe, Some(&WATCHDOG)), Ok(1), "watchdog: nobody has called");
    }
    line.wake_up();
}

/// The message with this number: now and then one that goes by the pipe.
fn message(number: u64) -> Vec<u8> {
    let words = if number.is_multiple_of(97) { 500 } else { 1 + number % 20 };
    number.to_le_bytes().repeat(words as usize)
}

/// Sends as soon as there is room.
fn send_in_the_end(line: &Line, bytes: &[u8]) -> Result<(), PipeError> {
    loop {
        match line.send(bytes) {
            Err(PipeError::NotReady) => thread::yield_now(),
            other => return other,
        }
    }
}

/// Receives the messages from `first` on, each whole and in its place, until `is_enough` of so many or there is
/// nothing; says how many they are by then, and why there is no more.
fn receive_all(line: &Line, first: u64, is_enough: impl Fn(u64) -> bool) -> (u64, Option<PipeError>) {
    let (mut count, mut buffer) = (first, vec![0; 8192]);
    while !is_enough(count) {
        match line.receive(&mut buffer) {
            Ok(Packet { length: 0, .. }) => {}
            Ok(packet) => {
                assert!(buffer[..packet.length] == message(count), "message {count} is not what was sent");
                count += 1;
            }
            Err(error) => return (count, Some(error)),
        }
    }
    (count, None)
}

/// The same, asleep whenever there is nothing.
fn receive_asleep(
    line: &Line,
    first: u64,
    sleep: impl Fn(&Line),
    is_enough: impl Fn(u64) -> bool,
) -> (u64, Option<PipeError>) {
    let mut count = first;
    loop {
        match receive_all(line, count, &is_enough) {
            (so_far, Some(PipeError::NotReady)) => count = so_far,
            other => return other,
        }
        sleep(line);
    }
}

#[test]
fn nothing_is_slept_through_or_overtaken_in_a_great_many() {
    const COUNT: u64 = 100_000;
    let (ours, theirs) = wide();
    let send = || {
        for number in 0..COUNT {
            // Now and then a pause in which the other falls asleep.
            (0..number % 512).for_each(|_| std::hint::spin_loop());
            send_in_the_end(&ours, &message(number)).expect("somebody receives");
        }
    };
    let receive = move || {
        let came = receive_asleep(&theirs, 0, sleep, |count| count == COUNT);
        assert_eq!(came, (COUNT, None));
    };
    thread::scope(|scope| {
        // Should it fail, its end of the pipe is closed, and nobody sends for ever.
        scope.spawn(receive);
        send();
    });
}
