//! A manager's end of the pipe, shared by all threads of its process.
//!
//! Who listens to it is in `listening`, what becomes of arrivals in `filing`; the way of commands out of this process
//! is in `link_port`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Instant;

use foldhash::fast::RandomState;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags};

use super::filing;
use super::inbox::Arrived;
use super::listening::wait_for;
use super::signal_pages::SignalPages;
use crate::registry::Desk;
use crate::remote::{OnUndelivered, Slot};
use crate::shm::Doorbell;
use crate::transport::{Line, Pipe, PipeError};
use crate::wire::control::{self, Configure, ManagerWord};
use crate::wire::{Buffer, Header};

/// See the module's words.
pub(super) struct Link {
    line: Line,
    state: Mutex<State>,
    changed: Condvar,
    bell: Doorbell,
    /// Wakes the link thread, when nobody else is left to listen.
    attention: Doorbell,
    pub(super) configure: OnceLock<Configure>,
    pub(super) signal_pages: SignalPages,
    desk: Arc<Desk>,
    worker: ThreadId,
    /// Whether something has come by a line with lanes since somebody looked for it in vain.
    pub(super) has_come: AtomicBool,
    /// Set under the lock of the state.
    is_closed: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) inbox: VecDeque<Arrived>,
    pub(super) calls: HashMap<u64, Arc<Slot>, RandomState>,
    /// Calls of whose end somebody is to be told who does not wait for it here.
    pub(super) attended: HashSet<u64>,
    pub(super) on_undelivered: Vec<OnUndelivered>,
    pub(super) next_call: u64,
    pub(super) has_listener: bool,
    pub(super) worker_sleeps: bool,
    pub(super) waiters: usize,
    /// For who waits next.
    pub(super) spare_buffer: Option<Vec<u8>>,
}

impl Link {
    /// The link of a process whose handlers will run on this thread.
    pub(super) fn new(pipe: Pipe, [bell, attention]: [Doorbell; 2]) -> Self {
        Self {
            line: Line::new(pipe),
            state: Mutex::new(State { next_call: 1, ..State::default() }),
            changed: Condvar::new(),
            bell,
            attention,
            configure: OnceLock::new(),
            signal_pages: SignalPages::default(),
            desk: Arc::default(),
            worker: thread::current().id(),
            has_come: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// What the worker is at.
    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Whether this is the thread that runs handlers.
    pub(super) fn is_worker(&self) -> bool {
        thread::current().id() == self.worker
    }

    /// Remembers who this manager is; said once, before any scope is used.
    pub(super) fn introduce(&self, configure: Configure) {
        if !configure.sends_traces {
            self.desk.withhold_traces();
        }
        if self.configure.set(configure).is_err() {
            log::warn!("the coordinator configured this manager twice; the first time holds");
        }
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// Wakes the worker from another thread, wherever it sleeps.
    pub(super) fn wake_worker(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
        self.bell.ring();
    }

    /// The bell of the worker.
    pub(super) fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// What threads sleep at that wait for an answer while another one listens.
    pub(super) fn changed(&self) -> &Condvar {
        &self.changed
    }

    /// The bell of the link thread.
    pub(super) fn attention(&self) -> &Doorbell {
        &self.attention
    }

    /// Somebody is to hear of something: if nobody listens, the link thread is to.
    pub(super) fn call_attention(&self) {
        if !self.state.lock().has_listener {
            self.attention.ring();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Something is in the worker's inbox.
    pub(super) fn deliver(&self, arrived: Arrived) {
        let mut state = self.state.lock();
        state.inbox.push_back(arrived);
        if state.worker_sleeps {
            self.bell.ring();
        }
    }

    /// A slot has news: whoever waits for them looks.
    pub(super) fn tell_waiters(&self) {
        if self.state.lock().waiters > 0 {
            self.changed.notify_all();
        }
    }

    /// The coordinator is gone, or says what no envelope says: every call ends, and so will this manager.
    pub(super) fn close(&self, reason: &str) {
        log::debug!("the pipe ends: {reason}");
        let mut state = self.state.lock();
        self.is_closed.store(true, Ordering::Release);
        state.attended.clear();
        let calls: Vec<_> = state.calls.drain().map(|(_, slot)| slot).collect();
        drop(state);
        calls.into_iter().for_each(|slot| filing::close(&slot));
        self.wake_worker();
    }

    /// Sends an envelope if there is room.
    pub(super) fn try_send(&self, bytes: &[u8], buffers: &[Buffer]) -> Result<(), PipeError> {
        self.line.send_beside(bytes, buffers)
    }

    /// Waits, as the worker, until there may be room, or its bell rings.
    pub(super) fn wait_for_room(&self) {
        let room = PollFd::from_borrowed_fd(self.line.as_fd(), PollFlags::OUT);
        let bell = PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN);
        wait_for(&mut [room, bell], None);
        self.bell.drain();
    }

    pub(super) fn send_until(
        &self,
        bytes: &[u8],
        buffers: &[Buffer],
        until: Option<Instant>,
    ) -> Result<(), PipeError> {
        self.insist(until, || self.line.send_beside(bytes, buffers))
    }

    fn insist(
        &self,
        until: Option<Instant>,
        send: impl Fn() -> Result<(), PipeError>,
    ) -> Result<(), PipeError> {
        loop {
            match send() {
                Err(PipeError::NotReady) if until.is_none_or(|until| Instant::now() < until) => {
                    let mut room = [PollFd::from_borrowed_fd(self.line.as_fd(), PollFlags::OUT)];
                    wait_for(&mut room, until);
                }
                other => return other,
            }
        }
    }

    /// Tells the coordinator something about this manager.
    pub(super) fn tell(&self, word: &ManagerWord) {
        // Such words are for the coordinator's main loop, which only its pipe wakes.
        self.insist_on(word, |bytes| self.line.send_with(bytes, &[]));
    }

    /// Tells the coordinator something of a call that was made here. Such words are the router's, which hears them in
    /// whichever thread looks, in order with commands and answers.
    pub(super) fn tell_of_call(&self, word: &ManagerWord) {
        self.insist_on(word, |bytes| self.line.send(bytes));
    }

    /// Sends an answer, however long the line is full: nobody else could deliver it.
    pub(super) fn answer(&self, header: &Header, payload: &[u8]) {
        header.lend_sealed(payload, |bytes| self.send_answer(bytes, header.buffers()));
    }

    /// The same for one that is sealed.
    pub(super) fn send_answer(&self, bytes: &[u8], buffers: &[Buffer]) {
        if let Err(error) = self.send_until(bytes, buffers, None) {
            log::error!("an answer of {} bytes was not sent: {error}", bytes.len());
        }
    }

    fn insist_on(&self, word: &ManagerWord, send: impl Fn(&[u8]) -> Result<(), PipeError>) {
        let bytes = control::seal(word);
        if let Err(error) = self.insist(None, || send(&bytes)) {
            log::debug!("the coordinator was not told {word:?}: {error}");
        }
    }

    /// Sends a log record if there is room; the pipe belongs to commands first.
    pub(super) fn try_tell(&self, word: &ManagerWord) -> Result<(), PipeError> {
        self.line.send_with(&control::seal(word), &[])
    }
}
