//! One manager that the guardian sees to, from the coordinator's end to its own.
//!
//! It is given its time; killed with everything that it has started; and when it did not become safe, its
//! `safe_program` is run. Nothing here waits: whoever owns a ward waits for its descriptor and its time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::last_log::LastLog;
use super::records::{SafeCommand, Watch};
use crate::shm::StatusPage;
use crate::transport::{Cgroup, Child, Offspring};

/// How long a killed process may take to be gone; the system frees its memory first.
const DYING: Duration = Duration::from_secs(2);

/// See the module's words.
pub(super) struct Ward {
    watch: Watch,
    pidfd: OwnedFd,
    page: StatusPage,
    offspring: Offspring,
    stage: Stage,
}

/// How far it has come.
enum Stage {
    /// The coordinator lives.
    Guarded,
    /// It may become safe and end by itself until then.
    Ending { until: Instant },
    /// It was killed.
    Dying { until: Instant },
    /// Its safe program runs.
    Rescue { child: process::Child, pidfd: OwnedFd, until: Instant },
    /// There is nothing left to do for it.
    Done,
}

impl Ward {
    pub(super) fn new(watch: Watch, pidfd: OwnedFd, page: OwnedFd) -> Result<Self, String> {
        let page = StatusPage::map(page).map_err(|error| error.to_string())?;
        let group =
            i32::try_from(watch.group).ok().and_then(Pid::from_raw).ok_or("it has no process group")?;
        let cgroup = (!watch.cgroup.as_os_str().is_empty()).then(|| Cgroup::at(watch.cgroup.clone()));
        let offspring = Offspring::new(group, Some(watch.mark.clone()), cgroup);
        Ok(Self { watch, pidfd, page, offspring, stage: Stage::Guarded })
    }

    pub(super) fn index(&self) -> u16 {
        self.watch.index
    }

    pub(super) fn generation(&self) -> u32 {
        self.watch.generation
    }

    pub(super) fn into_cgroup(self) -> Option<Cgroup> {
        self.offspring.into_cgroup()
    }

    /// The coordinator is gone: its time runs. One that was stopped goes on, so that it can become safe.
    pub(super) fn begin(&mut self, now: Instant, grace: Duration) {
        // One that has ended already is not there to go on.
        let _ = self.offspring.signal(Signal::CONT);
        self.stage = Stage::Ending { until: now + self.watch.safe_deadline + grace };
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// What becomes readable when there is something to do.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.stage {
            Stage::Rescue { pidfd, .. } => pidfd.as_fd(),
            _ => self.pidfd.as_fd(),
        }
    }

    /// When there is something to do in any case.
    pub(super) fn until(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Ending { until } | Stage::Dying { until } | Stage::Rescue { until, .. } => Some(*until),
            Stage::Guarded | Stage::Done => None,
        }
    }

    /// Its descriptor is readable.
    pub(super) fn ended(&mut self, log: &mut LastLog) {
        if let Stage::Rescue { child, .. } = &mut self.stage {
            let how = match child.wait() {
                Ok(status) => format!("its safe program ended with {status}"),
                Err(error) => format!("the end of its safe program cannot be read: {error}"),
            };
            self.note(log, &how);
            self.stage = Stage::Done;
            return;
        }
        // What a manager has forked may be using the device.
        let strays = self.offspring.kill_everything().len();
        if strays > 0 {
            self.note(log, &format!("{strays} processes that it had let go were killed"));
        }
        let end = if self.has_made_it() { "ended in its safe state" } else { "ended without being safe" };
        self.note(log, end);
        self.rescue(log);
    }

    /// Its time is over.
    pub(super) fn expired(&mut self, now: Instant, log: &mut LastLog) {
        match &mut self.stage {
            Stage::Ending { .. } => {
                self.note(log, "has not ended within its safe deadline, and is killed");
                self.offspring.kill_everything();
                self.stage = Stage::Dying { until: now + DYING };
            }
            Stage::Dying { .. } => {
                self.note(log, "cannot be killed");
                self.rescue(log);
            }
            Stage::Rescue { child, .. } => {
                let pid = Pid::from_child(child);
                Offspring::new(pid, None, None).kill_everything();
                // It was killed: this is no long wait, unless it hangs in the kernel, where nobody can help.
                let _ = child.wait();
                self.note(log, "its safe program took too long, and was killed");
                self.stage = Stage::Done;
            }
            Stage::Guarded | Stage::Done => {}
        }
    }

    /// Whether it was safe when it ended, as it has said, and its worker was at nothing any more. One that hangs may
    /// have counted as safe before, because nothing hazardous was asked of it; nobody knows what it is at.
    fn has_made_it(&self) -> bool {
        self.page.is_safe() && self.page.activity().busy_since_ns.is_none()
    }

    /// Runs the safe program, if there is one and it is needed.
    fn rescue(&mut self, log: &mut LastLog) {
        self.stage = Stage::Done;
        let Some(command) = self.watch.safe_program.as_ref().filter(|_| !self.has_made_it()) else { return };
        match start(command, &self.watch, log) {
            Ok((child, pidfd)) => {
                self.stage = Stage::Rescue { child, pidfd, until: Instant::now() + command.deadline };
                self.note(log, "its safe program runs");
            }
            Err(error) => {
                let program = command.program.display();
                self.note(log, &format!("its safe program `{program}` cannot be run: {error}"));
            }
        }
    }

    fn note(&self, log: &mut LastLog, text: &str) {
        log.line(&format!("{}: {text}", self.watch.name));
    }
}

/// What it prints goes into the log. It bears its manager's mark: what it leaves behind is ended too.
fn start(command: &SafeCommand, watch: &Watch, log: &LastLog) -> io::Result<(process::Child, OwnedFd)> {
    let output = || log.double().map_or_else(Stdio::null, Stdio::from);
    let manager = Child {
        env: command.env.iter().cloned().collect(),
        env_remove: command.env_remove.clone(),
        library_path: command.library_path.clone(),
        working_dir: Some(command.working_dir.clone()).filter(|folder| !folder.as_os_str().is_empty()),
        mark: Some(watch.mark.clone()),
        ..Child::default()
    };
    let mut program = manager.surrounded(&command.program);
    let mut child =
        program.args(&command.args).stdin(Stdio::null()).stdout(output()).stderr(output()).spawn()?;
    match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(pidfd) => Ok((child, pidfd)),
        Err(errno) => {
            child.wait()?;
            Err(errno.into())
        }
    }
}
