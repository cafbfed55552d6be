//! A manager's end of the pipe, shared by all threads of its process.
//!
//! One thread at a time listens: the worker while it is idle, else a thread that waits for an answer, else,
//! when callbacks, tasks or streams are to hear of something, the link thread. It files what arrives: news of
//! calls with their slots, everything else in the worker's inbox. When it stops listening it wakes one that
//! goes on. The worker sleeps on a bell besides its pipe, because it also waits for frames and timers.
//!
//! The way of commands out of this process is in `link_port`; what becomes of arrivals in `filing`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::filing;
use super::signal_pages::SignalPages;
use crate::registry::Desk;
use crate::remote::{Need, OnUndelivered, Slot};
use crate::shm::{Doorbell, look_for_a_moment};
use crate::transport::poller::timespec;
use crate::transport::{Line, Packet, Pipe, PipeError};
use crate::wire::control::{self, Configure, ManagerWord};
use crate::wire::{Envelope, Header, MAX_ENVELOPE_BYTES};

/// How many packets the link thread files before it looks at urgent words again.
const TURN: usize = 64;

/// Something for the worker: a command, or a word of the coordinator.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Why the worker was woken.
#[derive(Debug)]
pub(super) enum Woken {
    /// By a command or a word.
    Arrived(Arrived),
    /// By its bell, another descriptor, or the time.
    Other,
    /// By the end of the pipe.
    Closed,
}

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
    has_come: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) inbox: VecDeque<Arrived>,
    pub(super) calls: HashMap<u64, Arc<Slot>>,
    /// Calls of whose end somebody is to be told who does not wait for it here.
    pub(super) attended: HashSet<u64>,
    pub(super) on_undelivered: Vec<OnUndelivered>,
    pub(super) next_call: u64,
    has_listener: bool,
    worker_sleeps: bool,
    waiters: usize,
    pub(super) is_closed: bool,
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

    /// Takes the pipe for the link thread, if somebody is to hear of something and nobody listens. A worker that
    /// sleeps is woken by whoever had the pipe, and listens itself.
    pub(super) fn try_attend(&self) -> bool {
        let mut state = self.state.lock();
        let is_free = !state.has_listener && !state.worker_sleeps && !state.is_closed;
        let attends = is_free && self.is_attended(&state);
        state.has_listener |= attends;
        attends
    }

    /// Files what has arrived, as the link thread, and lets go of the pipe.
    pub(super) fn attend(&self, buffer: &mut [u8], has_news: bool) {
        let most = if has_news { TURN } else { 0 };
        let _: bool = (0..most).all(|_| self.receive(buffer) == Received::Filed);
        let mut state = self.state.lock();
        state.has_listener = false;
        // The link thread looks for itself whether it is to listen again.
        self.wake_waiter_or_worker(&state);
    }

    fn is_attended(&self, state: &State) -> bool {
        !state.attended.is_empty() || self.desk.streams().is_any_open()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Takes what has arrived, without waiting.
    pub(super) fn take_arrived(&self, buffer: &mut [u8]) -> Option<Arrived> {
        let mut state = self.state.lock();
        if let Some(arrived) = state.inbox.pop_front() {
            return Some(arrived);
        }
        if state.has_listener || state.is_closed {
            return None;
        }
        state.has_listener = true;
        drop(state);
        while self.receive_known(buffer) == Received::Filed && self.state.lock().inbox.is_empty() {}
        let mut state = self.state.lock();
        self.stop_listening(&mut state);
        state.inbox.pop_front()
    }

    /// Waits as the worker: for something in its inbox, its bell, one of `others`, or the time.
    pub(super) fn wait_as_worker(
        &self,
        buffer: &mut [u8],
        others: &[BorrowedFd<'_>],
        until: Option<Instant>,
    ) -> Woken {
        let mut state = self.state.lock();
        if let Some(arrived) = state.inbox.pop_front() {
            return Woken::Arrived(arrived);
        }
        if state.is_closed {
            return Woken::Closed;
        }
        let listens = !state.has_listener;
        state.has_listener = true;
        state.worker_sleeps = true;
        drop(state);
        let (bell, pipe) = match listens && self.look(|| false) {
            true => (false, true),
            false => self.sleep(listens, others, until),
        };
        // Awake before it reads: what it files itself need not wake it.
        self.state.lock().worker_sleeps = false;
        if bell {
            self.bell.drain();
        }
        while pipe && self.receive(buffer) == Received::Filed && self.state.lock().inbox.is_empty() {}
        let mut state = self.state.lock();
        if listens {
            self.stop_listening(&mut state);
        }
        match state.inbox.pop_front() {
            Some(arrived) => Woken::Arrived(arrived),
            None if state.is_closed => Woken::Closed,
            None => Woken::Other,
        }
    }

    /// Looks for a moment whether more comes, after something has come: the next command often follows the last.
    fn look(&self, is_over: impl Fn() -> bool) -> bool {
        let has_come = self.has_come.swap(false, Ordering::Relaxed);
        has_come && look_for_a_moment(|| self.line.has_news() || is_over())
    }

    /// Says whether the bell has rung, and whether the line has something.
    fn sleep(&self, listens: bool, others: &[BorrowedFd<'_>], until: Option<Instant>) -> (bool, bool) {
        if listens && !self.line.fall_asleep() {
            self.line.wake_up();
            return (false, true);
        }
        let mut descriptors = Vec::with_capacity(others.len() + 2);
        descriptors.push(PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN));
        if listens {
            descriptors.push(PollFd::from_borrowed_fd(self.line.as_fd(), PollFlags::IN));
        }
        descriptors.extend(others.iter().map(|other| PollFd::from_borrowed_fd(*other, PollFlags::IN)));
        wait_for(&mut descriptors, until);
        if listens {
            self.line.wake_up();
        }
        let has_news = |descriptor: &PollFd<'_>| !descriptor.revents().is_empty();
        (has_news(&descriptors[0]), listens && has_news(&descriptors[1]))
    }

    /// Lets go of the pipe.
    fn stop_listening(&self, state: &mut State) {
        state.has_listener = false;
        self.wake_next(state);
    }

    /// Nobody listens: someone goes on, if there is a need.
    fn wake_next(&self, state: &State) {
        if !self.wake_waiter_or_worker(state) && self.is_attended(state) {
            self.attention.ring();
        }
    }

    /// Someone who waits for an answer listens next, else a worker that sleeps on its bell.
    fn wake_waiter_or_worker(&self, state: &State) -> bool {
        if state.waiters > 0 {
            self.changed.notify_one();
        } else if state.worker_sleeps {
            self.bell.ring();
        }
        state.waiters > 0 || state.worker_sleeps
    }

    /// Takes one envelope and files it.
    fn receive(&self, buffer: &mut [u8]) -> Received {
        let received = self.line.receive(buffer);
        self.take(received, buffer)
    }

    /// As [`receive`](Self::receive), without asking the system where it is known that nothing has come.
    fn receive_known(&self, buffer: &mut [u8]) -> Received {
        let received = self.line.receive_known(buffer);
        self.take(received, buffer)
    }

    fn take(&self, received: Result<Packet, PipeError>, buffer: &[u8]) -> Received {
        let packet = match received {
            // It was called.
            Ok(Packet { length: 0, .. }) => return Received::Filed,
            Ok(packet) => packet,
            Err(PipeError::NotReady) => return Received::Nothing,
            Err(error) => return self.close(&error.to_string()),
        };
        if self.line.lookout().is_some() {
            self.has_come.store(true, Ordering::Relaxed);
        }
        let filed = Envelope::open(&buffer[..packet.length])
            .and_then(|envelope| self.file(envelope, packet.descriptors));
        match filed {
            Ok(()) => Received::Filed,
            Err(error) => self.close(&error.to_string()),
        }
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
    fn close(&self, reason: &str) -> Received {
        log::debug!("the pipe ends: {reason}");
        let mut state = self.state.lock();
        state.is_closed = true;
        state.attended.clear();
        let calls: Vec<_> = state.calls.drain().map(|(_, slot)| slot).collect();
        drop(state);
        calls.into_iter().for_each(|slot| filing::close(&slot));
        self.wake_worker();
        Received::Closed
    }

    /// Sleeps until a slot has what is needed, the time has come, or `is_to_stop`.
    pub(super) fn wait_for(&self, slot: &Slot, need: Need, until: Instant, is_to_stop: &dyn Fn() -> bool) {
        let mut buffer = Vec::new();
        let mut state = self.state.lock();
        state.waiters += 1;
        while !slot.has(need) && !state.is_closed && !is_to_stop() && Instant::now() < until {
            if state.has_listener {
                self.changed.wait_until(&mut state, until);
                continue;
            }
            state.has_listener = true;
            drop(state);
            buffer.resize(MAX_ENVELOPE_BYTES + 1, 0);
            self.listen_for(slot, need, &mut buffer, until, is_to_stop);
            state = self.state.lock();
            // Not counted among those to be woken: it looks for itself.
            state.waiters -= 1;
            self.stop_listening(&mut state);
            state.waiters += 1;
        }
        state.waiters -= 1;
        if !state.has_listener {
            self.wake_next(&state);
        }
    }

    fn listen_for(
        &self,
        slot: &Slot,
        need: Need,
        buffer: &mut [u8],
        until: Instant,
        is_to_stop: &dyn Fn() -> bool,
    ) {
        let is_worker = self.is_worker();
        self.has_come.store(self.line.lookout().is_some(), Ordering::Relaxed);
        while !slot.has(need) && !is_to_stop() && Instant::now() < until {
            match self.receive_known(buffer) {
                Received::Filed => {}
                Received::Closed => return,
                Received::Nothing if self.look(|| slot.has(need)) => {}
                Received::Nothing if !self.line.fall_asleep() => self.line.wake_up(),
                Received::Nothing => {
                    let pipe = PollFd::from_borrowed_fd(self.line.as_fd(), PollFlags::IN);
                    let bell = PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN);
                    if is_worker {
                        // Its bell tells it that its own command is cancelled.
                        wait_for(&mut [pipe, bell], Some(until));
                        self.bell.drain();
                    } else {
                        wait_for(&mut [pipe], Some(until));
                    }
                    self.line.wake_up();
                    if self.receive(buffer) == Received::Closed {
                        return;
                    }
                }
            }
        }
    }

    /// Sends an answer, however long the line is full: nobody else could deliver it.
    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), PipeError> {
        self.send_until(bytes, None)
    }

    pub(super) fn send_until(&self, bytes: &[u8], until: Option<Instant>) -> Result<(), PipeError> {
        self.insist(until, || self.line.send(bytes))
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Received {
    Filed,
    Nothing,
    Closed,
}

/// Waits until one of the descriptors is ready or the time has come; an interrupted wait ends early.
pub(super) fn wait_for(descriptors: &mut [PollFd<'_>], until: Option<Instant>) {
    let timeout = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
    match poll(descriptors, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => log::error!("cannot wait for the pipe: {error}"),
    }
}

#[cfg(test)]
mod tests {
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
}
