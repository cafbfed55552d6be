//! The coordinator's side of its guardian: started before the managers, told of each, let go at the end.
//!
//! The guardian is there for the case that this process is killed. A rig whose guardian is gone quits in good order, and
//! the run counts as unclean: what was promised for that case could not be kept any more.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::Level;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, Signal, getpid, pidfd_open};

use super::core::Core;
use super::drawing;
use super::launch_error::LaunchError;
use super::main_loop::{MainLoop, Source};
use super::process::describe_exit;
use crate::config::RigPlan;
use crate::guardian::{Begin, Record, RecordError, SafeCommand, Watch};
use crate::transport::poller::timespec;
use crate::transport::{Child, ChildProcess, Interest, Pipe, PipeError, this_program_plays_managers};

/// How much longer than its safe deadline a manager is given when the coordinator was killed.
const GRACE: Duration = Duration::from_millis(100);
/// How long a guardian that was let go may take to end before it is killed.
const LEAVE: Duration = Duration::from_secs(2);

/// A guardian that runs, and what it is still to be told.
pub(super) struct Guarding {
    process: ChildProcess,
    /// None once it was let go.
    pipe: Option<Pipe>,
    /// What did not fit into its pipe, oldest first.
    backlog: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
}

/// A guardian that is being started, while the rig's folders and memory are made.
pub(super) struct Starting(Option<JoinHandle<Result<Guarding, LaunchError>>>);

/// Begins to start the guardian of a rig; none for a rig without managers.
pub(super) fn start(plan: &RigPlan) -> Result<Option<Starting>, LaunchError> {
    let Some(manager) = plan.managers.first() else { return Ok(None) };
    let child = child_like(drawing::child_of(manager));
    let start = move || {
        let (pipe, process) = child.spawn_guardian().map_err(LaunchError::Guardian)?;
        Ok(Guarding { process, pipe: Some(pipe), backlog: VecDeque::new() })
    };
    let thread = thread::Builder::new().name("labrig-guarding".to_owned()).spawn(start);
    thread.map(|thread| Some(Starting(Some(thread)))).map_err(LaunchError::System)
}

impl Starting {
    /// Waits until it is there, tells it what it guards, and puts it under watch. `litter` is to be removed should this
    /// process be killed.
    pub(super) fn finish(
        mut self,
        core: &Core,
        litter: impl Iterator<Item = PathBuf>,
    ) -> Result<Guarding, LaunchError> {
        let mut guarding = self.join()?;
        let blueprint = &core.blueprint;
        let run_dir = std::path::absolute(&blueprint.run_dir).map_err(LaunchError::System)?;
        let mark = format!("{}.", blueprint.mark);
        let begin = Begin { grace: GRACE, mark, log: run_dir.join("guardian.log") };
        let own = pidfd_open(getpid(), PidfdFlags::empty());
        let own = own.map_err(|errno| LaunchError::System(errno.into()))?;
        guarding.tell(&Record::Begin(begin), vec![own]).map_err(LaunchError::GuardianRecord)?;
        for path in litter {
            guarding.remove_when_killed(&path)?;
        }
        let added = core.poller.add(&guarding.process.pidfd, Source::Guardian.token(), Interest::Read);
        added.map_err(|errno| LaunchError::System(errno.into()))?;
        Ok(guarding)
    }

    fn join(&mut self) -> Result<Guarding, LaunchError> {
        let thread = self.0.take().expect("it is waited for once, here or when it is dropped");
        thread.join().expect("starting a guardian does not panic")
    }
}

/// A start that has failed meanwhile leaves no guardian behind.
impl Drop for Starting {
    fn drop(&mut self) {
        if self.0.is_some() {
            drop(self.join());
        }
    }
}

/// This program, unless it is one, such as a test's harness, that cannot play a guardian: then that of a manager.
fn child_like(manager: Child) -> Child {
    let like = if this_program_plays_managers() { Child::default() } else { manager };
    let label = "labrig:guardian".to_owned();
    Child { label, working_dir: None, nice: None, cpus: Vec::new(), mark: None, ..like }
}

impl Guarding {
    /// Something that is to be removed when this process was killed: a file, or a folder with all that is in it.
    pub(super) fn remove_when_killed(&mut self, path: &Path) -> Result<(), LaunchError> {
        self.tell(&Record::Remove { path: path.to_owned() }, Vec::new()).map_err(LaunchError::GuardianRecord)
    }

    /// What does not fit into its pipe now is told with the next word: a frozen guardian freezes nobody.
    fn tell(&mut self, record: &Record, descriptors: Vec<OwnedFd>) -> Result<(), RecordError> {
        self.backlog.push_back((record.to_bytes()?, descriptors));
        self.flush();
        Ok(())
    }

