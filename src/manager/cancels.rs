//! The cancellations that the coordinator posts in the status page.
//!
//! There may be more than the page has room for. Then the link thread asks for the rest, and the worker waits for
//! it: what is behind in its pipe may be cancelled as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::registry::Desk;
use crate::shm::{StatusPage, Urgent};

/// How long the worker waits for the rest. The coordinator never blocks, so it comes at once, unless there is no
/// coordinator any more.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes them out. The link thread does so when it is told; the worker too, before each command, so that
/// nothing runs that was cancelled before.
pub(super) struct Cancels {
    page: Arc<StatusPage>,
    desk: Arc<Desk>,
    /// Held by whoever takes: the page knows one at a time.
    taking: Mutex<()>,
    /// Whether the coordinator may have more, as far as the link thread has been told.
    may_have_more: AtomicBool,
    changed: Condvar,
}

impl Cancels {
    pub(super) fn new(page: Arc<StatusPage>, desk: Arc<Desk>) -> Self {
        let (taking, changed) = (Mutex::new(()), Condvar::new());
        Self { page, desk, taking, may_have_more: AtomicBool::new(false), changed }
    }

    /// Takes the urgent words, and the cancellations that they tell of. `heed` hears of them before anybody who
    /// asks whether they are being taken is told that they are not.
    pub(super) fn take_urgent(&self, heed: impl FnOnce(Urgent)) -> Urgent {
        let taking = self.taking.lock();
        // Until it is known: the worker must not believe words that have been taken and not been heeded.
        let had_more = self.may_have_more.swap(true, Ordering::AcqRel);
        let words = self.page.take_urgent();
        heed(words);
        self.drain();
        let has_more =
            if words.contains(Urgent::CANCEL) { words.contains(Urgent::MORE_CANCELS) } else { had_more };
        self.may_have_more.store(has_more, Ordering::Release);
        drop(taking);
        self.changed.notify_all();
        words
    }

    /// Whether somebody may have taken words that nobody has heeded yet.
    pub(super) fn are_being_taken(&self) -> bool {
        self.may_have_more.load(Ordering::Acquire)
    }

    /// Takes what is posted, as the worker, waits for the rest, and looks whether everything is to give up.
    pub(super) fn take(&self) {
        if self.page.is_to_give_up() {
            self.desk.cancel_all();
        }
        if !self.page.has_cancels() && !self.has_more() {
            return;
        }
        let mut taking = self.taking.lock();
        let until = Instant::now() + PATIENCE;
        self.drain();
        while self.has_more() {
            if self.changed.wait_until(&mut taking, until).timed_out() {
                log::warn!("the coordinator has more to cancel, and does not say what");
                return self.may_have_more.store(false, Ordering::Release);
            }
            self.drain();
        }
    }

    /// Whether there are cancellations that the page had no room for. The words are looked at first: whoever takes
    /// them says so before.
    fn has_more(&self) -> bool {
        self.page.urgent().contains(Urgent::MORE_CANCELS) || self.may_have_more.load(Ordering::Acquire)
    }

    fn drain(&self) {
        while self.page.take_cancel(|call| self.desk.cancel(call)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn cancels() -> (Arc<StatusPage>, Arc<Desk>, Cancels) {
        let page = Arc::new(StatusPage::create(1).expect("memory can be had"));
        let desk = Arc::new(Desk::default());
        let cancels = Cancels::new(Arc::clone(&page), Arc::clone(&desk));
        (page, desk, cancels)
    }

    /// Posts as many as there is room for, as the coordinator does; says which one is the next.
    fn post(page: &StatusPage, calls: std::ops::RangeInclusive<u64>) -> u64 {
        let next = calls.clone().find(|call| !page.post_cancel(*call));
        page.raise(Urgent::CANCEL | next.map_or(Urgent::NONE, |_| Urgent::MORE_CANCELS));
        next.unwrap_or(calls.end() + 1)
    }

    #[test]
    fn the_worker_waits_for_the_cancellations_that_the_page_had_no_room_for() {
        let (page, desk, cancels) = cancels();
        let last = 10_000;
        let mut next = post(&page, 1..=last);
        assert!(next < last);
        thread::scope(|threads| {
            let working = threads.spawn(|| {
                cancels.take();
                !desk.work().begin(last)
            });
            // The link thread and the coordinator, in turn.
            while next <= last {
                assert!(cancels.take_urgent(|_| {}).contains(Urgent::CANCEL | Urgent::MORE_CANCELS));
                next = post(&page, next..=last);
            }
            assert!(!cancels.take_urgent(|_| {}).contains(Urgent::MORE_CANCELS));
            assert!(working.join().expect("it does not panic"), "it began what was cancelled before");
        });
        assert!(!cancels.has_more());
    }

    #[test]
    fn a_word_of_something_else_does_not_let_the_worker_go_on() {
        let (page, _, cancels) = cancels();
        page.raise(Urgent::CANCEL | Urgent::MORE_CANCELS);
        cancels.take_urgent(|_| {});
        page.raise(Urgent::QUIT);
        assert!(cancels.take_urgent(|_| {}).contains(Urgent::QUIT) && cancels.has_more());
        page.raise(Urgent::CANCEL);
        cancels.take_urgent(|_| {});
        assert!(!cancels.has_more());
    }

    #[test]
    fn a_coordinator_that_says_nothing_more_does_not_hold_the_worker_for_ever() {
        let (page, _, cancels) = cancels();
        page.raise(Urgent::CANCEL | Urgent::MORE_CANCELS);
        cancels.take_urgent(|_| {});
        cancels.take();
        assert!(!cancels.has_more());
    }
}
