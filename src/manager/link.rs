//! A manager's end of the pipe, shared by all threads of its process.
//!
//! One thread at a time listens: the worker while it is idle, else a thread that waits for an answer. It
//! files what arrives: answers to the calls they end, everything else to the worker's inbox. When it stops
//! listening it wakes one that waits. The worker sleeps on a bell besides its pipe, because it also waits
//! for frames and timers.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::remote::{Answer, Outgoing, Port, Slot, StreamError, StreamParts};
use crate::shm::{Doorbell, ReadMode};
use crate::transport::poller::timespec;
use crate::transport::{Pipe, PipeError};
use crate::wire::control::{self, Configure, ManagerWord};
use crate::wire::{
    BroadcastOutcome, Ending, Envelope, EnvelopeError, Generation, Header, Hop, Kind, MAX_ENVELOPE_BYTES,
    NotDone, Refusal, Target, TypeSchema, codec,
};

/// How long a full pipe may hold a sender up. The coordinator never blocks, so a pipe stays full only while
/// this manager is throttled or the coordinator is frozen.
const SEND_PATIENCE: Duration = Duration::from_secs(2);

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
    pipe: Pipe,
    state: Mutex<State>,
    changed: Condvar,
    bell: Doorbell,
    configure: OnceLock<Configure>,
}

#[derive(Default)]
struct State {
    inbox: VecDeque<Arrived>,
    calls: HashMap<u64, Arc<Slot>>,
    next_call: u64,
    has_listener: bool,
    worker_sleeps: bool,
    waiters: usize,
    is_closed: bool,
}

impl Link {
    pub(super) fn new(pipe: Pipe, bell: Doorbell) -> Self {
        let state = State { next_call: 1, ..State::default() };
        Self { pipe, state: Mutex::new(state), changed: Condvar::new(), bell, configure: OnceLock::new() }
    }

    /// Remembers who this manager is; said once, before any scope is used.
    pub(super) fn introduce(&self, configure: Configure) {
        if self.configure.set(configure).is_err() {
            log::warn!("the coordinator configured this manager twice; the first time holds");
        }
    }

    pub(super) fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// Wakes the worker from another thread.
    pub(super) fn ring(&self) {
        self.bell.ring();
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
        while self.receive(buffer) == Received::Filed && self.state.lock().inbox.is_empty() {}
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
        let (bell, pipe) = self.sleep(listens, others, until);
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

    /// Says whether the bell has rung, and whether the pipe has something.
    fn sleep(&self, listens: bool, others: &[BorrowedFd<'_>], until: Option<Instant>) -> (bool, bool) {
        let mut descriptors = Vec::with_capacity(others.len() + 2);
        descriptors.push(PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN));
        if listens {
            descriptors.push(PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN));
        }
        descriptors.extend(others.iter().map(|other| PollFd::from_borrowed_fd(*other, PollFlags::IN)));
        wait_for(&mut descriptors, until);
        let has_news = |descriptor: &PollFd<'_>| !descriptor.revents().is_empty();
        (has_news(&descriptors[0]), listens && has_news(&descriptors[1]))
    }

    /// Lets go of the pipe.
    fn stop_listening(&self, state: &mut State) {
        state.has_listener = false;
        self.wake_next(state);
    }

    /// Nobody listens: someone who waits for an answer does so next, else a worker that sleeps on its bell.
    fn wake_next(&self, state: &State) {
        if state.waiters > 0 {
            self.changed.notify_one();
        } else if state.worker_sleeps {
            self.bell.ring();
        }
    }

    /// Takes one packet and files it.
    fn receive(&self, buffer: &mut [u8]) -> Received {
        let packet = match self.pipe.receive(buffer) {
            Ok(packet) => packet,
            Err(PipeError::NotReady) => return Received::Nothing,
            Err(error) => return self.close(&error.to_string()),
        };
        match Envelope::open(&buffer[..packet.length])
            .and_then(|envelope| self.file(envelope, packet.descriptors))
        {
            Ok(()) => Received::Filed,
            Err(error) => self.close(&error.to_string()),
        }
    }

