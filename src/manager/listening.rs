//! Who listens to the line, and what becomes of it when nobody does.
//!
//! One thread at a time listens: the worker while it is idle, else a thread that waits for an answer, else,
//! when callbacks, tasks or streams are to hear of something, the link thread. It files what arrives: news of
//! calls with their slots, everything else for the worker. When it stops listening it wakes one that
//! goes on. The worker sleeps on a bell besides its pipe, because it also waits for frames and timers.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::inbox::{Arrived, Inbox, TURN};
use super::link::{Link, State};
use crate::remote::{Need, Slot};
use crate::shm::look_for_a_moment;
use crate::transport::poller::timespec;
use crate::transport::{Packet, PipeError};
use crate::wire::{Envelope, Kind, MAX_ENVELOPE_BYTES};

/// How many pauses of the processor, of some 50 ns each, are between a one-way command and the look for another one when none
/// is known to be there.
const BETWEEN_LOOKS: u32 = 16;

/// Why the worker was woken.
#[derive(Debug)]
pub(super) enum Woken {
    /// By a command or a word, which is in its inbox.
    Arrived,
    /// By its bell, another descriptor, or the time.
    Other,
    /// By the end of the pipe.
    Closed,
}

/// What came of a look at the line.
enum Received<'a> {
    /// It was called, or something came that is filed.
    Filed,
    /// Something for the worker.
    ForWorker(Envelope<'a>, Vec<OwnedFd>),
    Nothing,
    Closed,
}

impl Link {
    /// Fills an empty inbox with what has arrived, without waiting; says whether there is something in it.
    pub(super) fn take_arrived(&self, inbox: &mut Inbox) -> bool {
        if !inbox.is_empty() {
            return true;
        }
        let mut state = self.lock();
        inbox.take_over(&mut state.inbox);
        if inbox.is_empty() && !state.has_listener && !self.is_closed() {
            state.has_listener = true;
            drop(state);
            self.fetch(inbox, false);
            self.stop_listening(&mut self.lock());
        }
        !inbox.is_empty()
    }

