//! One reply, awaited in every way.

use std::thread;

use crossbeam_channel::{Receiver, unbounded};

use super::*;
use crate::remote::{CallError, PendingReply};
use crate::wire::Command;

/// A call, and the port that it went to.
fn ask() -> (Arc<ByHand>, PendingReply<u32>) {
    let port = Arc::new(ByHand::default());
    let pending = port.scope().request(Count {}).expect("accepted");
    (port, pending)
}

/// Where a callback's result comes in, with the name of the thread that ran it.
fn listen(pending: &PendingReply<u32>) -> Receiver<(Result<u32, CallError>, Option<String>)> {
    let (told, heard) = unbounded();
    pending.on_complete(move |result| {
        let thread = thread::current().name().map(str::to_owned);
        told.send((result, thread)).expect("the test listens");
    });
    heard
}

/// A call that ended before it was waited for, or did not, is waited for with this patience.
fn check_wait(ending: Option<Ending>, patience: Duration, expected: Result<u32, CallError>) {
    let (port, pending) = ask();
    let is_abandoned = ending.is_none();
    ending.into_iter().for_each(|ending| port.end(1, ending));
    assert_eq!(pending.wait(patience), expected);
    assert_eq!(port.told(), if is_abandoned { vec![Told::Abandon(1)] } else { vec![] });
}

#[test]
fn a_call_is_waited_for_with_any_patience() {
    for patience in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
        check_wait(Some(Ending::Done(vec![7].into())), patience, Ok(7));
        let lost = CallError::Lost(counted("Count"));
        check_wait(Some(Ending::NotDone(NotDone::Lost)), patience, Err(lost));
    }
    let not_yet = CallError::NoAnswerYet { facts: unanswered("Count"), patience: MOMENT };
    check_wait(None, MOMENT, Err(not_yet));
}

#[test]
fn an_answer_that_is_not_the_reply_is_an_error_that_says_so() {
    let source = codec::from_postcard::<u32>(&[1, 1], &Count::spec().reply).expect_err("a byte too many");
    let unreadable = CallError::UnreadableAnswer { facts: counted("Count"), source: Box::new(source) };
    check_wait(Some(Ending::Done(vec![1, 1].into())), Duration::ZERO, Err(unreadable));
}

#[test]
fn a_handler_that_is_cancelled_takes_back_what_it_waits_for() {
    let (port, pending) = ask();
    port.gives_up.store(true, Ordering::Relaxed);
    assert!(!pending.ready_within(PATIENCE));
    assert_eq!(pending.wait(PATIENCE), Err(CallError::Cancelled(unanswered("Count"))));
    assert_eq!(port.told(), [Told::Cancel(1), Told::Abandon(1)]);

    let (port, pending) = ask();
    port.gives_up.store(true, Ordering::Relaxed);
    port.done(1, 7);
    assert_eq!(pending.wait(PATIENCE), Ok(7));
    assert_eq!(port.told(), []);
}

#[test]
fn a_reply_can_be_asked_for_as_often_as_one_likes() {
    let (port, pending) = ask();
    assert!(pending.try_value().is_none() && !pending.ready_within(MOMENT) && !pending.is_ready());
    port.done(1, 7);
    assert!(pending.ready_within(Duration::ZERO) && pending.is_ready());
    assert_eq!((pending.try_value(), pending.try_value()), (Some(Ok(7)), Some(Ok(7))));
    assert_eq!(pending.wait(Duration::ZERO), Ok(7));
    assert_eq!(port.told(), [Told::Attend(1)]);
}

#[test]
fn whoever_looks_instead_of_sleeping_is_listened_for() {
    let check_look = |looks: fn(&PendingReply<u32>) -> bool| {
        let (port, pending) = ask();
        assert!(!looks(&pending) && !looks(&pending));
        assert_eq!(port.told(), [Told::Attend(1)]);
        assert!(matches!(pending.wait(MOMENT), Err(CallError::NoAnswerYet { .. })));
        assert_eq!(port.told(), [Told::Abandon(1)]);
    };
    check_look(PendingReply::is_ready);
    check_look(PendingReply::is_error);
    check_look(PendingReply::is_expired);
    check_look(|pending| pending.progress().is_some());
    check_look(|pending| pending.try_value().is_some());
}

fn check_flags(why: NotDone, is_expired: bool) {
    let (port, pending) = ask();
    assert!(!pending.is_error() && !pending.is_expired());
    port.not_done(1, why);
    assert!(pending.is_ready() && pending.is_error());
    assert_eq!(pending.is_expired(), is_expired);
}

