//! Full queues, frozen managers, floods and garbage: one part of the rig never holds up another.

use crate::support::{PATIENCE, end_cleanly, eventually, launch, pid_of};
use labrig::wire::envelope::PROTOCOL_VERSION;
use labrig::{CallError, Refusal};
use labrig_testbed::commands::*;
use rustix::process::{Signal, kill_process};

const SHORT_QUEUE: &str = "[managers.left]\nkind = \"worker\"\nqueue = { depth = 100 }\n\
                           [managers.right]\nkind = \"worker\"";

#[test]
fn a_frozen_manager_answers_busy_at_its_depth_and_others_are_untouched() {
    let rig = launch(SHORT_QUEUE);
    let (scope, left) = (rig.scope(), pid_of(&rig, "left"));
    kill_process(left, Signal::STOP).expect("it lives");
    let mut accepted = 0;
    let refused = loop {
        match scope.to("left").send(Note { number: accepted }) {
            Ok(()) => accepted += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(
        matches!(&refused, Refusal::Busy { manager, depth: 100, .. } if manager.as_str() == "left"),
        "{refused:?}"
    );
    assert_eq!(accepted, 100);
    let sum = scope.to("right").request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(sum, 3);
    kill_process(left, Signal::CONT).expect("it lives");
    eventually("room in the queue", || match scope.to("left").request(Notes {}) {
        Ok(pending) => pending.wait(PATIENCE).expect("done") == (0..100).collect::<Vec<_>>(),
        Err(refusal) => {
            assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal:?}");
            false
        }
    });
    end_cleanly(rig);
}

#[test]
fn more_than_a_pipe_holds_waits_in_the_coordinator_and_arrives_in_order() {
    let rig = launch("[managers.left]\nkind = \"worker\"\nqueue = { depth = 20000 }");
    let (scope, left) = (rig.scope(), pid_of(&rig, "left"));
    kill_process(left, Signal::STOP).expect("it lives");
    for number in 0..20_000 {
        scope.send(Note { number }).expect("the queue has room");
    }
    assert!(rig.status().is_some_and(|status| status.managers[0].queued == 20_000));
    kill_process(left, Signal::CONT).expect("it lives");
    let mut notes = Vec::new();
    eventually("all notes", || {
        if let Ok(pending) = scope.request(Notes {}) {
            notes = pending.wait(PATIENCE).expect("done");
        }
        notes.len() == 20_000
    });
    assert!(notes.is_sorted());
    end_cleanly(rig);
}

#[test]
fn only_the_newest_of_a_keep_latest_command_waits() {
    let rig = launch(SHORT_QUEUE);
    let (scope, left) = (rig.scope(), pid_of(&rig, "left"));
    kill_process(left, Signal::STOP).expect("it lives");
    let accepted = (0..10_000).filter(|at| scope.to("left").send(Aim { at: *at }).is_ok()).count() as u64;
    kill_process(left, Signal::CONT).expect("it lives");
    let mut notes = Vec::new();
    eventually("room in the queue", || match scope.to("left").request(Notes {}) {
        Ok(pending) => {
            notes = pending.wait(PATIENCE).expect("done");
            true
        }
        Err(_) => false,
    });
    let undelivered = rig.status().expect("the rig runs").totals.undelivered;
    assert_eq!(notes.len() as u64 + undelivered, accepted);
    assert!(notes.is_sorted());
    end_cleanly(rig);
}

#[test]
fn the_oldest_of_a_drop_oldest_command_makes_room_and_is_counted() {
    let rig = launch("[managers.left]\nkind = \"worker\"\nqueue = { depth = 1000 }");
    let (scope, left) = (rig.scope(), pid_of(&rig, "left"));
    kill_process(left, Signal::STOP).expect("it lives");
    for number in 0..5_000 {
        scope.send(Sample { number }).expect("the oldest makes room");
    }
    let undelivered = rig.status().expect("the rig runs").totals.undelivered;
    assert_eq!(undelivered, 4_000);
    kill_process(left, Signal::CONT).expect("it lives");
    let mut notes = Vec::new();
    eventually("the samples", || {
        if let Ok(pending) = scope.request(Notes {}) {
            notes = pending.wait(PATIENCE).expect("done");
        }
        notes.len() == 1_000
    });
    assert_eq!(notes.last(), Some(&4_999));
    assert!(notes.is_sorted());
    end_cleanly(rig);
}

#[test]
fn a_manager_that_says_too_much_is_left_unread_for_a_while_and_loses_nothing() {
    let rig = launch(
        "[managers.left]\nkind = \"worker\"\nlimits = { envelopes_per_s = 2000 }\n\
         [managers.right]\nkind = \"worker\"\nqueue = { depth = 10000 }",
    );
    let scope = rig.scope();
    let flood = Flood { whom: "right".to_owned(), count: 3_000 };
    let sent = scope.to("left").request(flood).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(sent, 3_000);
    eventually("the flood", || {
        let notes = scope.to("right").request(Notes {}).expect("accepted").wait(PATIENCE).expect("done");
        notes.len() == 3_000 && notes.is_sorted()
    });
    let status = rig.status().expect("the rig runs");
    assert!(status.managers[0].throttles > 0, "{:?}", status.managers[0]);
    end_cleanly(rig);
}

#[test]
fn garbage_on_a_pipe_ends_that_connection_with_a_named_reason() {
    for (bytes, zeros, reason) in [
        (vec![PROTOCOL_VERSION, 2, 3], 0, "torn envelope"),
        (vec![99; 64], 0, "protocol version 99"),
        (vec![PROTOCOL_VERSION], 200_000, "exceeds 132097 bytes"),
        ([&[PROTOCOL_VERSION, 7, 0, 0], &[0; 31][..], &[200, 200]].concat(), 0, "malformed payload"),
    ] {
        let rig = launch(SHORT_QUEUE);
        let scope = rig.scope();
        let sent = scope.to("left").request(SendGarbage { bytes, zeros }).expect("accepted").wait(PATIENCE);
        assert!(matches!(sent, Err(CallError::Indeterminate(_)) | Ok(())), "{sent:?}");
        let sum =
            scope.to("right").request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(sum, 3);
        eventually("the end of the connection", || {
            rig.status().is_some_and(|status| status.managers[0].state == "failed")
        });
        let summary = rig.shutdown();
        let failed: Vec<_> = summary.failed().collect();
        assert!(
            matches!(failed[..], [("left", why)] if why.contains(reason)),
            "{failed:?} does not say {reason}"
        );
    }
}

#[test]
fn an_envelope_that_does_not_fit_is_refused_before_it_is_sent() {
    let rig = launch(SHORT_QUEUE);
    let refused = rig.scope().to("left").send(Print { text: "x".repeat(200_000), times: 1 });
    assert!(matches!(refused, Err(Refusal::TooLarge { bytes: 200_000.., .. })), "{refused:?}");
    end_cleanly(rig);
}

#[test]
fn a_reply_that_does_not_fit_an_envelope_fails_that_call_alone() {
    let rig = launch("[managers.left]\nkind = \"worker\"");
    let fetch = |count| rig.scope().request(FetchZeros { count }).expect("accepted").wait(PATIENCE);
    assert_eq!(fetch(130_000).map(|zeros| zeros.len()), Ok(130_000));
    let error = fetch(150_000).expect_err("too large");
    assert!(matches!(&error, CallError::Failed(_)), "{error:?}");
    assert!(error.to_string().contains("its answer of 150003 bytes exceeds 130048"), "{error}");
    assert_eq!(fetch(3), Ok(vec![0; 3]), "its manager lives");
    end_cleanly(rig);
}
