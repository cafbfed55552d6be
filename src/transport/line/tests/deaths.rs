//! Lines between two processes, one of which is killed or stopped wherever it happens to be.
//!
//! Whoever is left finds what was sent up to some message, each one whole and in its place, and then the end; nobody
//! waits for ever. `LABRIG_STORM=20` lets twenty times as many die.

use super::peers::{Part, Peer};
use super::*;
use std::time::Duration;

/// How many die in one test.
fn lives(few: u64) -> u64 {
    few * std::env::var("LABRIG_STORM").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// After how many messages the peer in this life is killed: another number every time, the same in every run.
fn last_of(life: u64, below: u64) -> u64 {
    (life.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % below
}

/// Does `work`, and kills the peer when it says so, while it goes on.
fn with_killer<T>(peer: &Peer, work: impl FnOnce(&dyn Fn()) -> T) -> T {
    let (now, when) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Whether it was told or the test has failed.
            let _ = when.recv();
            peer.kill();
        });
        work(&move || now.send(()).expect("the killer waits"))
    })
}

/// Sleeps as a thread does that waits for an answer: on the lane. Nobody tells it of the end.
fn doze(line: &Line) {
    let lookout = line.lookout().expect("it has lanes");
    lookout.lie_down();
    match line.has_news() {
        true => lookout.begin_looking(),
        false => lookout.doze(Duration::MAX),
    }
}

/// The peer is killed once so many messages were received; all that it had sent is received, and then the end.
fn check_sender_killed(part: Part, last: u64, sleep: fn(&Line)) {
    let mut peer = Peer::start(part);
    let (count, end) = with_killer(&peer, |kill| {
        let is_last = |count| {
            if count == last {
                kill();
            }
            count == last
        };
        match receive_asleep(&peer.line, 0, sleep, is_last) {
            (count, None) => receive_asleep(&peer.line, count, sleep, |_| false),
            ended_too_early => ended_too_early,
        }
    });
    assert_eq!(end, Some(PipeError::Closed));
    assert!(count >= last.max(peer.noted()), "{count} received of {} sent", peer.noted());
    peer.check_killed();
}

#[test]
fn what_a_sender_has_sent_before_it_was_killed_is_received_and_then_the_end() {
    for life in 0..lives(30) {
        let part = if life % 2 == 0 { Part::Send } else { Part::SendAndNote };
        check_sender_killed(part, last_of(life, 60_000), if life % 8 == 3 { doze } else { sleep });
    }
}

/// The peer is killed once so many messages were sent; then the sender is refused, soon.
fn check_receiver_killed(last: u64) {
    let mut peer = Peer::start(Part::Receive);
    let count = with_killer(&peer, |kill| {
        let mut count = 0;
        loop {
            if count == last {
                kill();
            }
            match send_in_the_end(&peer.line, &message(count)) {
                Ok(()) => count += 1,
                Err(error) => {
                    assert_eq!(error, PipeError::Closed);
                    return count;
                }
            }
        }
    });
    peer.check_killed();
    assert!(count >= last && count >= peer.noted(), "{count} sent, {} received", peer.noted());
    // The lane may have room yet, and somebody may be said to look there.
    let more = (0..10_000).take_while(|_| peer.line.send(b"more").is_ok()).count();
    assert!(more < 10_000, "nobody reads any more, and it is not said");
}

#[test]
fn whoever_sends_to_one_that_was_killed_is_told_and_never_waits() {
    (0..lives(60)).for_each(|life| check_receiver_killed(last_of(life, 30_000)));
}

/// Sends until there is no room.
fn fill(line: &Line, first: u64) -> u64 {
    let count = (first..).find(|number| line.send(&message(*number)).is_err()).expect("it is full once");
    assert_eq!(line.send(&message(count)), Err(PipeError::NotReady));
    count
}

#[test]
fn a_stopped_receiver_finds_everything_when_it_goes_on() {
    for life in 0..lives(10) {
        let mut peer = Peer::start(Part::Receive);
        let stopped_at = last_of(life, 3000);
        let send = |numbers: std::ops::Range<u64>| {
            for number in numbers {
                send_in_the_end(&peer.line, &message(number)).expect("somebody receives");
            }
        };
        send(0..stopped_at);
        peer.stop();
        let count = fill(&peer.line, stopped_at);
        peer.go_on();
        send(count..count + 3000);
        peer.line.shut();
        assert!(peer.end().success(), "it found a mistake");
        assert_eq!(peer.noted(), count + 3000);
    }
}

#[test]
fn whoever_sends_to_a_stopped_receiver_that_is_killed_is_told() {
    let mut peer = Peer::start(Part::Receive);
    peer.stop();
    let count = fill(&peer.line, 0);
    peer.kill();
    peer.check_killed();
    assert_eq!(peer.line.send(&message(count)), Err(PipeError::Closed));
}

#[test]
fn a_stopped_sender_leaves_nothing_torn_and_goes_on_where_it_was() {
    for life in 0..lives(10) {
        let mut peer = Peer::start(Part::Send);
        let stopped_at = last_of(life, 3000);
        let (count, _) = receive_asleep(&peer.line, 0, sleep, |count| count == stopped_at);
        peer.stop();
        let (count, end) = receive_all(&peer.line, count, |_| false);
        assert_eq!(end, Some(PipeError::NotReady));
        peer.go_on();
        let (count, end) = receive_asleep(&peer.line, count, sleep, |now| now == count + 3000);
        assert_eq!(end, None);
        peer.stop();
        peer.kill();
        assert_eq!(receive_asleep(&peer.line, count, sleep, |_| false).1, Some(PipeError::Closed));
        peer.check_killed();
    }
}
