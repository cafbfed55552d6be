//! What a caller is told of a handler's error: its type, its place, and by which way it was called.

use std::process::Command;

use crate::support::{PATIENCE, end_cleanly, launch, until_begun, until_busy};
use labrig::wire::{Failure, FailureKind};
use labrig::{CallError, PendingReply, Refusal, Rig};
use labrig_testbed::commands::*;
use labrig_testbed::patient::{Linger, Relay, Then, Toil, Way};
use labrig_testbed::study::*;

const TWO: &str = "default_deadline_ms = 600000\n[managers.left]\nkind = \"worker\"\nenv = { RUST_BACKTRACE = \"1\" }\n\
                   [managers.right]\nkind = \"patient\"\nenv_remove = [\"RUST_BACKTRACE\"]\n\
                   [managers.next]\nkind = \"patient\"";

fn check_rig(config: &str, act: impl FnOnce(&Rig)) {
    let rig = launch(config);
    act(&rig);
    end_cleanly(rig);
}

fn error_of<R: std::fmt::Debug>(pending: Result<PendingReply<R>, Refusal>) -> CallError {
    pending.expect("accepted").wait(PATIENCE).expect_err("it fails")
}

fn failure_of(error: &CallError) -> &Failure {
    match error {
        CallError::Failed(remote) => &remote.failure,
        other => panic!("{other:?}"),
    }
}

/// The failure of a handler, with who was asked and the way there.
fn check_facts(error: &CallError, command: &str, manager: &str, chain: &[&str]) {
    let CallError::Failed(remote) = error else { panic!("{error:?}") };
    let facts = &remote.facts;
    assert_eq!((facts.command.as_str(), facts.manager.as_str(), facts.generation), (command, manager, 1));
    assert_eq!(facts.chain, chain);
}

#[test]
fn a_typed_error_is_told_with_who_was_asked_what_and_by_which_way() {
    check_rig(TWO, |rig| {
        let error = error_of(rig.scope().request(Fail { code: 7 }));
        assert_eq!(error.downcast::<TestError>(), Some(TestError::Told { code: 7 }));
        assert_eq!(error.downcast::<String>(), None);
        check_facts(&error, "Fail", "left", &["scope"]);
        let error = error_of(rig.scope().request(ScopeFails { code: 8 }));
        assert_eq!(error.downcast::<TestError>(), Some(TestError::Told { code: 8 }));
        check_facts(&error, "ScopeFails", "scope", &["scope"]);
    });
}

#[test]
fn an_error_deep_in_a_chain_of_calls_says_which_handlers_led_there() {
    check_rig(TWO, |rig| {
        // `right` calls `next`, which is to call somebody who does not exist.
        let row = ["next", "nobody"].map(str::to_owned).to_vec();
        let relay = Relay { row, duration_ms: 1, way: Way::Call };
        let error = error_of(rig.scope().to("right").request(relay));
        check_facts(&error, "Relay", "right", &["scope"]);
        let text = error.to_string();
        assert!(text.contains("`Relay` at `next` failed"), "{text}");
        assert!(text.contains("called by `scope` → `right: Relay`"), "{text}");
        assert!(text.contains("no manager is called `nobody`"), "{text}");
    });
}

#[test]
fn a_panic_is_told_with_its_place_and_its_backtrace_where_that_is_enabled() {
    check_rig(TWO, |rig| {
        let error = error_of(rig.scope().request(Panic { words: "it broke".to_owned() }));
        let failure = failure_of(&error);
        assert_eq!((&failure.kind, failure.text.as_str()), (&FailureKind::Panic, "it broke"));
        assert!(failure.location.as_ref().is_some_and(|at| at.file.ends_with("worker.rs") && at.line > 0));
        let backtrace = failure.backtrace.as_deref().expect("it is enabled there");
        assert!(backtrace.contains("worker"), "{backtrace}");
        let lingers = rig.scope().to("right").request(Linger { number: 1, then: Then::Panic });
        let lingers = lingers.expect("accepted");
        until_begun(&lingers);
        lingers.cancel();
        let error = error_of(Ok(lingers));
        assert!(failure_of(&error).location.is_some());
        assert_eq!(failure_of(&error).backtrace, None, "it is not enabled there");
    });
}

