//! What the guardian knows, while the coordinator lives.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::Pid;

use super::records::{Begin, MAX_RECORD_BYTES, Record, Watch};
use super::ward::Ward;
use crate::transport::{Cgroup, Pipe, PipeError};

/// How often the removal of a control group is tried, and the pause between: those in it die within moments.
const REMOVALS: usize = 250;
const PAUSE: Duration = Duration::from_millis(2);

/// How the coordinator's life has ended.
pub(super) enum Ended {
    /// It has let go of its guardian.
    Released(Notes),
    /// It is gone without a word.
    Killed(Notes),
}

/// See the module's words.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) begin: Option<Begin>,
    pub(super) coordinator: Option<OwnedFd>,
    /// Its number, by which what it has opened is known: no longer its own once it is gone.
    pub(super) coordinator_pid: Option<Pid>,
    pub(super) wards: Vec<Ward>,
    pub(super) removes: Vec<PathBuf>,
    /// The control groups of managers that are gone.
    pub(super) cgroups: Vec<Cgroup>,
    /// What could not be understood.
    pub(super) faults: Vec<String>,
}

/// Takes down what the coordinator says, until its end.
pub(super) fn take(pipe: &Pipe) -> Ended {
    let mut notes = Notes { coordinator_pid: pid_behind(pipe), ..Notes::default() };
    let mut buffer = vec![0; MAX_RECORD_BYTES];
    loop {
        match pipe.receive(&mut buffer) {
            Ok(packet) => match Record::from_bytes(&buffer[..packet.length]) {
                Ok(Record::Release) => return Ended::Released(notes),
                Ok(record) => notes.note(record, packet.descriptors),
                Err(error) => notes.faults.push(error.to_string()),
            },
            // Everything that it said has been read before it counts as gone.
            Err(PipeError::NotReady) if notes.is_coordinator_gone() => return Ended::Killed(notes),
            Err(PipeError::NotReady) => notes.sleep(pipe),
            Err(PipeError::Oversized { .. }) => notes.faults.push("a record is too long".to_owned()),
            Err(_) => return Ended::Killed(notes),
        }
    }
}

/// Who has opened the other end of a socket: who listens there, or who made the pair.
pub(super) fn pid_behind(socket: &impl AsFd) -> Option<Pid> {
    socket_peercred(socket).map(|peer| peer.pid).ok()
}

impl Notes {
    fn note(&mut self, record: Record, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        match record {
            Record::Begin(begin) => {
                self.coordinator = descriptors.next();
                self.begin = Some(begin);
            }
            Record::Watch(watch) => self.watch(watch, descriptors.next().zip(descriptors.next())),
            Record::Gone { index, generation } => self.forget(index, generation),
            Record::Remove { path } => self.removes.push(path),
            Record::Release => {}
        }
    }

    /// Each life replaces the one before it.
    fn watch(&mut self, watch: Watch, descriptors: Option<(OwnedFd, OwnedFd)>) {
        let name = watch.name.clone();
        if let Some(at) = self.wards.iter().position(|ward| ward.index() == watch.index) {
            self.put_by(at);
        }
        match descriptors.map(|(pidfd, page)| Ward::new(watch, pidfd, page)) {
            Some(Ok(ward)) => self.wards.push(ward),
            Some(Err(fault)) => self.faults.push(format!("{name}: {fault}")),
            None => self.faults.push(format!("{name}: came without its descriptors")),
        }
    }

    fn forget(&mut self, index: u16, generation: u32) {
        let gone =
            self.wards.iter().position(|ward| (ward.index(), ward.generation()) == (index, generation));
        if let Some(at) = gone {
            self.put_by(at);
        }
    }

    /// A life that needs no guard any more; of those before it, only what is not gone is kept in mind.
    fn put_by(&mut self, at: usize) {
        self.cgroups.retain(|cgroup| !cgroup.remove());
        self.cgroups.extend(self.wards.swap_remove(at).into_cgroup());
    }

    fn is_coordinator_gone(&self) -> bool {
        let Some(coordinator) = &self.coordinator else { return false };
        let mut descriptors = [PollFd::new(coordinator, PollFlags::IN)];
        matches!(poll(&mut descriptors, Some(&crate::transport::poller::timespec(Duration::ZERO))), Ok(1..))
    }

    /// Waits for its next word or its end. Its pipe may be held open by something that it has forked.
    fn sleep(&mut self, pipe: &Pipe) {
        let mut descriptors = vec![PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        descriptors.extend(self.coordinator.as_ref().map(|it| PollFd::new(it, PollFlags::IN)));
        match poll(&mut descriptors, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                self.faults.push(format!("cannot wait: {errno}"));
                thread::sleep(PAUSE);
            }
        }
    }

    /// Removes control groups that nobody is in any more, and all whose names begin so, if that is given, with some patience: the last one
    /// in them may be dying.
    pub(super) fn put_away(mut self, beginning: Option<&str>) {
        let wards = std::mem::take(&mut self.wards);
        self.cgroups.extend(wards.into_iter().filter_map(Ward::into_cgroup));
        for _ in 0..REMOVALS {
            // A coordinator that is killed while it makes one goes on until that is done. What is found after its end is all.
            let is_all = beginning.is_none() || self.coordinator.is_none() || self.is_coordinator_gone();
            self.cgroups.extend(beginning.into_iter().flat_map(Cgroup::named));
            self.cgroups.retain(|cgroup| !cgroup.remove());
            if self.cgroups.is_empty() && is_all {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}
