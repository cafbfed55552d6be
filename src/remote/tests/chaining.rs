//! Replies made of replies.

use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::*;
use crate::remote::{CallError, CallFacts, PendingReply};

/// The first call's number, and which thread begins the second.
type Begun = (u32, Option<String>);

/// Two calls as one. What begins the second says so.
fn chain() -> (Arc<ByHand>, PendingReply<u32>, Receiver<Begun>) {
    let port = Arc::new(ByHand::default());
    let (told, heard) = unbounded();
    let whole = chain_on(&port, told);
    (port, whole, heard)
}

fn chain_on(port: &Arc<ByHand>, told: Sender<Begun>) -> PendingReply<u32> {
    let scope = port.scope();
    let first = scope.request(Count {}).expect("accepted");
    first.then(move |count| {
        let second = scope.request(Count {});
        told.send((count, thread::current().name().map(str::to_owned))).expect("the test listens");
        second
    })
}

/// Waits until all callbacks that are due have run.
fn settle() {
    assert!(crate::remote::callbacks::settle(PATIENCE));
}

/// Answers the first call, and waits for the second to be made.
fn go_on(port: &ByHand, heard: &Receiver<Begun>) {
    port.done(1, 7);
    assert_eq!(heard.recv_timeout(PATIENCE).expect("it goes on").0, 7);
    settle();
}

#[test]
fn a_mapped_reply_is_made_anew_for_everyone_who_asks() {
    let port = Arc::new(ByHand::default());
    let pending = port.scope().request(Count {}).expect("accepted").map(|count| format!("#{count}"));
    assert!(pending.try_value().is_none());
    pending.cancel();
    port.done(1, 7);
    assert!(pending.is_ready() && !pending.is_error());
    let pending = pending.map(|name| name.len());
    assert_eq!((pending.try_value(), pending.wait(PATIENCE)), (Some(Ok(2)), Ok(2)));
    assert_eq!(port.told(), [Told::Attend(1), Told::Cancel(1)]);
}

#[test]
fn a_mapped_reply_is_still_cancelled_on_drop() {
    let port = Arc::new(ByHand::default());
    let ask = || port.scope().request(Count {}).expect("accepted");
    drop(ask().cancel_on_drop().map(|_| ()));
    drop(ask().map(|_| ()).cancel_on_drop());
    drop(ask().map(|_| ()));
    assert_eq!(port.told(), [Told::Cancel(1), Told::Cancel(2)]);
}

#[test]
fn a_chain_goes_on_by_the_thread_for_callbacks() {
    let (port, whole, heard) = chain();
    assert!(!whole.is_ready() && whole.try_value().is_none());
    port.done(1, 7);
    let begun = heard.recv_timeout(PATIENCE).expect("it goes on");
    assert_eq!(begun, (7, Some("labrig-callbacks".to_owned())));
    settle();
    assert!(!whole.is_ready() && whole.try_value().is_none());
    port.done(2, 8);
    assert!(whole.is_ready() && !whole.is_error());
    assert_eq!((whole.try_value(), whole.wait(PATIENCE)), (Some(Ok(8)), Ok(8)));
    assert!(heard.try_recv().is_err(), "the second call was made twice");
}

#[test]
fn whoever_waits_for_a_chain_in_a_callback_makes_the_second_call_itself() {
    let (port, whole, heard) = chain();
    let (told, ended) = bounded(1);
    crate::remote::callbacks::run_later(Box::new(move || {
        told.send(whole.wait(PATIENCE)).expect("the test listens");
    }));
    port.done(1, 7);
    assert_eq!(heard.recv_timeout(PATIENCE).expect("it goes on").0, 7);
    port.done(2, 8);
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(Ok(8)));
    settle();
    assert!(heard.try_recv().is_err(), "the second call was made twice");
}

#[test]
fn what_is_done_already_goes_on_at_once() {
    let port = Arc::new(ByHand::default());
    let first = port.scope().request(Count {}).expect("accepted");
    port.done(1, 7);
    let scope = port.scope();
    let whole = first.map(move |_| scope.request(Count {}).expect("accepted")).flatten();
    port.done(2, 8);
    assert_eq!(whole.wait(Duration::ZERO), Ok(8));
}

/// The first call ends so, and the whole does too, without a second.
fn check_first(why: NotDone, expected: CallError) {
    let (port, whole, heard) = chain();
    let is_expired = why == NotDone::Expired;
    port.not_done(1, why);
    assert!(whole.ready_within(PATIENCE) && whole.is_error());
    assert_eq!(whole.is_expired(), is_expired);
    assert_eq!(whole.wait(PATIENCE), Err(expected));
    settle();
    assert!(heard.try_recv().is_err() && port.sent.lock().len() == 1);
}

#[test]
fn an_error_of_the_first_call_is_the_error_of_the_whole() {
    check_first(NotDone::Lost, CallError::Lost(counted("Count")));
    check_first(NotDone::Expired, CallError::Expired(counted("Count")));
    check_first(NotDone::Cancelled, CallError::Cancelled(counted("Count")));
}

