//! A procedure as its runner knows it: what it is told to do, and who wants to be told of it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::commands::{KillLevel, Outcome, ProcedureRecord};
use super::context::Stopped;
use crate::wire::Progress;

/// What a pause, a play or a kill is answered with.
pub(super) type Respond = Box<dyn FnOnce(Outcome) + Send>;

/// Somebody who waits for a procedure to end.
pub(super) trait Awaiting: Send {
    /// It has ended.
    fn ended(self: Box<Self>, record: &ProcedureRecord);
    /// It has come so far.
    fn progressed(&self, progress: &Progress);
    /// Whether nobody waits any more.
    fn is_over(&self) -> bool;
}

/// How often at most progress is passed on.
const BETWEEN_PROGRESS: Duration = Duration::from_millis(20);

/// An order that has not taken effect.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    pub(super) by: String,
    pub(super) text: String,
}

/// See the module's words.
pub(super) struct Entry {
    pub(super) number: i64,
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// What of it changes.
#[derive(Default)]
pub(super) struct Desk {
    /// Whether a thread is at it, or is to be.
    pub(super) is_active: bool,
    /// Whether it is its turn.
    pub(super) has_turn: bool,
    /// Whether its thread waits for that.
    pub(super) is_queued: bool,
    pub(super) pause: Option<Order>,
    pub(super) kill: Option<(KillLevel, Order)>,
    /// The runner ends.
    pub(super) stops: bool,
    /// Something happened that it may wait for.
    pub(super) is_roused: bool,
    pub(super) pauses_asked: Vec<Respond>,
    pub(super) kills_asked: Vec<Respond>,
    pub(super) awaiting: Vec<Box<dyn Awaiting>>,
    pub(super) progress: Option<Progress>,
    told_at: Option<Instant>,
    /// Why its record could not be written, when that is so: it stands where it was acknowledged last.
    pub(super) stalled: Option<String>,
}

impl Entry {
    pub(super) fn new(number: i64) -> Self {
        Self { number, desk: Mutex::default(), changed: Condvar::new() }
    }

    /// Held for as short as can be, but for what is written to the store.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock()
    }

    /// Changes something that its thread may wait for.
    pub(super) fn tell<T>(&self, change: impl FnOnce(&mut Desk) -> T) -> T {
        let told = change(&mut self.desk.lock());
        self.changed.notify_all();
        told
    }

    /// Waits until it is to look again: an order, its turn, the end of a child; at most until that moment.
    pub(super) fn wait(&self, until: Option<Instant>, is_due: impl Fn(&Desk) -> bool) {
        let mut desk = self.desk.lock();
        while !is_due(&desk) {
            match until {
                None => self.changed.wait(&mut desk),
                Some(until) if self.changed.wait_until(&mut desk, until).timed_out() => return,
                Some(_) => {}
            }
        }
    }

    pub(super) fn report(&self, progress: Progress) {
        let mut desk = self.desk.lock();
        let now = Instant::now();
        let is_due = desk.told_at.is_none_or(|told| now - told >= BETWEEN_PROGRESS);
        if is_due || progress.done >= progress.total {
            desk.told_at = Some(now);
            desk.awaiting.iter().for_each(|awaiting| awaiting.progressed(&progress));
        }
        desk.progress = Some(progress);
    }

    /// Why a step is to stop, if it is.
    pub(super) fn stopped(&self, deadline: Option<Instant>) -> Option<Stopped> {
        self.desk.lock().stopped(deadline)
    }

    pub(super) fn sleep(&self, duration: Duration, deadline: Option<Instant>) -> Result<(), Stopped> {
        let until = Instant::now().checked_add(duration);
        let until = until.into_iter().chain(deadline).min();
        self.wait(until, |desk| desk.stopped(None).is_some());
        self.stopped(deadline).map_or(Ok(()), Err)
    }
}

impl Desk {
    fn stopped(&self, deadline: Option<Instant>) -> Option<Stopped> {
        let is_overdue = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match &self.kill {
            Some((level, _)) if *level != KillLevel::NextStep => Some(Stopped::Killed),
            _ if self.stops => Some(Stopped::Quitting),
            _ => is_overdue.then_some(Stopped::Overdue),
        }
    }

    /// Whether its thread is to leave what it waits for.
    pub(super) fn has_order(&self) -> bool {
        self.stops || self.pause.is_some() || self.kill.is_some()
    }

    /// Everybody who has asked for a pause is told what has become of it.
    pub(super) fn answer_pauses(&mut self, outcome: Outcome) {
        self.pause = None;
        self.pauses_asked.drain(..).for_each(|respond| respond(outcome));
    }

    /// Everybody who has asked for a kill is told what has become of it.
    pub(super) fn answer_kills(&mut self, outcome: Outcome) {
        self.kill = None;
        self.kills_asked.drain(..).for_each(|respond| respond(outcome));
    }
}
