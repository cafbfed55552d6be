//! Two calls, of which the second is made out of the first one's reply, as one.
//!
//! The second call is made exactly once, when the first is done: by the thread for callbacks, or by a thread
//! that waits for the whole and is there before it; at once where the chain is made, if the first is done then.
//! It is never made when the first is not done, or when the whole was taken back before. Nobody's code is run
//! within the lock.

use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::call_error::{CallError, CallFacts, RemoteError};
use super::callbacks::{self, Job};
use super::pending_reply::PendingReply;
use super::port::Waited;
use super::waiting::{Course, End};
use crate::wire::{Failure, FailureKind, Progress, Refusal};

/// What makes the second call.
pub(super) type Next<R, T> = Box<dyn FnOnce(R) -> Result<PendingReply<T>, Refusal> + Send>;

/// See the module's words.
pub(super) struct Chain<R, T> {
    first: PendingReply<R>,
    state: Mutex<State<R, T>>,
    /// The second call has been made, or will not be.
    settled: Condvar,
}

struct State<R, T> {
    stage: Stage<R, T>,
    is_cancelled: bool,
    /// Asked for while the second call was being made.
    expiry: Option<Option<Duration>>,
    waker: Option<Waker>,
    jobs: Vec<Job>,
}

enum Stage<R, T> {
    /// The first call is under way.
    First(Next<R, T>),
    /// The second call is being made.
    Between,
    /// The second call is under way, or has ended.
    Second(Arc<PendingReply<T>>),
    /// There is no second call.
    Over(CallError),
}

impl<R, T> State<R, T> {
    fn second(&self) -> Option<Arc<PendingReply<T>>> {
        match &self.stage {
            Stage::Second(second) => Some(Arc::clone(second)),
            _ => None,
        }
    }
}

impl<R: 'static, T: 'static> Chain<R, T> {
    /// Begins to wait for the first call.
    pub(super) fn begin(first: PendingReply<R>, next: Next<R, T>) -> Arc<Self> {
        let stage = Stage::First(next);
        let state = State { stage, is_cancelled: false, expiry: None, waker: None, jobs: Vec::new() };
        let chain = Arc::new(Self { first, state: Mutex::new(state), settled: Condvar::new() });
        let on_its_end = Arc::clone(&chain);
        if chain.first.course().when_ended(Box::new(move || on_its_end.go_on())).is_some() {
            chain.go_on();
        }
        chain
    }

    /// The value of the whole, when it has ended.
    pub(super) fn value(&self) -> Option<Result<T, CallError>> {
        let state = self.state.lock();
        let second = match &state.stage {
            Stage::First(_) | Stage::Between => return None,
            Stage::Over(why) => return Some(Err(why.clone())),
            Stage::Second(second) => Arc::clone(second),
        };
        drop(state);
        second.value()
    }

    /// Makes the second call, unless somebody did before. The first has ended.
    fn go_on(&self) {
        let mut state = self.state.lock();
        let next = match mem::replace(&mut state.stage, Stage::Between) {
            Stage::First(next) => next,
            later => {
                state.stage = later;
                return;
            }
        };
        let is_cancelled = state.is_cancelled;
        drop(state);
        let mut made = None;
        callbacks::guarded("what makes the next call", || made = self.make(next, is_cancelled));
        self.settle(made.unwrap_or_else(|| Err(self.panicked())));
    }

    fn make(&self, next: Next<R, T>, is_cancelled: bool) -> Option<Result<PendingReply<T>, CallError>> {
        let second = match self.first.value()? {
            Ok(_) if is_cancelled => Err(CallError::Cancelled(self.first.course().facts())),
            Ok(reply) => next(reply).map_err(CallError::Refused),
            Err(why) => Err(why),
        };
        Some(second)
    }

    fn panicked(&self) -> CallError {
        let text = "what was to make the next call, at the caller";
        let failure = Failure { kind: FailureKind::Panic, ..Failure::text(text) };
        CallError::Failed(Box::new(RemoteError { facts: self.first.course().facts(), failure }))
    }

