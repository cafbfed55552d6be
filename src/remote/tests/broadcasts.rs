//! Reports, awaited in every way.

use super::*;
use crate::remote::{CallError, PendingBroadcast};
use crate::wire::BroadcastOutcome;

fn ask() -> (Arc<ByHand>, PendingBroadcast<CountAll>) {
    let port = Arc::new(ByHand::default());
    let pending = port.scope().broadcast(CountAll {}).expect("accepted");
    (port, pending)
}

fn outcome(manager: &str, outcome: Result<Vec<u8>, NotDone>) -> BroadcastOutcome {
    BroadcastOutcome { manager: manager.into(), generation: 1, outcome: outcome.map(Into::into) }
}

fn report(port: &ByHand, motor: Result<Vec<u8>, NotDone>) {
    let all = vec![outcome("camera", Ok(vec![3])), outcome("motor", motor)];
    port.slot(1).fill(Answer::Many(all)).expect("the first answer");
}

#[test]
fn a_report_holds_what_each_manager_said() {
    let (port, pending) = ask();
    assert!(pending.try_value().is_none() && !pending.ready_within(MOMENT));
    report(&port, Err(NotDone::Lost));
    assert!(pending.is_ready() && !pending.is_expired());
    for report in [pending.try_value().expect("it has ended"), pending.wait(Duration::ZERO)] {
        let report = report.expect("a report");
        let of = |manager: &str| report.of(manager).expect("it was asked").outcome.clone();
        assert_eq!(of("camera"), Ok(3));
        assert_eq!(of("motor"), Err(CallError::Lost(counted("CountAll"))));
    }
    assert_eq!(port.told(), [Told::Attend(1)]);
}

#[test]
fn a_broadcast_that_expires_anywhere_has_expired() {
    let (port, pending) = ask();
    report(&port, Err(NotDone::Expired));
    assert!(pending.is_expired());
}

#[test]
fn a_broadcast_that_is_refused_as_a_whole_has_no_report() {
    let (port, pending) = ask();
    port.not_done(1, NotDone::Refused(Refusal::Closed));
    assert_eq!(pending.wait(Duration::ZERO).err(), Some(CallError::Refused(Refusal::Closed)));
}

#[test]
fn a_broadcast_is_taken_back_as_a_call_is() {
    let (port, pending) = ask();
    pending.cancel();
    pending.set_expiry(Some(MOMENT));
    let not_yet = pending.wait(MOMENT).err();
    assert_eq!(not_yet, Some(CallError::NoAnswerYet { facts: unanswered("CountAll"), patience: MOMENT }));
    assert_eq!(port.told(), [Told::Cancel(1), Told::Expire(1, Some(MOMENT)), Told::Abandon(1)]);
    let (port, pending) = ask();
    drop(pending.cancel_on_drop());
    assert_eq!(port.told(), [Told::Cancel(1)]);
}

#[test]
fn callbacks_and_tasks_are_told_of_a_report() {
    let (port, mut pending) = ask();
    let (task, (told, heard)) = (Arc::new(Task::default()), crossbeam_channel::bounded(1));
    assert!(task.poll(&mut pending).is_pending());
    pending.on_complete(move |report| {
        told.send(report.expect("a report").is_all_done()).expect("the test listens");
    });
    report(&port, Ok(vec![4]));
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(true));
    assert_eq!(task.woken(), 1);
    let Poll::Ready(Ok(report)) = task.poll(&mut pending) else { panic!("it has ended") };
    assert_eq!(report.outcomes.len(), 2);
}
