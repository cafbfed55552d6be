//! What a thread that runs handlers knows of commands that are taken back.
//!
//! A command may be cancelled before it begins, while it runs, or too late; this is where the three meet.
//! Numbers of calls grow, and a station is given its commands in that order: what is cancelled and smaller
//! than the last that began has ended already.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::slot::Slot;
use crate::shm::{Doorbell, SignalPage};
use crate::wire::Refusal;

/// The command being handled was cancelled, or its process ends: give up, and leave the device well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// See the module's words.
#[derive(Debug, Default)]
pub struct Cancellations {
    state: Mutex<State>,
    /// Whether whoever runs now is to give up; beside the lock, because handlers ask often.
    is_cancelled: AtomicBool,
    /// Whether whoever runs handlers is at a one-way command, which nobody can cancel by its number.
    is_one_way: AtomicBool,
    /// How many commands have begun. Only whoever runs handlers changes it.
    turn: AtomicU64,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    current: Option<u64>,
    last_begun: u64,
    early: BTreeSet<u64>,
    /// Whether everything is to give up until [`Cancellations::go_on`].
    is_held: bool,
    ends: bool,
    /// Where whoever runs now waits, if that is elsewhere.
    elsewhere: Option<Elsewhere>,
}

/// What wakes a thread that does not wait here.
#[derive(Debug)]
enum Elsewhere {
    At(Arc<Doorbell>),
    On(Arc<SignalPage>),
}

impl State {
    fn ring(&self) {
        match &self.elsewhere {
            Some(Elsewhere::At(bell)) => bell.ring(),
            Some(Elsewhere::On(page)) => page.rouse(),
            None => {}
        }
    }
}