#[test]
fn the_flags_tell_an_error_from_an_expiry() {
    check_flags(NotDone::Expired, true);
    check_flags(NotDone::Lost, false);
    let (port, pending) = ask();
    port.done(1, 7);
    assert!(pending.is_ready() && !pending.is_error() && !pending.is_expired());
}

#[test]
fn cancelling_and_expiry_are_passed_on() {
    let (port, pending) = ask();
    pending.cancel();
    pending.set_expiry(Some(MOMENT));
    pending.set_expiry(None);
    let expected = [Told::Cancel(1), Told::Expire(1, Some(MOMENT)), Told::Expire(1, None)];
    assert_eq!(port.told(), expected);
}

#[test]
fn the_newest_word_on_progress_is_told() {
    let (port, pending) = ask();
    assert_eq!(pending.progress(), None);
    let half = Progress { done: 1.0, total: 2.0, note: "half".into() };
    port.slot(1).report(half.clone());
    assert_eq!(pending.progress(), Some(half));
}

#[test]
fn a_callback_runs_on_its_own_thread_or_here_when_it_comes_late() {
    let (port, pending) = ask();
    let (early, also) = (listen(&pending), listen(&pending));
    assert_eq!(port.told(), [Told::Attend(1)]);
    port.done(1, 7);
    for heard in [early, also] {
        let (result, thread) = heard.recv_timeout(PATIENCE).expect("it is told");
        assert_eq!((result, thread.as_deref()), (Ok(7), Some("labrig-callbacks")));
    }
    let here = thread::current().name().map(str::to_owned);
    assert_eq!(listen(&pending).try_recv(), Ok((Ok(7), here)));
    assert_eq!(port.told(), []);
}

#[test]
fn a_callback_that_panics_disturbs_nobody() {
    let (port, pending) = ask();
    pending.on_complete(|_| panic!("a callback gave up"));
    let heard = listen(&pending);
    port.done(1, 7);
    assert_eq!(heard.recv_timeout(PATIENCE).expect("it is told").0, Ok(7));
    pending.on_complete(|_| panic!("a late callback gave up"));
    assert_eq!(pending.wait(Duration::ZERO), Ok(7));
}

#[test]
fn a_callback_outlives_whoever_waits_no_longer() {
    let (port, pending) = ask();
    let heard = listen(&pending);
    assert!(matches!(pending.wait(MOMENT), Err(CallError::NoAnswerYet { .. })));
    assert_eq!(port.told(), [Told::Attend(1)]);
    port.done(1, 7);
    assert_eq!(heard.recv_timeout(PATIENCE).expect("it is told").0, Ok(7));
}

#[test]
fn a_task_is_woken_and_given_the_reply_as_often_as_it_asks() {
    let (port, mut pending) = ask();
    let task = Arc::new(Task::default());
    assert!(task.poll(&mut pending).is_pending() && task.poll(&mut pending).is_pending());
    assert_eq!(port.told(), [Told::Attend(1)]);
    port.done(1, 7);
    assert_eq!(task.woken(), 1);
    assert_eq!(task.poll(&mut pending), Poll::Ready(Ok(7)));
    assert_eq!(task.poll(&mut pending), Poll::Ready(Ok(7)));
}

#[test]
fn dropping_takes_back_only_what_said_so_and_has_not_ended() {
    let check_drop = |is_done: bool, cancels: bool, expected: &[Told]| {
        let (port, pending) = ask();
        let pending = if cancels { pending.cancel_on_drop() } else { pending };
        if is_done {
            port.done(1, 7);
        }
        drop(pending);
        assert_eq!(port.told(), expected);
    };
    check_drop(false, false, &[]);
    check_drop(false, true, &[Told::Cancel(1)]);
    check_drop(true, true, &[]);
}

#[test]
fn whoever_gives_up_takes_back_what_said_so_once() {
    let (port, pending) = ask();
    assert!(matches!(pending.cancel_on_drop().wait(MOMENT), Err(CallError::NoAnswerYet { .. })));
    assert_eq!(port.told(), [Told::Cancel(1), Told::Abandon(1)]);
}

#[test]
fn what_is_pending_goes_anywhere() {
    fn check_moves<T: Send + Sync + Unpin>() {}
    check_moves::<PendingReply<u32>>();
    check_moves::<PendingReply<std::cell::Cell<u32>>>();
    check_moves::<crate::remote::PendingBroadcast<CountAll>>();
}
