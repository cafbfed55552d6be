//! The managers as the core holds them: a pipe each, and the page that says how far they have got.

use std::sync::Arc;
use std::time::Instant;

use super::router::{Gauge, Router};
use crate::shm::StatusPage;
use crate::transport::{Interest, Pipe, PipeError, Poller, Token};

/// One manager's connection. Without a pipe nothing can be sent: not started yet, or gone.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) pipe: Option<Pipe>,
    pub(crate) token: Option<Token>,
    pub(crate) is_full: bool,
    pub(crate) is_throttled: bool,
}

impl Peer {
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
}