/// Says to a test that it runs in a process of its own.
const ALONE: &str = "LABRIG_TEST_ALONE";

#[test]
fn a_panic_of_a_handler_of_the_scope_is_told_with_its_place_and_its_backtrace_too() {
    if std::env::var_os(ALONE).is_none() {
        // Whether there are backtraces is decided once in a process, and this one has others' tests in it.
        let name =
            "typed_errors::a_panic_of_a_handler_of_the_scope_is_told_with_its_place_and_its_backtrace_too";
        let mut alone = Command::new(std::env::current_exe().expect("this program"));
        let status = alone.args(["--exact", name]).env(ALONE, "1").env("RUST_BACKTRACE", "1").status();
        assert!(status.expect("it is started").success(), "see above");
        return;
    }
    check_rig(TWO, |rig| {
        let error = error_of(rig.scope().request(ScopePanics { words: "it tilted".to_owned() }));
        let failure = failure_of(&error);
        assert_eq!((&failure.kind, failure.text.as_str()), (&FailureKind::Panic, "it tilted"));
        assert!(failure.location.as_ref().is_some_and(|at| at.file.ends_with("study.rs") && at.line > 0));
        let backtrace = failure.backtrace.as_deref().expect("it is enabled here");
        assert!(backtrace.contains("study"), "{backtrace}");
        let sum = rig.scope().call(ScopeToils { duration_ms: 1, nap_ms: 1 });
        assert_eq!(sum, Ok(1), "the scope goes on");
    });
}

#[test]
fn where_a_failure_happened_is_withheld_when_the_rig_says_so() {
    check_rig(&format!("send_traces = false\n{TWO}"), |rig| {
        let panics = rig.scope().request(Panic { words: "it broke".to_owned() });
        for error in [error_of(panics), error_of(rig.scope().request(ScopePanics { words: String::new() }))] {
            let failure = failure_of(&error);
            assert_eq!(failure.kind, FailureKind::Panic);
            assert_eq!((&failure.location, &failure.backtrace), (&None, &None));
        }
        let error = error_of(rig.scope().request(Fail { code: 7 }));
        assert_eq!(
            error.downcast::<TestError>(),
            Some(TestError::Told { code: 7 }),
            "the error itself is told"
        );
    });
}

#[test]
fn what_a_cancelled_handler_returns_is_no_error_of_it() {
    check_rig(TWO, |rig| {
        let lingers = rig.scope().to("right").request(Linger { number: 1, then: Then::Fail });
        let lingers = lingers.expect("accepted");
        until_begun(&lingers);
        lingers.cancel();
        let error = error_of(Ok(lingers));
        assert!(matches!(error, CallError::Cancelled(_)), "{error:?}");
        assert_eq!(error.downcast::<TestError>(), None);
    });
}

#[test]
fn the_end_of_the_rig_is_no_error_of_a_handler() {
    let rig = launch(&format!("quit_deadline_ms = 300\n{TWO}"));
    let scope = rig.scope();
    let toil = || Toil { duration_ms: 60_000, nap_ms: 60_000 };
    let running = scope.to("right").request(toil()).expect("accepted");
    let studying = scope.request(ScopeToils { duration_ms: 60_000, nap_ms: 60_000 }).expect("accepted");
    until_busy(&rig, &["right"]);
    let queued = scope.to("right").request(toil()).expect("accepted");
    let summary = rig.shutdown();
    for cancelled in [&running, &studying] {
        let end = cancelled.try_value().expect("it has ended");
        assert!(matches!(end, Err(CallError::Cancelled(_))), "{end:?}");
    }
    let end = queued.try_value().expect("it has ended");
    assert!(matches!(end, Err(CallError::Lost(_) | CallError::Refused(_))), "{end:?}");
    assert_eq!(summary.totals.failed, 0, "{:?}", summary.totals);
    let error = error_or_refusal(&scope);
    assert!(matches!(error, CallError::Refused(Refusal::Closed)), "{error:?}");
}

fn error_or_refusal(scope: &labrig::Scope) -> CallError {
    scope.to("left").call(Add { a: 1, b: 2 }).expect_err("the rig has ended")
}
