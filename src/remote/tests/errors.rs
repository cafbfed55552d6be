//! What an error says of the call that it ended.

use super::*;
use crate::remote::{CallError, CallErrorKind, RemoteError};
use crate::wire::{DecodeError, Failure, FailureKind, ManagerName, Site};

fn failed(failure: Failure, chain: &[&str]) -> CallError {
    let chain = chain.iter().map(|name| (*name).to_owned()).collect();
    CallError::Failed(Box::new(RemoteError { facts: CallFacts { chain, ..counted("Count") }, failure }))
}

fn busy() -> Refusal {
    let manager = ManagerName::new("motor").expect("a name");
    Refusal::Busy { manager, command: "Count".into(), depth: 1 }
}

fn quitting() -> Refusal {
    Refusal::Quitting { command: "Count".into() }
}

/// One error of each kind.
fn all() -> Vec<CallError> {
    let facts = || counted("Count");
    let source = DecodeError::TooDeep { expected: "u32".into() };
    vec![
        failed(Failure::text("jammed"), &[]),
        CallError::Cancelled(facts()),
        CallError::Expired(facts()),
        CallError::Refused(busy()),
        CallError::Lost(facts()),
        CallError::Indeterminate(facts()),
        CallError::Deadlock { facts: facts(), cycle: vec!["a".into(), "b".into(), "a".into()] },
        CallError::NoAnswerYet { facts: facts(), patience: MOMENT },
        CallError::UnreadableAnswer { facts: facts(), source: Box::new(source) },
    ]
}

#[test]
fn every_error_says_which_ending_it_is_and_who_was_asked_what() {
    let kinds: Vec<_> = all().iter().map(|error| error.kind().to_string()).collect();
    let expected = [
        "failed",
        "cancelled",
        "expired",
        "refused",
        "lost",
        "indeterminate",
        "deadlock",
        "no-answer-yet",
        "unreadable-answer",
    ];
    assert_eq!(kinds, expected);
    for error in all() {
        assert_eq!((error.command(), error.manager()), (Some("Count"), Some("motor")), "{error}");
        let is_refused = error.kind() == CallErrorKind::Refused;
        assert_eq!((error.facts().is_none(), error.generation().is_none()), (is_refused, is_refused));
        assert!(error.chain().is_empty());
    }
}

#[test]
fn what_nobody_knows_is_not_made_up() {
    let facts = unanswered("Count");
    let error = CallError::NoAnswerYet { facts, patience: MOMENT };
    assert_eq!((error.command(), error.manager(), error.generation()), (Some("Count"), None, None));
    let closed = CallError::Refused(Refusal::Closed);
    assert_eq!((closed.command(), closed.manager()), (None, None));
}

#[test]
fn only_what_certainly_did_not_run_is_safe_to_send_again() {
    let safe: Vec<_> = all().iter().filter(|it| it.is_safe_to_retry()).map(CallError::kind).collect();
    assert_eq!(safe, [CallErrorKind::Refused, CallErrorKind::Lost]);
    assert!(!CallError::Refused(Refusal::Closed).is_safe_to_retry());
    let cancelled: Vec<_> = all().iter().filter(|it| it.is_cancelled()).map(CallError::kind).collect();
    assert_eq!(cancelled, [CallErrorKind::Cancelled]);
    assert!(all().iter().all(|it| !it.is_shutdown()));
    assert!([quitting(), Refusal::Closed].into_iter().all(|it| CallError::Refused(it).is_shutdown()));
}

#[test]
fn a_panic_says_what_and_where() {
    let location = Some(Site::new("src/motor.rs", 12));
    let backtrace = Some("0: home".to_owned());
    let failure =
        Failure { kind: FailureKind::Panic, location, backtrace, ..Failure::text("no limit switch") };
    let error = failed(failure, &[]);
    assert_eq!(error.message(), "no limit switch");
    assert_eq!(error.location().map(ToString::to_string).as_deref(), Some("src/motor.rs:12"));
    assert_eq!(error.backtrace(), Some("0: home"));
    let lost = CallError::Lost(counted("Count"));
    assert_eq!(lost.message(), "`Count` at `motor` was lost: it did not run");
    assert!(lost.location().is_none() && lost.backtrace().is_none());
}

fn check_text(chain: &[&str], expected: &str) {
    assert_eq!(failed(Failure::text("jammed"), chain).to_string(), expected);
}

#[test]
fn a_failure_far_away_tells_the_way_to_it() {
    check_text(&[], "`Count` at `motor` failed: jammed");
    check_text(&["stage"], "`Count` at `motor` failed: jammed");
    check_text(&["scan", "stage"], "`Count` at `motor` failed: jammed (called by `scan` → `stage`)");
}
