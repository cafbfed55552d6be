//! The managers as the core holds them: a pipe each, and the page that says how far they have got.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::blueprint::ManagerBlueprint;
use super::rate::Bucket;
use super::router::{Gauge, Moment, Router};
use crate::shm::{Doorbell, StatusPage, Urgent, monotonic_ns};
use crate::transport::{Interest, Line, PipeError, Poller, Token};
use crate::wire::SafeReason;

/// One manager's connection. Without a line nothing can be sent: not started yet, or gone.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) line: Option<Arc<Line>>,
    pub(crate) token: Option<Token>,
    pub(crate) is_full: bool,
    /// How much it may say; none for one that is dead.
    pub(crate) bucket: Option<Bucket>,
    /// Until when its line is left unread, because it said too much.
    pub(crate) throttled_until: Option<Instant>,
    /// Who looks at its lane.
    pub(crate) looker: Looker,
    /// Whether something has gone either way by its line since somebody asked: more may come soon.
    pub(crate) is_lively: bool,
    /// Whether the main loop wants to know at once that it says something.
    pub(crate) is_hoped_for: bool,
    /// The lane that overtakes the pipe, in one life of the manager.
    pub(crate) urgent: Option<UrgentLane>,
    /// How long it may go without a sign of life; none when nobody watches it.
    pub(crate) period: Option<Duration>,
    /// When its page is looked at next; none while nobody need look.
    pub(crate) look_at: Option<Instant>,
    /// When its lease is renewed next; none while it needs none.
    pub(crate) renew_at: Option<Instant>,
}

/// Who looks at a manager's lane, so that nobody need be called when something is put into it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Looker {
    /// The main loop is called.
    #[default]
    Nobody,
    /// The main loop, for a moment.
    MainLoop,
    /// A thread that waits for an answer.
    Caller,
}

/// The words of a manager's page that are not to wait behind commands, and the bell that tells of them.
pub(crate) struct UrgentLane {
    page: Arc<StatusPage>,
    bell: Arc<Doorbell>,
    /// Calls to be cancelled for which the page has no room yet.
    cancels: VecDeque<u64>,
}

impl UrgentLane {
    pub(crate) fn new(page: &Arc<StatusPage>, bell: &Arc<Doorbell>) -> Self {
        Self { page: Arc::clone(page), bell: Arc::clone(bell), cancels: VecDeque::new() }
    }

    /// Posts what there is room for; the manager says when there is more.
    fn post_cancels(&mut self) {
        while self.cancels.front().is_some_and(|call| self.page.post_cancel(*call)) {
            self.cancels.pop_front();
        }
        let more = if self.cancels.is_empty() { Urgent::NONE } else { Urgent::MORE_CANCELS };
        self.page.raise(Urgent::CANCEL | more);
        self.bell.ring();
    }
}

impl Peer {
    /// The connection of a new life: nothing of the last one is in its way.
    pub(crate) fn new(line: Line, token: Token, urgent: UrgentLane, plan: &ManagerBlueprint) -> Self {
        Self {
            line: Some(Arc::new(line)),
            token: Some(token),
            urgent: Some(urgent),
            bucket: Some(Bucket::new(plan.limits, Instant::now())),
            period: plan.supervision.watchdog,
            ..Self::default()
        }
    }

    /// Lets somebody look at its lane who has the better right to: whoever waits for an answer before the main loop. There
    /// may be no lane.
    pub(super) fn look_as(&mut self, looker: Looker) -> Option<Arc<Line>> {
        let may = match looker {
            Looker::Caller => self.looker != Looker::Caller,
            _ => self.looker == Looker::Nobody,
        };
        let line = self.line.as_ref().filter(|line| may && line.lookout().is_some())?;
        self.looker = looker;
        line.wake_up();
        Some(Arc::clone(line))
    }

    /// From now on its page is looked at; says whether it was not before.
    pub(crate) fn begin_watch(&mut self, now: Instant) -> bool {
        let (Some(period), None, Some(urgent)) = (self.period, self.look_at, &self.urgent) else {
            return false;
        };
        self.look_at = Some(now + period);
        urgent.page.set_watched(true);
        true
    }

    /// Tells the manager to enter its safe state, and that what it was given up to the barrier does not begin.
    pub(crate) fn enter_safe_state(&mut self, barrier: u64, reason: SafeReason) {
        if let Some(UrgentLane { page, bell, .. }) = &self.urgent {
            page.set_argument(SafeReason::BARRIER_WORD, barrier);
            page.set_argument(SafeReason::REASON_WORD, reason.code());
            page.raise(Urgent::SAFE);
            bell.ring();
        }
    }

    /// The same for a stop of everything, by its number: the manager's answer says which was the last it knew of.
    pub(crate) fn stop(&mut self, barrier: u64, number: u64) {
        if let Some(UrgentLane { page, .. }) = &self.urgent {
            page.set_argument(SafeReason::STOP_WORD, number);
        }
        self.enter_safe_state(barrier, SafeReason::StopOrdered);
    }

