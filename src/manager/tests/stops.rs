//! A stop is ordered: what runs gives up, what waits never begins, and the manager goes on.

use super::*;

#[test]
fn a_stop_ends_what_runs_and_calls_off_what_waits_and_the_manager_goes_on() {
    let played = play(Kindness::default());
    played.ask(1, &Move { act: Act::Rest });
    played.ask(2, &Do { act: Act::Return });
    played.send(&Move { act: Act::Return });
    assert_eq!(played.see(), began(Act::Rest, false));
    played.order(SafeReason::StopOrdered, 3);
    assert_eq!(played.hear(), Heard::NotDone(1, NotDone::Cancelled));
    let entry = played.hear_safe();
    assert_eq!((entry.reason, entry.taken, entry.by_emergency_handle), (SafeReason::StopOrdered, 1, false));
    assert_eq!(played.hear(), Heard::NotDone(2, NotDone::Cancelled));
    played.ask(4, &Move { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(4));
    let expected = [Seen::Safe(SafeReason::StopOrdered), began(Act::Return, false), RETURNED];
    assert_eq!(played.see_rest(), expected);
    assert_eq!(played.page.activity().taken, 4, "what was called off counts as taken");
}

#[test]
fn what_is_sent_after_a_stop_runs_after_it() {
    let played = play(Kindness::default());
    played.ask(1, &Do { act: Act::Hang });
    assert_eq!(played.see(), began(Act::Hang, true));
    played.order(SafeReason::StopOrdered, 1);
    played.ask(2, &Do { act: Act::Return });
    played.release();
    assert_eq!(played.hear(), Heard::Done(1));
    assert_eq!(played.hear_safe().taken, 1);
    assert_eq!(played.hear(), Heard::Done(2));
    let expected = [RETURNED, Seen::Safe(SafeReason::StopOrdered), began(Act::Return, true), RETURNED];
    assert_eq!(played.see_rest(), expected);
}

#[test]
fn an_idle_manager_enters_its_safe_state_as_often_as_it_is_told() {
    let played = play(Kindness::default());
    for _ in 0..3 {
        played.order(SafeReason::StopOrdered, 0);
        assert_eq!(played.hear_safe().taken, 0);
    }
    assert_eq!(played.see_rest(), [Seen::Safe(SafeReason::StopOrdered); 3]);
}

#[test]
fn commands_and_stops_in_turn_are_kept_apart() {
    let played = play(Kindness::default());
    for turn in 1..=500 {
        played.ask(turn, &Move { act: Act::Return });
        played.order(SafeReason::StopOrdered, turn);
        // The command ran, or was called off; the safe state comes once, and before the next command.
        let [first, second] = [played.hear(), played.hear()];
        let is_entry = |heard: &Heard| matches!(heard, Heard::Word(ManagerWord::Safe(_)));
        assert!(is_entry(&first) != is_entry(&second), "{first:?}, {second:?}");
        assert!(played.page.is_safe());
    }
    let entries = played.see_rest().into_iter().filter(|seen| *seen == Seen::Safe(SafeReason::StopOrdered));
    assert_eq!(entries.count(), 500);
}

#[test]
fn only_what_is_hazardous_leaves_the_safe_state() {
    let played = play(Kindness::default());
    played.ask(1, &Do { act: Act::Return });
    played.ask(2, &Move { act: Act::Return });
    played.ask(3, &Do { act: Act::Return });
    for (call, is_safe) in [(1, true), (2, false), (3, false)] {
        assert_eq!(played.hear(), Heard::Done(call));
        assert_eq!((played.see(), played.see()), (began(Act::Return, is_safe), RETURNED));
    }
    assert!(!played.page.is_safe());
}

#[test]
fn a_timer_gives_up_for_a_stop_too() {
    let played = play(Kindness { timer: Some(Act::Rest), ..Kindness::default() });
    played.say(&CoordinatorWord::Start);
    assert_eq!(played.see(), Seen::Ticked);
    played.order(SafeReason::StopOrdered, 0);
    assert_eq!(played.hear_safe().reason, SafeReason::StopOrdered);
    assert_eq!(played.see(), began(Act::Rest, true));
    assert_eq!((played.see(), played.see()), (Seen::Safe(SafeReason::StopOrdered), Seen::Ticked));
}

#[test]
fn a_safe_state_that_fails_is_never_claimed() {
    let played = play(Kindness { safe_panics: 1, ..Kindness::default() });
    played.ask(1, &Move { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(1));
    played.order(SafeReason::StopOrdered, 1);
    let Heard::Word(ManagerWord::NotSafe { reason, why }) = played.hear() else { panic!("it claims it") };
    assert!(reason == SafeReason::StopOrdered && why.contains("the shutter does not answer"), "{why}");
    assert!(!played.page.is_safe());
    played.order(SafeReason::StopOrdered, 1);
    assert_eq!(played.hear_safe().reason, SafeReason::StopOrdered);
}

/// How many answers there is room for, when nobody reads them.
fn room() -> u64 {
    let (_ours, theirs) = Pipe::pair().expect("a pair");
    narrow(&theirs);
    let answer = Header::new(Kind::Done).seal(&[]);
    (0..).find(|_| theirs.send(&answer).is_err()).expect("it is full in the end")
}

/// Plays a manager that has one more answer to give than there is room for.
fn play_unheard() -> (Played, u64) {
    let (played, count) = (play(Kindness { is_narrow: true, ..Kindness::default() }), room() + 1);
    for call in 1..=count {
        played.ask(call, &Move { act: Act::Return });
        assert!(matches!(played.see(), Seen::Began { .. }));
        assert_eq!(played.see(), RETURNED);
    }
    (played, count)
}

#[test]
fn an_answer_that_nobody_reads_keeps_nothing_from_its_safe_state() {
    let (played, count) = play_unheard();
    played.order(SafeReason::StopOrdered, 0);
    assert_eq!(played.see(), Seen::Safe(SafeReason::StopOrdered));
    // It is still there to be read, and whoever ordered the safe state is told of it.
    (1..=count).for_each(|call| assert_eq!(played.hear(), Heard::Done(call)));
    assert_eq!(played.hear_safe().reason, SafeReason::StopOrdered);
    played.ask(count + 1, &Do { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(count + 1));
}

#[test]
fn one_that_is_terminated_while_nobody_reads_its_answers_is_safe_before_it_ends() {
    let (played, _) = play_unheard();
    std::io::Write::write_all(&mut &played.terminate, &[1]).expect("the signal comes");
    assert_eq!(played.see(), Seen::Safe(SafeReason::Terminated));
}
