//! Where commands go and how they end, on real processes.

use std::time::Duration;

use crate::support::{PATIENCE, end_cleanly, launch, pid_of};
use labrig::prelude::*;
use labrig::wire::FailureKind;
use labrig::{CallError, Refusal, Rig};
use labrig_testbed::commands::*;

const TWO_WORKERS: &str = "[managers.left]\nkind = \"worker\"\n[managers.right]\nkind = \"worker\"\n\
                           [managers.ear]\nkind = \"listener\"";
const ONE_WORKER: &str = "[managers.only]\nkind = \"worker\"";

fn check_two(act: impl FnOnce(&Rig)) {
    let rig = launch(TWO_WORKERS);
    act(&rig);
    end_cleanly(rig);
}

fn check_one(act: impl FnOnce(&Rig)) {
    let rig = launch(ONE_WORKER);
    act(&rig);
    end_cleanly(rig);
}

#[test]
fn a_request_is_answered_by_the_one_manager_that_serves_it() {
    check_one(|rig| {
        let sum = rig.scope().request(Add { a: 40, b: 2 }).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(sum, 42);
    });
}

#[test]
fn when_several_serve_a_command_it_needs_an_address() {
    check_two(|rig| {
        match rig.scope().request(Add { a: 1, b: 1 }).map(drop) {
            Err(Refusal::AddressNeeded { command, candidates }) => {
                let names: Vec<_> = candidates.iter().map(|name| name.as_str()).collect();
                assert_eq!((command.as_str(), names), ("Add", vec!["left", "right"]));
            }
            other => panic!("{other:?}"),
        }
        let scope = rig.scope();
        let sum = scope.to("right").request(Add { a: 1, b: 1 }).expect("accepted").wait(PATIENCE);
        assert_eq!(sum.expect("done"), 2);
    });
}

#[test]
fn an_address_that_cannot_take_the_command_is_refused_by_name() {
    check_two(|rig| {
        let scope = rig.scope();
        let refused = scope.to("ear").request(Add { a: 1, b: 1 }).map(drop);
        assert!(
            matches!(&refused, Err(Refusal::NotServed { candidates, .. }) if candidates.len() == 2),
            "{refused:?}"
        );
        let absent = scope.to("nobody").send(Note { number: 1 });
        assert!(
            matches!(&absent, Err(Refusal::Absent { manager: Some(name), .. }) if name == "nobody"),
            "{absent:?}"
        );
    });
}

/// A command of this program that no kind handles.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
struct Unheard {}

#[test]
fn a_command_that_nobody_serves_here_is_refused_by_its_name() {
    let rig = launch("[managers.ear]\nkind = \"listener\"");
    let scope = rig.scope();
    let absent = |command: &str| Err(Refusal::Absent { manager: None, command: command.to_owned() });
    assert_eq!(scope.request(Add { a: 1, b: 1 }).map(drop), absent("Add"));
    assert_eq!(scope.send(Note { number: 1 }), absent("Note"));
    assert_eq!(scope.request(Unheard {}).map(drop), absent("Unheard"));
    assert_eq!(scope.to("ear").request(Unheard {}).map(drop), absent("Unheard"));
    let addressed = scope.to("ear").send(Note { number: 1 }).expect_err("it has no handler");
    assert_eq!(addressed.to_string(), "`Note` was refused: `ear` has no handler for it; nobody can take it");
    end_cleanly(rig);
}

#[test]
fn a_typed_error_crosses_whole_and_a_textual_one_as_text() {
    check_one(|rig| {
        let error =
            rig.scope().request(Fail { code: 7 }).expect("accepted").wait(PATIENCE).expect_err("fails");
        assert_eq!(error.downcast::<TestError>(), Some(TestError::Told { code: 7 }));
        assert_eq!(error.to_string(), "`Fail` at `only` failed: told to fail with code 7");
        let error = rig.scope().request(FailAsText {}).expect("accepted").wait(PATIENCE).expect_err("fails");
        assert_eq!(error.downcast::<TestError>(), None);
        assert!(error.to_string().ends_with("told to fail with code 5"), "{error}");
    });
}

