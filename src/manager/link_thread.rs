//! The thread that notices what the worker must not sleep through.
//!
//! It waits for the end of the pipe (the coordinator is gone), the urgent doorbell and signals; and for time only
//! while a lease may lapse or a worker is to enter its safe state. It never acts itself but by orders to the worker,
//! except on a worker that is stuck: the emergency handle is used, and a process that does not end within the time
//! that its safe state may take is ended by force, because nobody else is left who could.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process_group};

use super::lease::LeaseWatch;
use super::link::Link;
use super::safety::Safety;
use super::signals::Signals;
use super::witness::{self, Witnesses};
use crate::shm::{Doorbell, StatusPage};
use crate::transport::poller::timespec;
use crate::wire::{MAX_ENVELOPE_BYTES, SafeReason};

/// What the thread needs.
pub(super) struct LinkThread {
    pub(super) link: Arc<Link>,
    pub(super) urgent: Doorbell,
    pub(super) page: Arc<StatusPage>,
    pub(super) safety: Arc<Safety>,
    /// How long the worker may take to enter its safe state and end.
    pub(super) grace: Duration,
    pub(super) signals: Signals,
}

/// What the thread was woken by.
#[derive(Default)]
struct Woken {
    urgent: bool,
    news: bool,
    lost: bool,
    terminated: bool,
}

impl LinkThread {
    /// Starts it, and with it the other witness of this process.
    pub(super) fn start(self) -> std::io::Result<Witnesses> {
        let (page, own) = (Arc::clone(&self.page), Arc::clone(&self.page));
        let (said, witnesses) = Witnesses::expected();
        let also_said = said.clone();
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        spawn("labrig-link").spawn(move || {
            witness::testify(&own, 0, &said);
            self.run();
        })?;
        let last = move || witness::last(&page, &also_said);
        spawn("labrig-witness").stack_size(witness::STACK_BYTES).spawn(last)?;
        Ok(witnesses)
    }

    fn run(self) {
        let mut buffer = Vec::new();
        let mut lease = LeaseWatch::default();
        loop {
            let attends = self.link.try_attend();
            // With something in the lane there is no time to sleep, but all else is looked at as well.
            let has_records = attends && !self.link.line().fall_asleep();
            let patience = if has_records { Some(Duration::ZERO) } else { self.time_left(&lease) };
            let Woken { urgent, news, lost, terminated } = self.wait(attends, patience);
            if attends {
                self.link.line().wake_up();
                buffer.resize(MAX_ENVELOPE_BYTES + 1, 0);
                self.link.attend(&mut buffer, news || has_records);
            }
            if urgent {
                self.urgent.drain();
                self.safety.heed_urgent_words();
            }
            if lost || terminated {
                self.safety.end(if lost { SafeReason::CoordinatorLost } else { SafeReason::Terminated });
                return self.end_by_force();
            }
            if lease.notice(&self.page) {
                self.safety.order(SafeReason::CoordinatorFrozen);
            }
            self.safety.look();
        }
    }

    /// Until something is to be looked at that rings no bell.
    fn time_left(&self, lease: &LeaseWatch) -> Option<Duration> {
        let until_look = self.safety.next_look().map(|at| at.saturating_duration_since(Instant::now()));
        until_look.into_iter().chain(lease.time_left(&self.page)).min()
    }

    fn wait(&self, attends: bool, time_left: Option<Duration>) -> Woken {
        let pipe = if attends { PollFlags::RDHUP | PollFlags::IN } else { PollFlags::RDHUP };
        let mut descriptors = [
            PollFd::from_borrowed_fd(self.urgent.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.link.line().as_fd(), pipe),
            PollFd::new(&self.signals.orphaned, PollFlags::IN),
            PollFd::new(&self.signals.terminate, PollFlags::IN),
            PollFd::from_borrowed_fd(self.link.attention().as_fd(), PollFlags::IN),
        ];
        match poll(&mut descriptors, time_left.map(timespec).as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Woken::default(),
            Err(error) => log::error!("the link thread cannot wait: {error}"),
        }
        let [urgent, pipe, orphaned, terminated, attention] = descriptors.map(|it| it.revents());
        if !attention.is_empty() {
            self.link.attention().drain();
        }
        let hung_up = !(pipe - PollFlags::IN).is_empty();
        Woken {
            urgent: !urgent.is_empty(),
            news: pipe.contains(PollFlags::IN),
            lost: hung_up || !orphaned.is_empty(),
            terminated: !terminated.is_empty(),
        }
    }

    /// The worker has been told; when it is stuck, the process and all it started end here.
    fn end_by_force(&self) {
        let end = Instant::now() + self.grace;
        while let Some(at) = self.safety.next_look().filter(|at| *at < end) {
            sleep_until(at);
            self.safety.look();
        }
        sleep_until(end);
        if let Err(error) = kill_process_group(getpid(), Signal::KILL) {
            log::error!("cannot end this process group: {error}");
            std::process::abort();
        }
    }
}

fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}
