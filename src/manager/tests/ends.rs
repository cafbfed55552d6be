//! The process ends: its safe state comes first, and what is said of it is true.

use super::*;

/// The manager's last words, after which it ends.
fn check_end(played: &Played, reason: SafeReason) {
    assert!(matches!(played.hear(), Heard::Word(ManagerWord::Stopped { .. })));
    played.has_ended();
    assert_eq!(played.see_rest(), [Seen::Safe(reason)]);
    assert!(played.page.is_safe());
}

#[test]
fn a_quit_ends_in_the_safe_state() {
    let played = play(Kindness { has_handle: true, ..Kindness::default() });
    played.quit();
    check_end(&played, SafeReason::Quit);
}

#[test]
fn a_signal_ends_in_the_safe_state() {
    let mut played = play(Kindness::default());
    std::io::Write::write_all(&mut played.terminate, &[1]).expect("the signal comes");
    check_end(&played, SafeReason::Terminated);
}

#[test]
fn a_manager_that_loses_its_coordinator_ends_in_the_safe_state() {
    let played = play(Kindness::default());
    played.ask(1, &Move { act: Act::Rest });
    assert_eq!(played.see(), began(Act::Rest, false));
    let Played { pipe, page, seen, ended, .. } = played;
    drop(pipe);
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Safe(SafeReason::CoordinatorLost)));
    ended.recv_timeout(PATIENCE).expect("it ends in time");
    assert!(page.is_safe());
}

#[test]
fn a_stop_is_obeyed_before_a_quit() {
    let played = play(Kindness::default());
    played.ask(1, &Do { act: Act::Hang });
    assert_eq!(played.see(), began(Act::Hang, true));
    played.order(SafeReason::StopOrdered, 1);
    played.release();
    assert_eq!(played.hear(), Heard::Done(1));
    assert_eq!(played.hear_safe().reason, SafeReason::StopOrdered);
    assert_eq!((played.see(), played.see()), (RETURNED, Seen::Safe(SafeReason::StopOrdered)));
    played.quit();
    check_end(&played, SafeReason::Quit);
}

#[test]
fn a_manager_whose_safe_state_fails_at_the_end_does_not_say_that_it_stopped() {
    let played = play(Kindness { safe_panics: 1, ..Kindness::default() });
    played.ask(1, &Move { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(1));
    played.quit();
    let Heard::Word(ManagerWord::NotSafe { reason, .. }) = played.hear() else { panic!("it claims it") };
    assert_eq!(reason, SafeReason::Quit);
    played.has_ended();
    let left = played.pipe.receive(&mut vec![0; MAX_ENVELOPE_BYTES + 1]);
    assert!(left.is_err() && !played.page.is_safe(), "it said more: {left:?}");
}

/// A panic, in a command or a timer, ends the process when the config says so, after the call was answered.
fn check_escalation(by_timer: bool) {
    let timer = by_timer.then_some(Act::Panic);
    let played = play(Kindness { restarts_on_panic: true, timer, ..Kindness::default() });
    if by_timer {
        played.say(&CoordinatorWord::Start);
    } else {
        played.ask(1, &Move { act: Act::Panic });
        assert!(matches!(played.hear(), Heard::NotDone(1, NotDone::Failed(_))));
    }
    let Heard::Word(ManagerWord::GivesUp { why }) = played.hear() else { panic!("it goes on") };
    let who = if by_timer { "`tick`" } else { "`Move`" };
    assert!(why.starts_with(who) && why.contains("panicked: the driver has a mistake"), "{why}");
    assert!(matches!(played.hear(), Heard::Word(ManagerWord::Stopped { .. })));
    played.has_ended();
    assert_eq!(played.see_rest().pop(), Some(Seen::Safe(SafeReason::Panicked)));
}

#[test]
fn a_panic_ends_its_own_call_and_then_the_process_when_it_escalates() {
    check_escalation(false);
    check_escalation(true);
}

#[test]
fn a_panic_ends_its_own_call_alone_when_it_does_not_escalate() {
    let played = play(Kindness::default());
    played.ask(1, &Do { act: Act::Panic });
    played.ask(2, &Do { act: Act::Return });
    assert!(matches!(played.hear(), Heard::NotDone(1, NotDone::Failed(_))));
    assert_eq!(played.hear(), Heard::Done(2));
}