#[test]
fn a_panic_ends_that_call_alone_and_says_where() {
    check_one(|rig| {
        let words = "the mirror is cracked".to_owned();
        let error =
            rig.scope().request(Panic { words }).expect("accepted").wait(PATIENCE).expect_err("panics");
        let CallError::Failed(remote) = &error else { panic!("{error:?}") };
        assert_eq!(remote.failure.kind, FailureKind::Panic);
        assert_eq!(remote.failure.text, "the mirror is cracked");
        assert!(
            remote.failure.location.as_ref().is_some_and(|at| at.file.ends_with("worker.rs") && at.line > 0)
        );
        let sum = rig.scope().request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(sum, 3);
    });
}

#[test]
fn commands_of_one_sender_are_taken_in_order() {
    check_one(|rig| {
        let scope = rig.scope();
        for number in 0..500 {
            scope.send(Note { number }).expect("accepted");
        }
        let notes = scope.request(Notes {}).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(notes, (0..500).collect::<Vec<_>>());
    });
}

#[test]
fn a_broadcast_reports_one_outcome_per_manager_and_a_failing_one_stops_nobody() {
    check_two(|rig| {
        let report =
            rig.scope().broadcast(SetMode { mode: 13 }).expect("accepted").wait(PATIENCE).expect("a report");
        let names: Vec<_> = report.outcomes.iter().map(|one| one.manager.as_str()).collect();
        assert_eq!(names, ["ear", "left", "right"]);
        assert_eq!(report.of("left").and_then(|one| one.outcome.clone().ok()), Some(13));
        let failures: Vec<_> = report.failures().collect();
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].1.downcast::<TestError>(), Some(TestError::UnknownMode { mode: 13 }));
        assert!(!report.is_all_done());
    });
}

#[test]
fn a_broadcast_from_a_dead_rig_part_says_so_in_its_report() {
    let rig = launch(TWO_WORKERS);
    rustix::process::kill_process(pid_of(&rig, "left"), rustix::process::Signal::KILL).expect("it lives");
    crate::support::eventually("the death", || {
        let scope = rig.scope();
        let refused = scope.to("left").send(Note { number: 1 });
        matches!(refused, Err(Refusal::Dead { .. }))
    });
    let report =
        rig.scope().broadcast(SetMode { mode: 1 }).expect("accepted").wait(PATIENCE).expect("a report");
    assert_eq!(report.of("right").and_then(|one| one.outcome.clone().ok()), Some(1));
    assert_eq!(report.of("ear").and_then(|one| one.outcome.clone().ok()), Some(1001));
    let dead = report.of("left").map(|one| one.outcome.clone());
    assert!(matches!(&dead, Some(Err(CallError::Refused(Refusal::Dead { .. })))), "{dead:?}");
    let summary = rig.shutdown();
    assert_eq!(summary.failed().map(|(name, _)| name).collect::<Vec<_>>(), ["left"]);
}

#[test]
fn a_manager_hears_only_the_broadcasts_that_its_filters_let_pass() {
    let rig = launch(
        "[managers.left]\nkind = \"worker\"\nhears = [{ subject = \"Get*\" }]\n\
         [managers.right]\nkind = \"worker\"\nhears = [{ subject = \"Set*\" }]\n\
         [managers.ear]\nkind = \"listener\"\nhears = [{ subject = \"SetMode\", sender = \"l?ft\" }]",
    );
    let scope = rig.scope();
    let report = scope.broadcast(SetMode { mode: 1 }).expect("accepted").wait(PATIENCE).expect("a report");
    let names: Vec<_> = report.outcomes.iter().map(|one| one.manager.as_str()).collect();
    assert_eq!(names, ["right"]);
    let heard = scope.to("left").request(Shout { mode: 2 }).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(heard, ["ear", "right"]);
    end_cleanly(rig);
}

#[test]
fn the_scope_serves_commands_of_this_process_and_of_managers() {
    check_two(|rig| {
        let scope = rig.scope();
        let keep =
            |text: &str| scope.request(KeepNote { text: text.to_owned() }).expect("accepted").wait(PATIENCE);
        assert_eq!(keep("one").expect("done"), 1);
        assert_eq!(keep("two").expect("done"), 2);
        let asked = scope.request(ScopeAsks { whom: "left".to_owned() }).expect("accepted").wait(PATIENCE);
        assert_eq!(asked.expect("done"), 3);
    });
}

