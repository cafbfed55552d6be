//! The first sign of a manager's death: a thread has ended that lasts as long as its process.
//!
//! The system tells of the end of a process, and closes its pipe, only when it has freed its memory: after some 20 ms
//! for 256 MB. Until then nobody would know. The end of a thread that is not the last one comes before that, and so two
//! are followed (see `manager/witness.rs`). When one has ended, all the others were told to end some microseconds before,
//! and no instruction of theirs runs any more: the page of the manager is final. What lies beyond its calls, such as
//! its next life, still waits for the end of its process.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::Pid;

use super::main_loop::{MainLoop, Source};
use crate::transport::{Interest, end_of_thread};

impl MainLoop {
    /// Begins to follow the threads that a manager has named. One that has named none is heard of later.
    pub(super) fn follow_witnesses(&mut self, index: usize) {
        for witness in self.named_witnesses(index) {
            let added = witness.and_then(|witness| {
                self.core.poller.add(&witness, Source::Witness(index).token(), Interest::Read)?;
                Ok(witness)
            });
            match added {
                Ok(witness) => self.processes[index].witnesses.push(witness),
                Err(errno) => {
                    log::debug!("the death of `{}` will be known by its process: {errno}", self.name(index));
                }
            }
        }
    }

    fn named_witnesses(&self, index: usize) -> Vec<Result<OwnedFd, Errno>> {
        let process = &self.processes[index];
        let (Some(child), Some(page), true) = (&process.child, &process.page, process.is_alive()) else {
            return Vec::new();
        };
        let number = |number: u32| Pid::from_raw(number.cast_signed()).filter(|pid| !pid.is_init());
        let Some(leader) = number(child.pid) else { return Vec::new() };
        let named = page.witnesses().into_iter().filter_map(number).filter(|thread| *thread != leader);
        named.map(|thread| end_of_thread(leader, thread)).collect()
    }

    /// A manager's process is ending: what it still said is heard, and whoever waits for it is told.
    pub(super) fn heed_witness(&mut self, index: usize) {
        self.forget_witnesses(index);
        self.hear_last_words(index);
        let is_connected = self.core.lock().peers[index].line.is_some();
        if is_connected {
            self.cut_off(index, "its process is ending", true);
        }
    }

    /// Its threads are followed no longer.
    pub(super) fn forget_witnesses(&mut self, index: usize) {
        for witness in std::mem::take(&mut self.processes[index].witnesses) {
            if let Err(errno) = self.core.poller.remove(&witness) {
                log::error!("a thread cannot be taken from the poller: {errno}");
            }
        }
    }
}
