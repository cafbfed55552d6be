//! How long a call may take, and what else a scope says of it.

use std::thread;
use std::time::Instant;

use super::*;
use crate::remote::CallError;
use crate::wire::{CommandId, Hop, Kind, Target, Undelivered, UndeliveredReason};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Asks by a scope made of the rig's, and says how much time the envelope gives.
fn time_given(scope: impl FnOnce(&Scope) -> Scope) -> Duration {
    let port = Arc::new(ByHand::default());
    let _pending = scope(&port.scope()).request(Count {}).expect("accepted");
    Duration::from_micros(port.header(1).time_left_us)
}

/// A handler's scope, with so much left of the call that it handles.
fn handling(scope: &Scope, left: Duration) -> Scope {
    let mut scope = scope.clone();
    scope.enter(&[], Hop { who: 1, command: CommandId(1) }, Some(Instant::now() + left));
    scope
}

#[test]
fn a_call_has_the_time_that_its_sender_asks_for() {
    assert_eq!(time_given(Scope::clone), 5 * SECOND);
    assert_eq!(time_given(|scope| scope.with_deadline(MINUTE)), MINUTE);
    assert_eq!(time_given(|scope| scope.with_deadline(MINUTE).with_deadline(SECOND)), SECOND);
    assert_eq!(time_given(|scope| scope.with_deadline(Duration::ZERO)), Duration::from_micros(1));
    assert!(time_given(|scope| scope.with_deadline(Duration::MAX)) > 1000 * MINUTE);
    assert_eq!(time_given(Scope::without_deadline), Duration::ZERO, "which says: none");
}

#[test]
fn a_nested_call_has_no_more_than_is_left() {
    for of_handler in [Scope::clone, Scope::without_deadline, |scope: &Scope| scope.with_deadline(MINUTE)] {
        let given = time_given(|scope| of_handler(&handling(scope, SECOND)));
        assert!(given > Duration::ZERO && given <= SECOND, "{given:?}");
        let spent = time_given(|scope| of_handler(&handling(scope, Duration::ZERO)));
        assert_eq!(spent, Duration::from_micros(1));
    }
    assert_eq!(time_given(|scope| handling(scope, MINUTE).with_deadline(SECOND)), SECOND);
    assert_eq!(time_given(|scope| handling(scope, MINUTE)), 5 * SECOND);
}

#[test]
fn broadcasts_and_addressed_calls_have_deadlines_and_sends_have_none() {
    let port = Arc::new(ByHand::default());
    let scope = port.scope().with_deadline(MINUTE);
    let _pending = scope.broadcast(CountAll {}).expect("accepted");
    let _pending = scope.to("motor").request(Count {}).expect("accepted");
    scope.to("motor").send(Count {}).expect("accepted");
    let given = |call| Duration::from_micros(port.header(call).time_left_us);
    assert_eq!([given(1), given(2), given(3)], [MINUTE, MINUTE, Duration::ZERO]);
}

#[test]
fn a_blocking_call_is_announced_and_waits_as_long_as_it_may_take() {
    let port = Arc::new(ByHand::default());
    thread::scope(|threads| {
        let caller = threads.spawn(|| port.scope().without_deadline().to("motor").call(Count {}));
        while port.sent.lock().is_empty() {
            thread::yield_now();
        }
        port.done(1, 7);
        assert_eq!(caller.join().expect("it does not panic"), Ok(7));
    });
    let header = port.header(1);
    assert_eq!((header.kind, header.target), (Kind::Call, Target::Named("motor".into())));
    let spent = port.scope().with_deadline(Duration::ZERO).call(Count {});
    assert!(matches!(spent, Err(CallError::NoAnswerYet { .. })), "{spent:?}");
}

#[test]
fn whoever_asks_is_told_of_commands_that_did_not_run() {
    let port = Arc::new(ByHand::default());
    let (told, heard) = crossbeam_channel::unbounded();
    port.scope().on_undelivered(move |it| told.send(it.command.clone()).expect("the test listens"));
    let reason = UndeliveredReason::Lost;
    let lost = Undelivered { command: "Count".into(), to: "motor".into(), reason, untold: 0 };
    port.on_undelivered.lock().iter().for_each(|callback| callback(&lost));
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["Count"]);
}
