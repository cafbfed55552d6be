//! The coordinator is frozen: a manager that is out of its safe state enters it, and goes on.

use super::*;
use crate::shm::monotonic_ns;

const HOUR_NS: u64 = 3_600_000_000_000;

/// A moment that is over when anybody looks.
fn over() -> u64 {
    monotonic_ns() - 1
}

#[test]
fn a_lease_that_lapses_stops_a_move_and_is_told() {
    let played = play(Kindness::default());
    played.page.set_lease_until_ns(monotonic_ns() + HOUR_NS);
    played.ask(1, &Move { act: Act::Rest });
    assert_eq!(played.see(), began(Act::Rest, false));
    played.page.set_lease_until_ns(over());
    // Whoever renews rings no bell; this bell stands for the end of the time that the link thread sleeps.
    played.urgent.ring();
    assert_eq!(played.hear(), Heard::NotDone(1, NotDone::Cancelled));
    assert_eq!(played.hear_safe().reason, SafeReason::CoordinatorFrozen);
    assert_eq!(played.see(), Seen::Safe(SafeReason::CoordinatorFrozen));
    played.ask(2, &Do { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(2));
}

#[test]
fn a_lease_that_is_not_renewed_lapses_by_itself() {
    let played = play(Kindness::default());
    played.page.set_lease_until_ns(monotonic_ns() + 300_000_000);
    played.ask(1, &Move { act: Act::Rest });
    assert_eq!(played.see(), began(Act::Rest, false));
    assert_eq!(played.hear(), Heard::NotDone(1, NotDone::Cancelled));
    assert_eq!(played.hear_safe().reason, SafeReason::CoordinatorFrozen);
}

#[test]
fn what_a_frozen_coordinator_had_sent_does_not_move_anything_any_more() {
    let played = play(Kindness::default());
    played.page.set_lease_until_ns(over());
    played.ask(1, &Move { act: Act::Return });
    played.ask(2, &Do { act: Act::Return });
    assert_eq!(played.hear(), Heard::NotDone(1, NotDone::Cancelled));
    assert_eq!(played.hear(), Heard::Done(2));
    assert!(played.page.is_safe());
    played.page.set_lease_until_ns(monotonic_ns() + HOUR_NS);
    played.ask(3, &Move { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(3));
    assert_eq!(played.see_rest(), [began(Act::Return, true), RETURNED, began(Act::Return, false), RETURNED]);
}

#[test]
fn a_one_way_command_that_a_frozen_coordinator_had_sent_is_told_not_to_have_run() {
    let played = play(Kindness::default());
    played.page.set_lease_until_ns(over());
    played.ask(1, &Do { act: Act::Return });
    played.put::<Move>(Kind::Send, 77, &Move { act: Act::Return });
    played.send(&Do { act: Act::Return });
    played.ask(4, &Do { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(1));
    let told = ManagerWord::NotRun { ordinal: 2, command: Move::spec().id, sender: 77 };
    assert_eq!(played.hear(), Heard::Word(told));
    assert_eq!(played.hear(), Heard::Done(4));
    let once = [began(Act::Return, true), RETURNED];
    assert_eq!(played.see_rest(), once.repeat(3), "what moves did not run");
}

#[test]
fn without_a_lease_nothing_lapses() {
    let played = play(Kindness::default());
    played.ask(1, &Move { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(1));
    played.urgent.ring();
    played.ask(2, &Do { act: Act::Return });
    assert_eq!(played.hear(), Heard::Done(2));
    assert!(!played.page.is_safe());
}
