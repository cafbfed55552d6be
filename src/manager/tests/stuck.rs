//! The worker is stuck: its emergency handle enters the safe state in its place.

use super::*;

fn stuck(like: Kindness) -> Played {
    let played = play(Kindness { has_handle: true, ..like });
    played.ask(1, &Move { act: Act::Hang });
    assert_eq!(played.see(), began(Act::Hang, false));
    played
}

/// A worker that is stuck is told to enter the safe state for that reason, and comes back after its handle.
fn check_emergency(reason: SafeReason) {
    let played = stuck(Kindness::default());
    played.order(reason, 1);
    assert_eq!(played.see(), Seen::Emergency(reason));
    let entry = played.hear_safe();
    assert!(entry.by_emergency_handle && entry.reason == reason && played.page.is_safe());
    played.release();
    assert_eq!(played.hear(), Heard::Done(1));
    let entry = played.hear_safe();
    assert!(!entry.by_emergency_handle && entry.reason == reason);
    assert_eq!(played.see_rest(), [RETURNED, Seen::Safe(reason)]);
    played.ask(2, &Do { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(2));
}

#[test]
fn the_handle_of_a_stuck_worker_is_used_and_the_worker_enters_its_safe_state_when_it_comes_back() {
    check_emergency(SafeReason::StopOrdered);
    check_emergency(SafeReason::Restarting);
}

#[test]
fn the_handle_is_used_when_the_coordinator_is_gone_or_a_signal_comes() {
    for is_gone in [true, false] {
        let played = stuck(Kindness::default());
        let Played { pipe, mut terminate, seen, .. } = played;
        if is_gone {
            drop(pipe);
        } else {
            std::io::Write::write_all(&mut terminate, &[1]).expect("the signal comes");
        }
        let reason = if is_gone { SafeReason::CoordinatorLost } else { SafeReason::Terminated };
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Emergency(reason)));
    }
}

#[test]
fn a_worker_that_heeds_the_order_needs_no_handle() {
    let played = play(Kindness { has_handle: true, ..Kindness::default() });
    for turn in 1..=20 {
        played.ask(turn, &Move { act: Act::Rest });
        assert_eq!(played.see(), began(Act::Rest, false));
        played.order(SafeReason::StopOrdered, turn);
        assert_eq!(played.see(), Seen::Safe(SafeReason::StopOrdered));
    }
}

#[test]
fn a_stuck_worker_without_a_handle_claims_nothing_until_it_comes_back() {
    let played = play(Kindness::default());
    played.ask(1, &Move { act: Act::Hang });
    assert_eq!(played.see(), began(Act::Hang, false));
    played.order(SafeReason::StopOrdered, 1);
    played.release();
    assert_eq!(played.hear(), Heard::Done(1));
    assert!(!played.hear_safe().by_emergency_handle);
}

#[test]
fn a_handle_that_panics_claims_nothing() {
    let played = stuck(Kindness { handle_panics: true, ..Kindness::default() });
    played.order(SafeReason::StopOrdered, 1);
    let Heard::Word(ManagerWord::NotSafe { why, .. }) = played.hear() else { panic!("it claims it") };
    assert!(why.contains("the relay does not answer") && !played.page.is_safe(), "{why}");
    played.release();
    assert_eq!(played.hear(), Heard::Done(1));
    assert!(!played.hear_safe().by_emergency_handle);
}

#[test]
fn the_handle_is_used_when_the_code_of_the_safe_state_panics() {
    let played = play(Kindness { has_handle: true, safe_panics: 2, ..Kindness::default() });
    played.order(SafeReason::StopOrdered, 0);
    assert!(played.hear_safe().by_emergency_handle);
    assert_eq!(played.see_rest(), [Seen::Emergency(SafeReason::StopOrdered)]);
    played.order(SafeReason::StopOrdered, 0);
    let Heard::Word(ManagerWord::NotSafe { .. }) = played.hear() else { panic!("a handle is used once") };
}
