//! What the status page tells a watchdog.

use super::*;

const WATCHDOG_MS: u64 = 5_000;
const WATCHDOG_NS: u64 = 5_000_000_000;

fn watched(timer: Option<Act>) -> Played {
    play(Kindness { watchdog_ms: WATCHDOG_MS, timer, ..Kindness::default() })
}

#[test]
fn a_command_runs_with_the_watchdogs_allowance_and_may_ask_for_more() {
    let played = watched(None);
    played.ask(1, &Do { act: Act::Return });
    played.ask(2, &Do { act: Act::Extend });
    assert_eq!((played.see(), played.see()), (began(Act::Return, true), Seen::Allowed(Some(WATCHDOG_NS))));
    assert_eq!(played.see(), began(Act::Extend, true));
    let Seen::Allowed(Some(allowed)) = played.see() else { panic!("it has no limit") };
    assert!(allowed >= 60_000_000_000, "{allowed}");
    assert_eq!([played.hear(), played.hear()], [Heard::Done(1), Heard::Done(2)]);
}

#[test]
fn a_manager_that_waits_for_another_one_has_no_limit_meanwhile() {
    let played = watched(None);
    played.ask(1, &Do { act: Act::Wait });
    assert_eq!(played.see(), began(Act::Wait, true));
    let call = loop {
        let mut buffer = vec![0; MAX_ENVELOPE_BYTES + 1];
        let pipe = PollFd::from_borrowed_fd(played.pipe.as_fd(), PollFlags::IN);
        wait_for(&mut [pipe], Some(Instant::now() + PATIENCE));
        let packet = played.pipe.receive(&mut buffer).expect("it calls in time");
        let envelope = Envelope::open(&buffer[..packet.length]).expect("it can be read");
        if envelope.header.kind == Kind::Call {
            break envelope.header.correlation;
        }
        assert_eq!(envelope.header.kind, Kind::Progress);
    };
    // It is in its call already, or is on the way there.
    let until = Instant::now() + PATIENCE;
    while played.page.activity().allowance_ns.is_some() {
        assert!(Instant::now() < until, "its wait counts");
        thread::yield_now();
    }
    let done = Header { correlation: call, ..Header::new(Kind::Done) };
    played.pipe.send(&done.seal(&[])).expect("the pipe has room");
    let Seen::Allowed(Some(allowed)) = played.see() else { panic!("its limit is gone") };
    assert!(allowed >= 60_000_000_000, "{allowed}");
    assert_eq!(played.hear(), Heard::Done(1));
}

#[test]
fn a_timer_that_begins_while_nobody_watches_is_told_of() {
    let played = watched(Some(Act::Hang));
    played.say(&CoordinatorWord::Start);
    assert_eq!(played.hear(), Heard::Word(ManagerWord::Busy));
    let activity = played.page.activity();
    assert!(activity.step != 0 && activity.allowance_ns == Some(WATCHDOG_NS) && activity.steps == 1);
    played.release();
}

#[test]
fn a_timer_that_begins_while_somebody_watches_is_not_told_of() {
    let played = watched(Some(Act::Return));
    played.page.set_watched(true);
    played.say(&CoordinatorWord::Start);
    for _ in 0..3 {
        assert_eq!((played.see(), played.see()), (Seen::Ticked, began(Act::Return, true)));
        assert_eq!(played.see(), Seen::Allowed(Some(WATCHDOG_NS)));
    }
    played.ask(1, &Do { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(1), "nothing was said before");
}