    /// Tells everyone that there is a second call now, or will be none.
    fn settle(&self, made: Result<PendingReply<T>, CallError>) {
        let mut state = self.state.lock();
        state.stage = made.map_or_else(Stage::Over, |second| Stage::Second(Arc::new(second)));
        let second = state.second();
        let (is_cancelled, expiry) = (state.is_cancelled, state.expiry.take());
        let (waker, jobs) = (state.waker.take(), mem::take(&mut state.jobs));
        drop(state);
        self.settled.notify_all();
        if let Some(second) = &second {
            expiry.into_iter().for_each(|time_left| second.set_expiry(time_left));
            if is_cancelled {
                second.cancel();
            }
        }
        if let Some(waker) = waker {
            callbacks::guarded("a waker", || waker.wake());
        }
        let due = jobs.into_iter().filter_map(|job| match &second {
            Some(second) => second.course().when_ended(job),
            None => Some(job),
        });
        due.for_each(callbacks::run_later);
    }

    /// The second call, as soon as there is one.
    fn second_by(&self, until: Instant) -> Option<Arc<PendingReply<T>>> {
        let mut state = self.state.lock();
        while matches!(state.stage, Stage::First(_) | Stage::Between) {
            if self.settled.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.second()
    }
}

impl<R: 'static, T: 'static> Course for Chain<R, T> {
    fn sleep(&self, until: Instant) -> Waited {
        let waited = self.first.course().sleep(until);
        if self.first.course().end().is_none() {
            return waited;
        }
        self.go_on();
        self.second_by(until).map_or(Waited::Over, |second| second.course().sleep(until))
    }

    fn attend(&self) {
        // The first call has a callback, and so is attended anyway.
        let second = self.state.lock().second();
        if let Some(second) = second {
            second.course().attend();
        }
    }

    fn end(&self) -> Option<End> {
        let state = self.state.lock();
        match &state.stage {
            Stage::First(_) | Stage::Between => None,
            Stage::Over(CallError::Expired(_)) => Some(End::Expired),
            Stage::Over(_) => Some(End::Otherwise),
            Stage::Second(second) => second.course().end(),
        }
    }

    fn progress(&self) -> Option<Progress> {
        let second = self.state.lock().second();
        second.map_or_else(|| self.first.course().progress(), |second| second.course().progress())
    }

    fn cancel(&self) {
        let mut state = self.state.lock();
        state.is_cancelled = true;
        let second = state.second();
        drop(state);
        second.map_or_else(|| self.first.cancel(), |second| second.cancel());
    }

    fn set_expiry(&self, time_left: Option<Duration>) {
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Between) {
            state.expiry = Some(time_left);
        }
        let second = state.second();
        drop(state);
        second.map_or_else(|| self.first.set_expiry(time_left), |second| second.set_expiry(time_left));
    }

    fn abandon(&self) {
        let second = self.state.lock().second();
        if let Some(second) = second {
            second.course().abandon();
        }
    }

    fn when_ended(&self, job: Job) -> Option<Job> {
        let mut state = self.state.lock();
        match &state.stage {
            Stage::Over(_) => return Some(job),
            Stage::First(_) | Stage::Between => {
                state.jobs.push(job);
                return None;
            }
            Stage::Second(_) => {}
        }
        let second = state.second();
        drop(state);
        second.and_then(|second| second.course().when_ended(job))
    }

    fn poll(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        match &state.stage {
            Stage::Over(_) => return true,
            Stage::First(_) | Stage::Between => {
                state.waker = Some(waker.clone());
                return false;
            }
            Stage::Second(_) => {}
        }
        let second = state.second();
        drop(state);
        second.is_some_and(|second| second.course().poll(waker))
    }

    fn facts(&self) -> CallFacts {
        let second = self.state.lock().second();
        second.map_or_else(|| self.first.course().facts(), |second| second.course().facts())
    }
}
