//! The thread that notices what the worker must not sleep through.
//!
//! It waits for the end of the pipe (the coordinator is gone), the urgent doorbell and signals. It wakes the
//! worker, and tells it of commands that are cancelled; a worker that does not end within the time its safe state may take is ended by force, because
//! nobody else is left who could.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process_group, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGTERM};

use super::cancels::Cancels;
use super::link::Link;
use crate::shm::{Doorbell, Urgent};
use crate::wire::control::ManagerWord;
use crate::wire::{MAX_ENVELOPE_BYTES, SafeReason};

/// Why the worker is to end; noticed by the link thread, read by the worker.
#[derive(Default)]
pub(super) struct Notice(AtomicU8);

impl Notice {
    fn set(&self, reason: SafeReason) {
        self.0.fetch_max(reason.code() as u8, Ordering::AcqRel);
    }

    pub(super) fn get(&self) -> Option<SafeReason> {
        SafeReason::of_code(u64::from(self.0.load(Ordering::Acquire)))
    }
}

/// What the thread needs.
pub(super) struct LinkThread {
    pub(super) link: Arc<Link>,
    pub(super) urgent: Doorbell,
    pub(super) notice: Arc<Notice>,
    pub(super) cancels: Arc<Cancels>,
    /// How long the worker may take to enter its safe state and end.
    pub(super) grace: Duration,
    pub(super) signals: Signals,
}

/// Signals as something to read.
pub(super) struct Signals {
    /// Somebody wants this process to end.
    terminate: UnixStream,
    /// The thread that started this process has ended, and with it the coordinator.
    orphaned: UnixStream,
}

/// What the thread was woken by.
#[derive(Default)]
struct Woken {
    urgent: bool,
    news: bool,
    lost: bool,
    terminated: bool,
}

/// Makes signals readable. A second notice of the coordinator's death, besides the end of the pipe, comes
/// the same way: the signal is one that can be caught, so that the safe state is still entered.
pub(super) fn catch_signals() -> std::io::Result<Signals> {
    let (terminate, write) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGTERM, write)?;
    let (orphaned, write) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGHUP, write)?;
    // A coordinator that died before this line is noticed by the end of its pipe.
    set_parent_process_death_signal(Some(Signal::HUP))?;
    Ok(Signals { terminate, orphaned })
}

impl LinkThread {
    pub(super) fn start(self) -> std::io::Result<()> {
        thread::Builder::new().name("labrig-link".to_owned()).spawn(move || self.run())?;
        Ok(())
    }

    fn run(self) {
        let mut buffer = Vec::new();
        loop {
            let attends = self.link.try_attend();
            let Woken { urgent, news, lost, terminated } = self.wait(attends);
            if attends {
                buffer.resize(MAX_ENVELOPE_BYTES + 1, 0);
                self.link.attend(&mut buffer, news);
            }
            if urgent {
                self.heed_urgent_words();
            }
            if lost || terminated {
                self.notice.set(if lost { SafeReason::CoordinatorLost } else { SafeReason::Terminated });
                self.link.desk().cancel_all();
                self.link.wake_worker();
                return self.end_by_force();
            }
        }
    }

    fn heed_urgent_words(&self) {
        self.urgent.drain();
        let words = self.cancels.take_urgent();
        if words.contains(Urgent::QUIT) {
            self.notice.set(SafeReason::Quit);
            self.link.wake_worker();
        }
        if words.contains(Urgent::CANCEL) {
            self.link.wake_worker();
        }
        if words.contains(Urgent::MORE_CANCELS) {
            self.link.tell(&ManagerWord::CancelsTaken);
        }
    }

    fn wait(&self, attends: bool) -> Woken {
        let pipe = if attends { PollFlags::RDHUP | PollFlags::IN } else { PollFlags::RDHUP };
        let mut descriptors = [
            PollFd::from_borrowed_fd(self.urgent.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.link.pipe().as_fd(), pipe),
            PollFd::new(&self.signals.orphaned, PollFlags::IN),
            PollFd::new(&self.signals.terminate, PollFlags::IN),
            PollFd::from_borrowed_fd(self.link.attention().as_fd(), PollFlags::IN),
        ];
        match poll(&mut descriptors, None) {
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
        thread::sleep(self.grace);
        if let Err(error) = kill_process_group(getpid(), Signal::KILL) {
            log::error!("cannot end this process group: {error}");
            std::process::abort();
        }
    }
}
