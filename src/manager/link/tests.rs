//! Who listens next, when one has listened enough.

use super::*;
use std::time::Duration;

/// A link with its other end, which must stay open.
fn link() -> (Link, Pipe) {
    let (ours, theirs) = Pipe::pair().expect("a pair");
    let bell = || Doorbell::create().expect("a bell");
    (Link::new(ours, [bell(), bell()]), theirs)
}

fn rings(bell: &Doorbell) -> bool {
    let mut bell = [PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)];
    wait_for(&mut bell, Some(Instant::now()));
    !bell[0].revents().is_empty()
}

/// Another thread waits for an answer that is there, or is to stop, and whoever is to go on is woken.
fn check_handed_on(prepare: impl Fn(&mut State), woken: impl Fn(&Link) -> &Doorbell) {
    let (link, _theirs) = link();
    prepare(&mut link.lock());
    let slot = Slot::default();
    filing::close(&slot);
    link.wait_for(&slot, Need::Answer, Instant::now() + Duration::from_secs(30), &|| false);
    assert!(rings(woken(&link)), "nobody listens to the pipe any more");
}

#[test]
fn the_last_thread_that_waits_hands_the_pipe_back_to_a_worker_that_sleeps() {
    // Another thread listened while the worker went to sleep on its bell alone; it filed this thread's
    // answer, saw it still counted among those that wait, and left the pipe to it.
    check_handed_on(|state| state.worker_sleeps = true, |link| &link.bell);
}

#[test]
fn while_the_worker_is_busy_the_link_thread_listens_for_callbacks() {
    let attend = |state: &mut State| state.attended.extend([7]);
    check_handed_on(attend, |link| &link.attention);
    let (link, _theirs) = link();
    assert!(!link.try_attend(), "nobody is to be told of anything");
    attend(&mut link.lock());
    assert!(link.try_attend() && !link.try_attend(), "the pipe is taken once");
    link.attend(&mut [], false);
    assert!(!rings(&link.attention), "it would wake itself for ever");
}
