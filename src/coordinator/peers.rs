//! The managers as the core holds them: a pipe each, and the page that says how far they have got.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::router::{Gauge, Router};
use crate::shm::{Doorbell, StatusPage, Urgent};
use crate::transport::{Interest, Pipe, PipeError, Poller, Token};

/// One manager's connection. Without a pipe nothing can be sent: not started yet, or gone.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) pipe: Option<Pipe>,
    pub(crate) token: Option<Token>,
    pub(crate) is_full: bool,
    pub(crate) is_throttled: bool,
    /// The lane that overtakes the pipe, in one life of the manager.
    pub(crate) urgent: Option<UrgentLane>,
}

/// The words of a manager's page that are not to wait behind commands, and the bell that tells of them.
pub(crate) struct UrgentLane {
    page: Arc<StatusPage>,
    bell: Arc<Doorbell>,
    /// Calls to be cancelled for which the page has no room yet.
    cancels: VecDeque<u64>,
}

impl UrgentLane {
    pub(crate) fn new(page: Arc<StatusPage>, bell: Arc<Doorbell>) -> Self {
        Self { page, bell, cancels: VecDeque::new() }
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
        match (self.is_throttled, self.is_full) {
            (false, false) => Interest::Read,
            (false, true) => Interest::ReadWrite,
            (true, true) => Interest::Write,
            (true, false) => Interest::End,
        }
    }

    /// Tells the poller what to watch for now.
    pub(crate) fn watch(&self, poller: &Poller) {
        if let (Some(pipe), Some(token)) = (&self.pipe, self.token)
            && let Err(error) = poller.change(pipe, token, self.interest())
        {
            log::error!("a pipe cannot be watched: {error}");
        }
    }

    /// Moves what is queued for this manager into its pipe, unless that is known to be full: then the poller
    /// tells of room.
    pub(crate) fn flush(&mut self, index: usize, router: &mut Router, gauge: &dyn Gauge, poller: &Poller) {
        if !self.is_full {
            self.fill(index, router, gauge, poller);
        }
    }

    /// The pipe has room: moves what is queued into it, until it is full.
    pub(crate) fn fill(&mut self, index: usize, router: &mut Router, gauge: &dyn Gauge, poller: &Poller) {
        let Some(pipe) = &self.pipe else { return };
        let now = Instant::now();
        let mut is_full = false;
        while let Some(bytes) = router.next_for(index, now) {
            match pipe.send(bytes) {
                Ok(()) => router.sent(index, gauge),
                Err(PipeError::NotReady) => {
                    is_full = true;
                    break;
                }
                // The end of the pipe is seen by the main loop, which ends what is queued.
                Err(PipeError::Closed) => break,
                Err(error) => {
                    log::error!("an envelope of {} bytes stays queued: {error}", bytes.len());
                    break;
                }
            }
        }
        if is_full != self.is_full {
            self.is_full = is_full;
            self.watch(poller);
        }
    }
}

/// Reads how far managers have got from their pages.
pub(crate) struct Pages(pub(crate) Vec<Option<Arc<StatusPage>>>);

impl Gauge for Pages {
    fn taken(&self, index: usize) -> u64 {
        let page = self.0.get(index).and_then(Option::as_ref);
        page.map_or(0, |page| page.activity().taken)
    }

    fn done(&self, index: usize) -> u64 {
        let page = self.0.get(index).and_then(Option::as_ref);
        page.map_or(0, |page| page.activity().done)
    }
}