    /// Waits as the worker: for something in its inbox, its bell, one of `others`, or the time.
    pub(super) fn wait_as_worker(
        &self,
        inbox: &mut Inbox,
        others: &[BorrowedFd<'_>],
        until: Option<Instant>,
    ) -> Woken {
        let mut state = self.lock();
        inbox.take_over(&mut state.inbox);
        if !inbox.is_empty() {
            return Woken::Arrived;
        }
        if self.is_closed() {
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
        self.lock().worker_sleeps = false;
        if bell {
            self.bell().drain();
        }
        if pipe {
            self.fetch(inbox, true);
        }
        let mut state = self.lock();
        if listens {
            self.stop_listening(&mut state);
        }
        inbox.take_over(&mut state.inbox);
        match inbox.is_empty() {
            false => Woken::Arrived,
            true if self.is_closed() => Woken::Closed,
            true => Woken::Other,
        }
    }

    /// Takes what there is for the worker. When it was woken, the system is asked for the first; for more only what is
    /// known to be there is taken.
    fn fetch(&self, inbox: &mut Inbox, mut was_woken: bool) {
        let mut buffer = std::mem::take(&mut inbox.buffer);
        let mut receiving = self.line().begin_receiving();
        if !was_woken && inbox.was_one_way() && !receiving.knows_more() {
            // Whoever sends as fast as it can is slower when each of its words is looked for at once.
            (0..BETWEEN_LOOKS).for_each(|_| std::hint::spin_loop());
        }
        loop {
            let received = match was_woken {
                true => receiving.receive(&mut buffer),
                false => receiving.receive_known(&mut buffer),
            };
            match self.take(received, &buffer) {
                Received::Filed => {}
                Received::ForWorker(envelope, descriptors) => {
                    was_woken = false;
                    inbox.push(envelope, descriptors);
                    if inbox.is_full() || !receiving.has_records() {
                        break;
                    }
                }
                Received::Nothing | Received::Closed => break,
            }
        }
        inbox.buffer = buffer;
    }

    /// Takes the pipe for the link thread, if somebody is to hear of something and nobody listens. A worker that
    /// sleeps is woken by whoever had the pipe, and listens itself.
    pub(super) fn try_attend(&self) -> bool {
        let mut state = self.lock();
        let is_free = !state.has_listener && !state.worker_sleeps && !self.is_closed();
        let attends = is_free && self.is_attended(&state);
        state.has_listener |= attends;
        attends
    }

    /// Files what has arrived, as the link thread, and lets go of the pipe.
    pub(super) fn attend(&self, buffer: &mut [u8], has_news: bool) {
        let most = if has_news { TURN } else { 0 };
        let _: bool = (0..most).all(|_| self.receive_and_file(buffer));
        let mut state = self.lock();
        state.has_listener = false;
        // The link thread looks for itself whether it is to listen again.
        self.wake_waiter_or_worker(&state);
    }

    fn is_attended(&self, state: &State) -> bool {
        !state.attended.is_empty() || self.desk().streams().is_any_open()
    }

    /// Looks for a moment whether more comes, after something has come: the next command often follows the last.
    fn look(&self, is_over: impl Fn() -> bool) -> bool {
        let has_come = self.has_come.swap(false, Ordering::Relaxed);
        has_come && look_for_a_moment(|| self.line().has_news() || is_over())
    }

    /// Says whether the bell has rung, and whether the line has something.
    fn sleep(&self, listens: bool, others: &[BorrowedFd<'_>], until: Option<Instant>) -> (bool, bool) {
        if listens && !self.line().fall_asleep() {
            self.line().wake_up();
            return (false, true);
        }
        let mut descriptors = Vec::with_capacity(others.len() + 2);
        descriptors.push(PollFd::from_borrowed_fd(self.bell().as_fd(), PollFlags::IN));
        if listens {
            descriptors.push(PollFd::from_borrowed_fd(self.line().as_fd(), PollFlags::IN));
        }
        descriptors.extend(others.iter().map(|other| PollFd::from_borrowed_fd(*other, PollFlags::IN)));
        wait_for(&mut descriptors, until);
        if listens {
            self.line().wake_up();
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
            self.attention().ring();
        }
    }

    /// Someone who waits for an answer listens next, else a worker that sleeps on its bell.
    fn wake_waiter_or_worker(&self, state: &State) -> bool {
        if state.waiters > 0 {
            self.changed().notify_one();
        } else if state.worker_sleeps {
            self.bell().ring();
        }
        state.waiters > 0 || state.worker_sleeps
    }

    /// Takes one envelope.
    fn receive<'a>(&self, buffer: &'a mut [u8]) -> Received<'a> {
        let received = self.line().receive(buffer);
        self.take(received, buffer)
    }

    /// As [`receive`](Self::receive), without asking the system where it is known that nothing has come.
    fn receive_known<'a>(&self, buffer: &'a mut [u8]) -> Received<'a> {
        let received = self.line().receive_known(buffer);
        self.take(received, buffer)
    }

    /// Takes one envelope and files it, as another thread than the worker, or as one that is at something; says
    /// whether there may be more.
    fn receive_and_file(&self, buffer: &mut [u8]) -> bool {
        match self.receive(buffer) {
            Received::Filed => true,
            Received::ForWorker(envelope, descriptors) => {
                self.deliver(Arrived::of(envelope, descriptors));
                true
            }
            Received::Nothing | Received::Closed => false,
        }
    }

    #[inline]
    fn take<'a>(&self, received: Result<Packet, PipeError>, buffer: &'a [u8]) -> Received<'a> {
        let packet = match received {
            // It was called.
            Ok(Packet { length: 0, .. }) => return Received::Filed,
            Ok(packet) => packet,
            Err(PipeError::NotReady) => return Received::Nothing,
            Err(error) => return self.end(&error.to_string()),
        };
        if self.line().lookout().is_some() {
            self.has_come.store(true, Ordering::Relaxed);
        }
        let mut descriptors = packet.descriptors;
        let mut envelope = match Envelope::receive(&buffer[..packet.length], &mut descriptors) {
            Ok(envelope) => envelope,
            Err(error) => return self.end(&error.to_string()),
        };
        self.estate().arrived(envelope.header.attached.as_deref_mut());
        // Commands are by far the most, and are moved no more than they must.
        if matches!(envelope.header.kind, Kind::Send | Kind::Request) {
            return Received::ForWorker(envelope, descriptors);
        }
        match self.file(envelope, &mut descriptors) {
            Ok(None) => Received::Filed,
            Ok(Some(envelope)) => Received::ForWorker(envelope, descriptors),
            Err(error) => self.end(&error.to_string()),
        }
    }

    fn end(&self, reason: &str) -> Received<'static> {
        self.close(reason);
        Received::Closed
    }

    /// Sleeps until a slot has what is needed, the time has come, or `is_to_stop`.
    pub(super) fn wait_for(&self, slot: &Slot, need: Need, until: Instant, is_to_stop: &dyn Fn() -> bool) {
        let mut buffer = None;
        let mut state = self.lock();
        state.waiters += 1;
        while !slot.has(need) && !self.is_closed() && !is_to_stop() && Instant::now() < until {
            if state.has_listener {
                self.changed().wait_until(&mut state, until);
                continue;
            }
            state.has_listener = true;
            drop(state);
            let buffer = buffer.get_or_insert_with(|| self.take_buffer());
            self.listen_for(slot, need, buffer, until, is_to_stop);
            state = self.lock();
            // Not counted among those to be woken: it looks for itself.
            state.waiters -= 1;
            self.stop_listening(&mut state);
            state.waiters += 1;
        }
        state.waiters -= 1;
        if !state.has_listener {
            self.wake_next(&state);
        }
        drop(state);
        self.give_back(buffer);
    }

    /// Memory for one envelope: that of whoever waited last, if nobody has it.
    fn take_buffer(&self) -> Vec<u8> {
        self.lock().spare_buffer.take().unwrap_or_else(|| vec![0; MAX_ENVELOPE_BYTES + 1])
    }

    fn give_back(&self, buffer: Option<Vec<u8>>) {
        if buffer.is_some() {
            self.lock().spare_buffer = buffer;
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
        self.has_come.store(self.line().lookout().is_some(), Ordering::Relaxed);
        while !slot.has(need) && !is_to_stop() && Instant::now() < until {
            match self.receive_known(buffer) {
                Received::Filed => {}
                Received::ForWorker(envelope, descriptors) => {
                    self.deliver(Arrived::of(envelope, descriptors));
                }
                Received::Closed => return,
                Received::Nothing if self.look(|| slot.has(need)) => {}
                Received::Nothing if !self.line().fall_asleep() => self.line().wake_up(),
                Received::Nothing => {
                    self.sleep_at_line(until);
                    if !self.receive_and_file(buffer) && self.is_closed() {
                        return;
                    }
                }
            }
        }
    }

    /// Sleeps until the line has something; as the worker also until its bell tells it that its own command is
    /// cancelled.
    fn sleep_at_line(&self, until: Instant) {
        let pipe = PollFd::from_borrowed_fd(self.line().as_fd(), PollFlags::IN);
        if self.is_worker() {
            let bell = PollFd::from_borrowed_fd(self.bell().as_fd(), PollFlags::IN);
            wait_for(&mut [pipe, bell], Some(until));
            self.bell().drain();
        } else {
            wait_for(&mut [pipe], Some(until));
        }
        self.line().wake_up();
    }
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
    use crate::manager::filing;
    use crate::shm::Doorbell;
    use crate::transport::Pipe;
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
        check_handed_on(|state| state.worker_sleeps = true, Link::bell);
    }

    #[test]
    fn while_the_worker_is_busy_the_link_thread_listens_for_callbacks() {
        let attend = |state: &mut State| state.attended.extend([7]);
        check_handed_on(attend, Link::attention);
        let (link, _theirs) = link();
        assert!(!link.try_attend(), "nobody is to be told of anything");
        attend(&mut link.lock());
        assert!(link.try_attend() && !link.try_attend(), "the pipe is taken once");
        link.attend(&mut [], false);
        assert!(!rings(link.attention()), "it would wake itself for ever");
    }
}