#[test]
fn a_handler_asks_another_manager_while_its_caller_waits() {
    check_two(|rig| {
        let ask = AskToAdd { whom: "right".to_owned(), a: 2, b: 3 };
        let answer = rig.scope().to("left").request(ask).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(answer, 5);
    });
}

#[test]
fn another_thread_of_a_manager_gets_its_answer_while_the_handler_sleeps() {
    check_two(|rig| {
        let ask = AskFromThread { whom: "right".to_owned(), sleep_ms: 200 };
        let answer = rig.scope().to("left").request(ask).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(answer, 42);
    });
}

#[test]
fn a_chain_of_calls_that_is_too_deep_is_refused() {
    let config: String = (0..20).map(|n| format!("[managers.m{n}]\nkind = \"worker\"\n")).collect();
    let rig = launch(&config);
    let row: Vec<_> = (0..20).map(|n| format!("m{n}")).collect();
    let scope = rig.scope();
    let descend = |left| {
        let descend = Descend { left, row: row.clone() };
        scope.to("m0").request(descend).expect("accepted").wait(PATIENCE)
    };
    assert_eq!(descend(10).expect("done"), 10);
    let error = descend(18).expect_err("too deep");
    assert!(error.to_string().contains("the chain of calls is 16 deep"), "{error}");
    end_cleanly(rig);
}

#[test]
fn a_manager_may_send_to_itself() {
    check_one(|rig| {
        let scope = rig.scope();
        scope.request(NoteToSelf { number: 9 }).expect("accepted").wait(PATIENCE).expect("done");
        crate::support::eventually("the note", || {
            scope.request(Notes {}).expect("accepted").wait(PATIENCE).expect("done") == [9]
        });
    });
}

#[test]
fn a_call_expires_and_its_late_answer_is_discarded() {
    let rig = launch("default_deadline_ms = 100\n[managers.only]\nkind = \"worker\"");
    let slow = rig.scope().request(Sleep { duration_ms: 600 }).expect("accepted");
    assert!(matches!(slow.wait(PATIENCE), Err(CallError::Expired(facts)) if facts.command == "Sleep"));
    crate::support::eventually("the late answer", || {
        rig.status().is_some_and(|it| it.totals.late_answers == 1)
    });
    assert_eq!(rig.status().expect("the rig runs").in_flight, 0);
    end_cleanly(rig);
}

#[test]
fn impatience_abandons_a_call_but_not_its_manager() {
    check_one(|rig| {
        let slow = rig.scope().request(Sleep { duration_ms: 100 }).expect("accepted");
        let error = slow.wait(Duration::from_millis(1)).expect_err("too soon");
        assert!(matches!(error, CallError::NoAnswerYet { .. }), "{error:?}");
        assert_eq!(
            rig.scope().request(Add { a: 1, b: 1 }).expect("accepted").wait(PATIENCE).expect("done"),
            2
        );
    });
}

#[test]
fn a_ping_measures_a_round_trip_of_any_manager() {
    check_two(|rig| {
        for manager in ["left", "right", "ear"] {
            let trip = rig.scope().ping(manager, PATIENCE).expect("an answer");
            assert!(trip > Duration::ZERO);
        }
        assert!(matches!(
            rig.scope().ping("nobody", PATIENCE),
            Err(CallError::Refused(Refusal::Absent { .. }))
        ));
    });
}

#[test]
fn many_threads_share_a_rig() {
    check_two(|rig| {
        std::thread::scope(|threads| {
            for thread in 0..8 {
                let scope = rig.scope();
                threads.spawn(move || {
                    for number in 0..200 {
                        let whom = if number % 2 == 0 { "left" } else { "right" };
                        let sum = scope.to(whom).request(Add { a: thread, b: number }).expect("accepted");
                        assert_eq!(sum.wait(PATIENCE).expect("done"), thread + number);
                    }
                });
            }
        });
        let totals = rig.status().expect("the rig runs").totals;
        assert_eq!((totals.accepted, totals.done), (1600, 1600));
    });
}