    /// Tells it what is still to be told, as far as that fits.
    fn flush(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        while let Some((bytes, descriptors)) = self.backlog.front() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match pipe.send_with(bytes, &borrowed) {
                Ok(()) => drop(self.backlog.pop_front()),
                Err(PipeError::NotReady) => return,
                // It is gone, which its pidfd tells too.
                Err(error) => {
                    log::debug!("the guardian hears nothing: {error}");
                    return self.backlog.clear();
                }
            }
        }
    }

    /// The rig has ended in good order, or was never started: there is nothing to guard.
    pub(super) fn release(mut self) {
        self.let_go();
    }

    fn let_go(&mut self) {
        if self.pipe.is_none() {
            return;
        }
        // Without that word it would take the end of its pipe for the end of its coordinator; there is no manager
        // left to be seen to, so that nothing comes of it.
        if let Err(error) = self.tell(&Record::Release, Vec::new()) {
            log::error!("the guardian cannot be told that it is let go: {error}");
        }
        self.pipe = None;
        let mut descriptors = [PollFd::new(&self.process.pidfd, PollFlags::IN)];
        if !matches!(poll(&mut descriptors, Some(&timespec(LEAVE))), Ok(1..)) {
            log::warn!("the guardian was let go and does not leave; it is killed");
            // One that has left meanwhile is as good.
            let _ = self.process.signal(Signal::KILL);
        }
        if let Err(error) = self.process.wait() {
            log::error!("the end of the guardian cannot be read: {error}");
        }
    }
}

/// A start that has failed before there was anything to guard. When this process panics, the guardian sees to the rest.
impl Drop for Guarding {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.let_go();
        }
    }
}

impl MainLoop {
    /// The guardian is told of a manager's new life; call it once its process is there, for each life.
    pub(super) fn guard(&mut self, index: usize) -> Result<(), LaunchError> {
        let plan = &self.core.blueprint.managers[index];
        let process = &self.processes[index];
        let Some(guarding) = &mut self.guarding else { return Ok(()) };
        let Some((child, page)) = process.child.as_ref().zip(process.page.as_ref()) else { return Ok(()) };
        let safe_program = plan.supervision.safe_program.as_ref().map(|it| SafeCommand {
            program: it.program.clone(),
            args: it.args.clone(),
            deadline: it.deadline,
            // As its manager, wherever that matters to it.
            working_dir: plan.child.working_dir.clone().unwrap_or_default(),
            library_path: plan.child.library_path.clone(),
            env: plan.child.env.clone().into_iter().collect(),
            env_remove: plan.child.env_remove.clone(),
        });
        let watch = Watch {
            index: index as u16,
            generation: page.generation() as u32,
            safe_deadline: plan.safe_deadline,
            group: child.pid,
            name: plan.name.to_string(),
            mark: child.offspring.mark().unwrap_or_default().to_owned(),
            cgroup: child.offspring.cgroup().map(Path::to_owned).unwrap_or_default(),
            safe_program,
        };
        let double = |descriptor: std::os::fd::BorrowedFd<'_>| descriptor.try_clone_to_owned();
        let descriptors = [double(child.pidfd.as_fd()), double(page.fd())];
        let descriptors = descriptors.into_iter().collect::<Result<_, _>>().map_err(LaunchError::System)?;
        guarding.tell(&Record::Watch(watch), descriptors).map_err(LaunchError::GuardianRecord)
    }

    /// The guardian need not see to that life of a manager any more: its process has ended with everything that it
    /// has started, and it was safe, or its `safe_program` has run.
    pub(super) fn unguard(&mut self, index: usize) {
        let generation = self.processes[index].page.as_ref().map_or(0, |page| page.generation() as u32);
        let Some(guarding) = &mut self.guarding else { return };
        if let Err(error) = guarding.tell(&Record::Gone { index: index as u16, generation }, Vec::new()) {
            log::error!("the guardian cannot be told that a manager is gone: {error}");
        }
    }

    /// The guardian has ended, although it was not let go.
    pub(super) fn lose_guardian(&mut self) {
        let Some(mut guarding) = self.guarding.take() else { return };
        if let Err(errno) = self.core.poller.remove(guarding.process.pidfd.as_fd()) {
            log::error!("the guardian cannot be taken from the poller: {errno}");
        }
        guarding.pipe = None;
        let how = match guarding.process.wait() {
            Ok(status) => describe_exit(status),
            Err(error) => error.to_string(),
        };
        let fault = format!("the guardian is gone: {how}");
        self.log.note(Level::Error, &fault);
        self.faults.push(fault);
        self.begin_quit("the guardian is gone");
    }
}