#[test]
fn a_refusal_of_the_second_call_is_the_error_of_the_whole() {
    let port = Arc::new(ByHand::default());
    let first = port.scope().request(Count {}).expect("accepted");
    let whole = first.then::<u32>(|_| Err(Refusal::Closed));
    port.done(1, 7);
    assert_eq!(whole.wait(PATIENCE), Err(CallError::Refused(Refusal::Closed)));
}

#[test]
fn a_chain_ends_even_when_what_should_go_on_panics() {
    let port = Arc::new(ByHand::default());
    let whole = port.scope().request(Count {}).expect("accepted").then::<u32>(|_| panic!("gave up"));
    port.done(1, 7);
    let error = whole.wait(PATIENCE).expect_err("there is no second call");
    assert!(matches!(&error, CallError::Failed(_)), "{error:?}");
    assert!(error.to_string().contains("panicked"), "{error}");
}

#[test]
fn taken_back_before_its_second_call_a_chain_never_makes_it() {
    let (port, whole, heard) = chain();
    whole.cancel();
    // The first call was quicker than its cancellation.
    port.done(1, 7);
    let facts = CallFacts { command: "Count".into(), ..CallFacts::default() };
    assert_eq!(whole.wait(PATIENCE), Err(CallError::Cancelled(facts)));
    settle();
    assert!(heard.try_recv().is_err() && port.sent.lock().len() == 1);
    assert_eq!(port.told(), [Told::Attend(1), Told::Cancel(1)]);
}

#[test]
fn what_is_asked_of_a_chain_is_asked_of_the_call_under_way() {
    let (port, whole, heard) = chain();
    let half = Progress { done: 1.0, total: 2.0, note: String::new() };
    port.slot(1).report(half.clone());
    assert_eq!(whole.progress(), Some(half));
    whole.set_expiry(Some(MOMENT));
    assert_eq!(port.told(), [Told::Attend(1), Told::Expire(1, Some(MOMENT))]);
    go_on(&port, &heard);
    assert_eq!(whole.progress(), None);
    whole.set_expiry(None);
    whole.cancel();
    assert_eq!(port.told(), [Told::Attend(2), Told::Expire(2, None), Told::Cancel(2)]);
}

#[test]
fn what_is_asked_while_the_second_call_is_made_is_asked_of_it() {
    let port = Arc::new(ByHand::default());
    let (scope, (told, may_go_on)) = (port.scope(), bounded::<()>(0));
    let whole = scope.request(Count {}).expect("accepted").then(move |_| {
        // Twice: that it has come here, and that it may go on.
        may_go_on.iter().take(2).count();
        scope.request(Count {})
    });
    port.done(1, 7);
    told.send(()).expect("it is being made");
    whole.cancel();
    whole.set_expiry(Some(MOMENT));
    assert!(!whole.is_ready());
    port.told();
    told.send(()).expect("it is being made");
    settle();
    assert_eq!(port.told(), [Told::Expire(2, Some(MOMENT)), Told::Cancel(2)]);
}

#[test]
fn callbacks_and_tasks_are_told_of_the_end_of_a_chain_once() {
    let (port, mut whole, heard) = chain();
    let (task, (told, ended)) = (Arc::new(Task::default()), unbounded());
    let listen = |whole: &PendingReply<u32>| {
        let told = told.clone();
        whole.on_complete(move |result| told.send(result).expect("the test listens"));
    };
    listen(&whole);
    assert!(task.poll(&mut whole).is_pending());
    go_on(&port, &heard);
    assert_eq!(task.woken(), 1, "to listen for the second call");
    assert!(task.poll(&mut whole).is_pending());
    listen(&whole);
    port.done(2, 8);
    settle();
    listen(&whole);
    assert_eq!(ended.try_iter().collect::<Vec<_>>(), [Ok(8), Ok(8), Ok(8)]);
    assert_eq!((task.woken(), task.poll(&mut whole)), (2, Poll::Ready(Ok(8))));
}

#[test]
fn a_dropped_chain_goes_on_unless_it_said_otherwise() {
    let (port, whole, heard) = chain();
    drop(whole);
    go_on(&port, &heard);
    assert_eq!(port.sent.lock().len(), 2);
    let (port, whole, heard) = chain();
    drop(whole.cancel_on_drop());
    port.done(1, 7);
    settle();
    assert!(heard.try_recv().is_err() && port.sent.lock().len() == 1);
}

#[test]
fn whoever_gives_up_on_a_chain_abandons_the_second_call() {
    let (port, whole, heard) = chain();
    go_on(&port, &heard);
    port.told();
    assert!(matches!(whole.wait(MOMENT), Err(CallError::NoAnswerYet { .. })));
    assert_eq!(port.told(), [Told::Abandon(2)]);
}

#[test]
fn chains_of_chains_are_chains() {
    let port = Arc::new(ByHand::default());
    let (told, heard) = unbounded();
    let scope = port.scope();
    let whole = chain_on(&port, told.clone()).then(move |count| {
        told.send((count, None)).expect("the test listens");
        Ok(scope.request(Count {})?.map(move |last| last + count))
    });
    for call in 1..=3 {
        port.done(call, 10 * call as u32);
        settle();
    }
    assert_eq!(whole.wait(PATIENCE), Ok(50));
    assert_eq!(heard.try_iter().map(|(count, _)| count).collect::<Vec<_>>(), [10, 20]);
}
