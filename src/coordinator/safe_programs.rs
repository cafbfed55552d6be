//! Safe programs: the last resort when a manager is gone and has not said that its hardware is safe.
//!
//! Each has its deadline, and is killed with all of its group when it is late. What it prints goes into the log
//! under the manager's name.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{self, ChildStderr, ChildStdout, Stdio};
use std::time::Instant;

use log::Level;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::main_loop::{MainLoop, Source};
use super::outputs::{Lines, Output};
use super::process::describe_exit;
use crate::config::SafeProgram;
use crate::transport::{Child, Interest, Poller};

/// How many times the outputs of one that has ended are read: what it started may go on printing.
const LAST_READS: usize = 64;

/// One that runs.
pub(super) struct Securing {
    child: process::Child,
    pidfd: OwnedFd,
    /// What it prints, until that ends; a closed descriptor is watched no more.
    stdout: Option<Output<ChildStdout>>,
    stderr: Option<Output<ChildStderr>>,
    begun_at: Instant,
    is_late: bool,
}

impl Securing {
    fn start(plan: &SafeProgram, manager: &Child) -> io::Result<Self> {
        // It bears its manager's mark: should this process be killed, the guardian ends it, and begins anew.
        let mut command = manager.surrounded(&plan.program);
        command.args(&plan.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let (stdout, stderr) =
            child.stdout.take().zip(child.stderr.take()).expect("both outputs were asked for as pipes");
        rustix::io::ioctl_fionbio(&stdout, true)?;
        rustix::io::ioctl_fionbio(&stderr, true)?;
        let (stdout, stderr) = (Some(Output::new(stdout)), Some(Output::new(stderr)));
        Ok(Self { child, pidfd, stdout, stderr, begun_at: Instant::now(), is_late: false })
    }

    fn watch(&self, index: usize, poller: &Poller) -> io::Result<()> {
        poller.add(&self.pidfd, Source::SafeProgram(index).token(), Interest::Read)?;
        let token = Source::SafeOutput(index).token();
        self.stdout.iter().try_for_each(|out| poller.add(out.source(), token, Interest::Read))?;
        self.stderr.iter().try_for_each(|err| poller.add(err.source(), token, Interest::Read))?;
        Ok(())
    }

    fn kill(&self) {
        if let Err(error) = kill_process_group(Pid::from_child(&self.child), Signal::KILL) {
            log::debug!("a safe program was gone before it was killed: {error}");
        }
    }
}

impl MainLoop {
    /// Starts the safe program of a manager whose process is gone, or cannot even be killed.
    pub(super) fn run_safe_program(&mut self, index: usize) {
        let core = std::sync::Arc::clone(&self.core);
        let manager = &core.blueprint.managers[index];
        let Some(plan) = &manager.supervision.safe_program else { return self.secured(index) };
        let shown = plan.program.display().to_string();
        let started = Securing::start(plan, &manager.child).and_then(|securing| {
            securing.watch(index, &core.poller)?;
            Ok(securing)
        });
        match started {
            Ok(securing) => {
                self.log.line(
                    manager.name.as_str(),
                    Level::Warn,
                    &format!("its safe program `{shown}` runs"),
                );
                self.processes[index].safe_program = Some(securing);
            }
            Err(error) => {
                self.end_of_safe_program(index, &format!("`{shown}` could not be started: {error}"), false);
                self.secured(index);
            }
        }
    }

    /// A safe program is late.
    pub(super) fn kill_safe_program(&mut self, index: usize) {
        if let Some(securing) = &mut self.processes[index].safe_program {
            securing.is_late = true;
            securing.kill();
        }
    }

    /// A safe program has printed something.
    pub(super) fn read_safe_program(&mut self, index: usize) {
        let Some(securing) = &mut self.processes[index].safe_program else { return };
        let lines = [read(&mut securing.stdout), read(&mut securing.stderr)];
        lines.into_iter().flatten().for_each(|lines| self.note_safe_lines(index, lines));
    }

    fn note_safe_lines(&mut self, index: usize, lines: Lines) {
        let name = self.name(index);
        lines
            .lines
            .iter()
            .for_each(|line| self.log.line(&name, Level::Info, &format!("safe program: {line}")));
        if lines.dropped > 0 {
            let text = format!("safe program: {} lines were dropped: it prints too fast", lines.dropped);
            self.log.line(&name, Level::Warn, &text);
        }
    }

    /// A safe program has ended: what it started ends with it, and what it printed is read without waiting.
    pub(super) fn bury_safe_program(&mut self, index: usize) {
        let Some(securing) = &mut self.processes[index].safe_program else { return };
        // While it is not reaped, its number still names its group.
        securing.kill();
        let status = match securing.child.try_wait() {
            Ok(Some(status)) => status,
            Ok(None) => return,
            Err(error) => return log::error!("the end of a safe program cannot be read: {error}"),
        };
        let (took, is_late) = (securing.begun_at.elapsed(), securing.is_late);
        (0..LAST_READS).for_each(|_| self.read_safe_program(index));
        self.processes[index].safe_program = None;
        let how = match is_late {
            true => format!("was killed after {took:.0?}: it was late"),
            false => format!("ended with {} after {took:.0?}", describe_exit(status)),
        };
        self.end_of_safe_program(index, &how, status.success() && !is_late);
        self.secured(index);
    }

    fn end_of_safe_program(&mut self, index: usize, how: &str, is_success: bool) {
        let name = self.name(index);
        if is_success {
            self.log.line(&name, Level::Warn, &format!("its safe program {how}"));
        } else {
            self.note_loss(&name, "safe state", &format!("its safe program {how}"));
        }
        let process = &mut self.processes[index];
        let generation = process.generation;
        let death = process.history.deaths.last_mut().filter(|death| death.generation == generation);
        if let Some(death) = death {
            death.safe_program = Some(how.to_owned());
        }
    }

    fn secured(&mut self, index: usize) {
        if let Some(step) = self.processes[index].history.supervisor.secured(Instant::now()) {
            self.take_step(index, step);
        }
    }
}

/// Reads what there is, and lets go of an output that has ended.
fn read<R: io::Read>(output: &mut Option<Output<R>>) -> Option<Lines> {
    let lines = output.as_mut()?.read();
    if lines.is_end {
        *output = None;
    }
    Some(lines)
}