    fn file(&self, envelope: Envelope<'_>, descriptors: Vec<OwnedFd>) -> Result<(), EnvelopeError> {
        match envelope.header.kind {
            Kind::Done | Kind::Ended | Kind::Report => self.file_answer(envelope),
            _ => {
                let mut state = self.state.lock();
                let Envelope { header, payload } = envelope;
                state.inbox.push_back(Arrived { header, payload: payload.to_vec(), descriptors });
                if state.worker_sleeps {
                    self.bell.ring();
                }
                Ok(())
            }
        }
    }

    fn file_answer(&self, envelope: Envelope<'_>) -> Result<(), EnvelopeError> {
        let correlation = envelope.header.correlation;
        let answer = read_answer(envelope)?;
        let mut state = self.state.lock();
        if let Some(slot) = state.calls.remove(&correlation) {
            // A slot of this table has not been filled before: it leaves the table here.
            let _ = slot.fill(answer);
            if state.waiters > 0 {
                self.changed.notify_all();
            }
        }
        Ok(())
    }

    /// The coordinator is gone, or says what no envelope says: every call ends, and so will this manager.
    fn close(&self, reason: &str) -> Received {
        log::debug!("the pipe ends: {reason}");
        let mut state = self.state.lock();
        state.is_closed = true;
        for (_, slot) in state.calls.drain() {
            let _ = slot.fill(refused(Refusal::Closed));
        }
        self.changed.notify_all();
        self.bell.ring();
        Received::Closed
    }

    /// Sends an answer or a word, however long the pipe is full: nobody else could deliver it.
    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), PipeError> {
        self.send_until(bytes, None)
    }

    fn send_until(&self, bytes: &[u8], until: Option<Instant>) -> Result<(), PipeError> {
        loop {
            match self.pipe.send(bytes) {
                Err(PipeError::NotReady) if until.is_none_or(|until| Instant::now() < until) => {
                    let mut room = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::OUT)];
                    wait_for(&mut room, until);
                }
                other => return other,
            }
        }
    }

    /// Tells the coordinator something about this manager.
    pub(super) fn tell(&self, word: &ManagerWord) {
        if let Err(error) = self.send(&control::seal(word)) {
            log::debug!("the coordinator was not told {word:?}: {error}");
        }
    }

    /// Sends a log record if there is room; the pipe belongs to commands first.
    pub(super) fn try_tell(&self, word: &ManagerWord) -> Result<(), PipeError> {
        self.pipe.send(&control::seal(word))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Received {
    Filed,
    Nothing,
    Closed,
}

impl Port for Link {
    fn submit(&self, outgoing: Outgoing) -> Result<u64, Refusal> {
        let Outgoing { mut header, spec, payload, slot } = outgoing;
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Refusal::Closed);
        }
        header.correlation = state.next_call;
        state.next_call += 1;
        if let Some(slot) = slot {
            state.calls.insert(header.correlation, slot);
        }
        drop(state);
        let sent = self.send_until(&header.seal(&payload), Some(Instant::now() + SEND_PATIENCE));
        sent.map(|()| header.correlation).map_err(|error| {
            self.state.lock().calls.remove(&header.correlation);
            match error {
                PipeError::NotReady => Refusal::PipeFull { command: spec.name.clone() },
                _ => Refusal::Closed,
            }
        })
    }

    fn wait(&self, wait: crate::remote::Wait<'_>) -> crate::remote::Waited {
        let (slot, until) = (wait.slot, wait.until);
        let mut buffer = Vec::new();
        let mut state = self.state.lock();
        state.waiters += 1;
        while !slot.has(crate::remote::Need::Answer) && !state.is_closed && Instant::now() < until {
            if state.has_listener {
                self.changed.wait_until(&mut state, until);
                continue;
            }
            state.has_listener = true;
            drop(state);
            buffer.resize(MAX_ENVELOPE_BYTES + 1, 0);
            self.listen_for(slot, &mut buffer, until);
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
        crate::remote::Waited::Over
    }

    fn attend(&self, _: u64) {}

    fn cancel(&self, _: u64) {}

    fn set_expiry(&self, _: u64, _: Option<Duration>) {}

    fn grant(&self, _: u64, _: u32) {}

    fn report_progress(&self, _: u64, _: crate::wire::Progress) {}

    fn on_undelivered(&self, _: crate::remote::OnUndelivered) {}

    fn abandon(&self, correlation: u64) {
        if self.state.lock().calls.remove(&correlation).is_some() {
            self.tell(&ManagerWord::Abandon { correlation });
        }
    }

    fn quit(&self, reason: &str) {
        self.tell(&ManagerWord::Quit { reason: reason.to_owned() });
    }

    fn report_loss(&self, what: &str, detail: &str) {
        self.tell(&ManagerWord::Lost { what: what.to_owned(), detail: detail.to_owned() });
    }

    fn find_stream(&self, stream: &str) -> Result<(), StreamError> {
        Err(StreamError::InAManager { stream: stream.to_owned() })
    }

    fn open_stream(&self, stream: &str, _: ReadMode) -> Result<StreamParts, StreamError> {
        Err(StreamError::InAManager { stream: stream.to_owned() })
    }

    fn default_deadline(&self) -> Duration {
        Duration::from_millis(self.configure.get().map_or(5000, |configure| configure.default_deadline_ms))
    }

    fn name_of(&self, who: u16) -> String {
        let name = self.configure.get().and_then(|configure| configure.roster.get(usize::from(who)));
        name.map_or_else(
            || if who == Hop::SCOPE { "scope".to_owned() } else { format!("#{who}") },
            String::clone,
        )
    }
}