impl Cancellations {
    /// A command begins, by the number of its call (0 for one that has none); says whether it may still run.
    pub fn begin(&self, call: u64) -> bool {
        self.turn.store(self.turn.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if call == 0 {
            self.is_one_way.store(true, Ordering::Relaxed);
            // Whatever holds everything up has said so here; most often nothing does, and no lock is taken.
            return !self.is_cancelled() || !self.state.lock().is_held;
        }
        let mut state = self.state.lock();
        state.current = Some(call);
        if state.is_held {
            return false;
        }
        let was_cancelled = state.early.remove(&call);
        state.last_begun = call;
        // What is smaller will not come any more.
        if !state.early.is_empty() {
            state.early = state.early.split_off(&call);
        }
        if was_cancelled {
            self.is_cancelled.store(true, Ordering::Release);
        }
        !was_cancelled
    }

    /// The command that began last has ended; says whether it was cancelled meanwhile.
    pub fn finish(&self) -> bool {
        if self.is_one_way.load(Ordering::Relaxed) {
            self.is_one_way.store(false, Ordering::Relaxed);
            if !self.is_cancelled() {
                return false;
            }
        }
        let mut state = self.state.lock();
        state.current = None;
        self.is_cancelled.swap(state.ends || state.is_held, Ordering::AcqRel)
    }

    /// The safe state is to be entered: whatever runs gives up, and nothing begins before [`go_on`](Self::go_on).
    pub fn hold(&self) {
        self.give_up(|state| state.is_held = true);
    }

    /// Whoever runs handlers has heard that the safe state is to be entered, and is at nothing else.
    pub fn go_on(&self) {
        let mut state = self.state.lock();
        state.is_held = false;
        self.is_cancelled.store(state.ends, Ordering::Release);
    }

    /// Cancels a call that runs or is still to come; says whether it is one of those.
    pub fn cancel(&self, call: u64) -> bool {
        let mut state = self.state.lock();
        if state.current == Some(call) {
            self.is_cancelled.store(true, Ordering::Release);
            state.ring();
            drop(state);
            self.changed.notify_all();
            return true;
        }
        let is_to_come = call > state.last_begun;
        if is_to_come {
            state.early.insert(call);
        }
        is_to_come
    }

    /// What runs now was refused something because the rig quits: whatever error it ends with, that is no failure
    /// of its own.
    pub fn note_refused(&self, refusal: &Refusal) {
        let state = self.state.lock();
        let is_at_work = state.current.is_some() || self.is_one_way.load(Ordering::Relaxed);
        if is_at_work && refusal.is_shutdown() {
            self.is_cancelled.store(true, Ordering::Release);
        }
    }

    /// The process ends: whatever runs from now on is to give up.
    pub fn cancel_all(&self) {
        self.give_up(|state| state.ends = true);
    }

    fn give_up(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        note(&mut state);
        // Within the lock, or a sleeper that has just looked would miss the call that wakes it.
        self.is_cancelled.store(true, Ordering::Release);
        state.ring();
        drop(state);
        self.changed.notify_all();
    }

    /// Whoever runs now waits elsewhere, where that bell wakes it: it is rung when it is to give up.
    pub fn wait_at<T>(&self, bell: Arc<Doorbell>, wait: impl FnOnce() -> T) -> T {
        self.wait_elsewhere(Elsewhere::At(bell), wait)
    }

    /// Whoever runs now sleeps on a page of signals, from which it is roused when it is to give up.
    pub fn sleep_on<T>(&self, page: Arc<SignalPage>, sleep: impl FnOnce() -> T) -> T {
        self.wait_elsewhere(Elsewhere::On(page), sleep)
    }

    fn wait_elsewhere<T>(&self, place: Elsewhere, wait: impl FnOnce() -> T) -> T {
        self.state.lock().elsewhere = Some(place);
        let done = wait();
        self.state.lock().elsewhere = None;
        done
    }

    /// Whether the process ends.
    pub fn has_ended(&self) -> bool {
        self.state.lock().ends
    }

    /// Whether whoever runs now is to give up.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Whoever runs now asks for something. When it has been cancelled, it does so to leave its device well, and
    /// may wait for that.
    pub fn note_asked(&self, slot: &Slot) {
        if self.is_cancelled() {
            slot.outlast(self.turn.load(Ordering::Relaxed));
        }
    }

    /// Whether whoever runs now is to give up waiting for what it has asked for.
    pub fn ends_wait(&self, slot: &Slot) -> bool {
        self.is_cancelled() && !slot.outlasts(self.turn.load(Ordering::Relaxed))
    }

    /// Sleeps, unless whoever runs now is to give up: then it ends at once.
    ///
    /// # Errors
    /// [`Cancelled`], when the sleep was cut short.
    pub fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        let until = Instant::now().checked_add(duration);
        let mut state = self.state.lock();
        while !self.is_cancelled() {
            match until {
                None => self.changed.wait(&mut state),
                Some(until) if self.changed.wait_until(&mut state, until).timed_out() => break,
                Some(_) => {}
            }
        }
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::{Roused, SignalWriter, set_words};

    /// What happens to one call, and whether it may run and is cancelled in the end.
    fn check_call(happens: impl FnOnce(&Cancellations), may_run: bool, is_cancelled: bool) {
        let work = Cancellations::default();
        work.begin(4);
        work.finish();
        happens(&work);
        assert_eq!(work.begin(5), may_run);
        assert_eq!(work.is_cancelled(), is_cancelled);
        assert_eq!(work.finish(), is_cancelled);
    }

    #[test]
    fn a_call_is_cancelled_before_it_begins_or_not_at_all() {
        check_call(|_| {}, true, false);
        check_call(|work| assert!(work.cancel(5)), false, true);
        check_call(|work| assert!(work.cancel(6)), true, false);
    }

    #[test]
    fn a_cancellation_that_comes_too_late_is_forgotten() {
        check_call(|work| assert!(!work.cancel(4)), true, false);
        check_call(|work| assert!(!work.cancel(3) && work.state.lock().early.is_empty()), true, false);
    }

    #[test]
    fn what_was_not_sent_after_all_is_forgotten_too() {
        let work = Cancellations::default();
        assert!(work.cancel(5) && work.begin(9) && !work.finish());
        assert!(work.state.lock().early.is_empty());
    }

    #[test]
    fn what_was_asked_for_before_a_cancellation_is_not_waited_for_after_it() {
        let (work, [before, after]) = (Cancellations::default(), [Slot::default(), Slot::default()]);
        work.begin(5);
        work.note_asked(&before);
        assert!(!work.ends_wait(&before) && work.cancel(5));
        work.note_asked(&after);
        assert!(work.ends_wait(&before) && !work.ends_wait(&after));
        work.finish();
        work.begin(6);
        assert!(!work.ends_wait(&after) && work.cancel(6) && work.ends_wait(&after));
    }

    #[test]
    fn a_command_that_is_refused_something_because_the_rig_quits_is_cancelled() {
        let quitting = Refusal::Quitting { command: "MoveTo".to_owned() };
        let busy = Refusal::NotEncodable { command: "MoveTo".to_owned(), reason: String::new() };
        for (refusal, is_cancelled) in [(quitting, true), (Refusal::Closed, true), (busy, false)] {
            check_call(|work| work.note_refused(&refusal), true, false);
            let work = Cancellations::default();
            work.begin(1);
            work.note_refused(&refusal);
            assert_eq!(work.finish(), is_cancelled, "{refusal}");
        }
    }

    #[test]
    fn a_sleep_ends_with_the_call() {
        let work = Cancellations::default();
        work.begin(5);
        assert_eq!(work.sleep(Duration::from_millis(1)), Ok(()));
        std::thread::scope(|threads| {
            let sleeper = threads.spawn(|| work.sleep(Duration::MAX));
            assert!(work.cancel(5));
            assert_eq!(sleeper.join().expect("it does not panic"), Err(Cancelled));
        });
        assert_eq!(work.sleep(Duration::from_secs(60)), Err(Cancelled));
        assert!(work.finish());
        assert_eq!(work.sleep(Duration::ZERO), Ok(()));
    }

    #[test]
    fn a_sleep_on_a_page_of_signals_ends_by_whatever_cancels_it() {
        let by_call: fn(&Cancellations) = |work| assert!(work.cancel(5));
        for cancel in [by_call, Cancellations::hold, Cancellations::cancel_all] {
            let (work, writer) =
                (Cancellations::default(), SignalWriter::local(&[set_words(1)]).expect("it is small"));
            work.begin(5);
            std::thread::scope(|threads| {
                let sleeper = threads.spawn(|| {
                    let sleep = || writer.page().wait(0, 0, None, &|| work.is_cancelled());
                    work.sleep_on(Arc::clone(writer.page()), sleep)
                });
                cancel(&work);
                assert_eq!(sleeper.join().expect("it does not panic"), Ok(Roused::Stopped));
            });
        }
    }

    #[test]
    fn before_the_safe_state_nothing_begins_and_after_it_all_is_as_before() {
        let work = Cancellations::default();
        work.begin(1);
        work.hold();
        assert!(work.is_cancelled() && work.finish());
        for call in [0, 2] {
            assert!(!work.begin(call) && work.finish());
        }
        assert!(work.is_cancelled(), "a timer is to give up as well");
        work.go_on();
        assert!(!work.is_cancelled() && work.begin(3) && !work.finish());
        work.cancel_all();
        work.go_on();
        assert!(work.is_cancelled(), "the process ends all the same");
    }

    #[test]
    fn when_the_process_ends_everything_is_to_give_up() {
        let work = Cancellations::default();
        work.begin(1);
        work.cancel_all();
        assert!(work.is_cancelled() && work.finish() && work.is_cancelled());
    }
}