    /// Vouches for the coordinator for so long, and says when to do so again.
    pub(crate) fn lease(&mut self, lease: Duration, now: Instant) {
        if let Some(urgent) = &self.urgent {
            let lease_ns = u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX);
            urgent.page.set_lease_until_ns(monotonic_ns().saturating_add(lease_ns));
            self.renew_at = Some(now + lease * 2 / 5);
        }
    }

    /// Nothing that it does needs a lease.
    pub(crate) fn end_lease(&mut self) {
        if let Some(urgent) = &self.urgent {
            urgent.page.set_lease_until_ns(0);
        }
        self.renew_at = None;
    }

    /// Tells the manager to cancel a call that it has in its pipe, or is at.
    pub(crate) fn cancel(&mut self, call: u64) {
        if let Some(urgent) = &mut self.urgent {
            urgent.cancels.push_back(call);
            urgent.post_cancels();
        }
    }

    /// The manager has taken the cancellations that its page had room for.
    pub(crate) fn cancels_taken(&mut self) {
        // Also when there is nothing left to post: it waits for word of that.
        if let Some(urgent) = &mut self.urgent {
            urgent.post_cancels();
        }
    }

    /// What the poller is to watch this pipe for.
    fn interest(&self) -> Interest {
        match (self.throttled_until.is_some(), self.is_full) {
            (false, false) => Interest::Read,
            (false, true) => Interest::ReadWrite,
            (true, true) => Interest::Write,
            (true, false) => Interest::End,
        }
    }

    /// Nothing is taken from its line until then.
    pub(crate) fn leave_unread(&mut self, until: Instant, poller: &Poller) {
        self.throttled_until = Some(until);
        self.watch(poller);
    }

    /// Tells the poller what to watch for now.
    pub(crate) fn watch(&self, poller: &Poller) {
        if let (Some(line), Some(token)) = (&self.line, self.token)
            && let Err(error) = poller.change(&**line, token, self.interest())
        {
            log::error!("a pipe cannot be watched: {error}");
        }
    }

    /// Moves what is queued for this manager into its pipe, unless that is known to be full: then the poller
    /// tells of room. Says whether its page is to be looked at from now on.
    pub(crate) fn flush(
        &mut self,
        index: usize,
        router: &mut Router,
        gauge: &dyn Gauge,
        poller: &Poller,
        now: &Moment,
    ) -> bool {
        !self.is_full && self.fill(index, router, gauge, poller, now)
    }

    /// The pipe has room: moves what is queued into it, until it is full. Says whether its page is to be looked
    /// at from now on.
    pub(crate) fn fill(
        &mut self,
        index: usize,
        router: &mut Router,
        gauge: &dyn Gauge,
        poller: &Poller,
        now: &Moment,
    ) -> bool {
        let Some(line) = &self.line else { return false };
        let (mut is_full, mut has_sent) = (false, false);
        let mut sending = line.begin_sending();
        while let Some(parcel) = router.next_for(index, now) {
            match sending.send_beside(parcel, parcel.buffers()) {
                Ok(()) => {
                    router.sent(index, gauge);
                    has_sent = true;
                }
                Err(PipeError::NotReady) => {
                    is_full = true;
                    break;
                }
                // The manager says when it has emptied its lane; the main loop goes on then.
                Err(PipeError::NoRoom) => break,
                // The end of the pipe is seen by the main loop, which ends what is queued.
                Err(PipeError::Closed) => break,
                Err(error) => {
                    log::error!("an envelope of {} bytes stays queued: {error}", parcel.len());
                    break;
                }
            }
        }
        if let Err(error) = sending.finish() {
            log::debug!("a manager was not called: {error}");
        }
        if is_full != self.is_full {
            self.is_full = is_full;
            self.watch(poller);
        }
        self.is_lively |= has_sent;
        has_sent && self.look_at.is_none() && self.begin_watch(now.get())
    }

    /// Puts one envelope into its line, for which nothing waits; says whether it has gone there. Its page is looked at
    /// already: else what is queued begins that.
    pub(crate) fn put(&mut self, envelope: &[u8]) -> bool {
        let is_watched = self.look_at.is_some() || self.period.is_none();
        let Some(line) = self.line.as_ref().filter(|_| is_watched && !self.is_full) else { return false };
        let mut sending = line.begin_sending();
        if sending.send(envelope).is_err() {
            return false;
        }
        if let Err(error) = sending.finish() {
            log::debug!("a manager was not called: {error}");
        }
        self.is_lively = true;
        true
    }

    /// Has the poller tell of room.
    pub(crate) fn await_room(&mut self, poller: &Poller) {
        self.is_full = true;
        self.watch(poller);
    }
}

/// Reads how far managers have got from their pages.
pub(crate) struct Pages(pub(crate) Vec<Option<Arc<StatusPage>>>);

impl Gauge for Pages {
    fn taken(&self, index: usize) -> u64 {
        let page = self.0.get(index).and_then(Option::as_ref);
        page.map_or(0, |page| page.taken())
    }

    fn done(&self, index: usize) -> u64 {
        let page = self.0.get(index).and_then(Option::as_ref);
        page.map_or(0, |page| page.done())
    }
}