impl Link {
    fn listen_for(&self, slot: &Slot, buffer: &mut [u8], until: Instant) {
        while !slot.has(crate::remote::Need::Answer) && Instant::now() < until {
            match self.receive(buffer) {
                Received::Filed => {}
                Received::Closed => return,
                Received::Nothing => {
                    let mut pipe = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)];
                    wait_for(&mut pipe, Some(until));
                }
            }
        }
    }
}

fn read_answer(envelope: Envelope<'_>) -> Result<Answer, EnvelopeError> {
    let Envelope { header, payload } = envelope;
    let by = match header.target {
        Target::Named(name) => name,
        Target::Route => String::new(),
    };
    let ending = match header.kind {
        Kind::Report => return Ok(Answer::Many(read::<Vec<BroadcastOutcome>>(payload)?)),
        Kind::Done => Ending::Done(payload.to_vec()),
        _ => Ending::NotDone(read::<NotDone>(payload)?),
    };
    Ok(Answer::One { ending, by, generation: header.generation, chain: header.chain })
}

fn read<T: serde::de::DeserializeOwned + crate::wire::Schema + 'static>(
    payload: &[u8],
) -> Result<T, EnvelopeError> {
    codec::from_postcard(payload, TypeSchema::known::<T>())
        .map_err(|error| EnvelopeError::Payload { reason: error.to_string() })
}

fn refused(refusal: Refusal) -> Answer {
    Answer::One {
        ending: Ending::NotDone(NotDone::Refused(refusal)),
        by: String::new(),
        generation: Generation(0),
        chain: Vec::new(),
    }
}

/// Waits until one of the descriptors is ready or the time has come; an interrupted wait ends early.
fn wait_for(descriptors: &mut [PollFd<'_>], until: Option<Instant>) {
    let timeout = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
    match poll(descriptors, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => log::error!("cannot wait for the pipe: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link with its other end, which must stay open.
    fn link() -> (Link, Pipe) {
        let (ours, theirs) = Pipe::pair().expect("a pair");
        (Link::new(ours, Doorbell::create().expect("a bell")), theirs)
    }

    fn rings(link: &Link) -> bool {
        let mut bell = [PollFd::from_borrowed_fd(link.bell.as_fd(), PollFlags::IN)];
        wait_for(&mut bell, Some(Instant::now()));
        !bell[0].revents().is_empty()
    }

    #[test]
    fn the_last_thread_that_waits_hands_the_pipe_back_to_a_worker_that_sleeps() {
        let (link, _theirs) = link();
        // Another thread listened while the worker went to sleep on its bell alone; it filed this thread's
        // answer, saw it still counted among those that wait, and left the pipe to it.
        link.state.lock().worker_sleeps = true;
        let slot = Arc::new(Slot::default());
        slot.fill(refused(Refusal::Closed)).expect("an empty slot");
        let until = Instant::now() + Duration::from_secs(30);
        link.wait(crate::remote::Wait {
            call: 1,
            slot: &slot,
            need: crate::remote::Need::Answer,
            until,
            is_announced: false,
        });
        assert!(rings(&link), "nobody listens to the pipe any more");
    }
}
