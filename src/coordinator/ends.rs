//! The end of a manager's process: what it still said is heard, then everything of it is put away.

use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::time::Instant;

use log::Level;

use super::events::RigEvent;
use super::launch_error::LaunchError;
use super::listening::too_fast;
use super::main_loop::MainLoop;
use super::outputs::Lines;
use super::process::{Phase, describe_exit};
use super::summary::Death;
use crate::wire::CommandId;

/// How many packets of a dead manager are read: more than a pipe holds, unless what it started goes on writing.
const LAST_PACKETS: usize = 4096;
/// How many times the outputs of a dead manager are read: what it started may go on printing.
const LAST_READS: usize = 64;

impl MainLoop {
    /// A manager's process has ended: what it still said is heard, then everything of it is put away.
    pub(super) fn bury(&mut self, index: usize) {
        // Whoever waits for it is told first: to look for what it has let go takes longer.
        self.hear_last_words(index);
        self.disconnect(index);
        let Some(child) = self.processes[index].child.as_mut() else { return };
        // While it is not reaped, its number still names its process group: what it started ends with it.
        let strays = child.offspring.kill_everything().len();
        let status = match child.try_wait() {
            Ok(Some(status)) => status,
            Ok(None) => return,
            Err(error) => {
                log::error!("the end of `{}` cannot be read: {error}", self.name(index));
                return;
            }
        };
        if strays > 0 {
            let name = self.name(index);
            self.log.line(&name, Level::Warn, &format!("{strays} processes that it had let go were killed"));
        }
        self.drain_outputs(index);
        self.unwatch(index);
        self.streams.iter().for_each(|stream| stream.gone(index));
        self.signal_lives[index].ended();
        let was_starting = (self.launched.is_some() || self.processes[index].is_on_trial)
            && (self.processes[index].is_starting() || self.processes[index].phase == Phase::Prepared);
        let was_told = self.processes[index].phase == Phase::Stopping;
        let process = &mut self.processes[index];
        process.exit = Some(status);
        if process.phase == Phase::Ended {
            // It was given up before.
            return;
        }
        process.phase = Phase::Ended;
        process.ended_at = Some(Instant::now());
        if was_starting && self.quit.is_none() {
            // Decided before its end is reported: what is optional has not failed, it is absent.
            let (manager, last_lines) = (self.name(index), self.processes[index].last_lines());
            self.fail(LaunchError::Died { manager, how: describe_exit(status), last_lines });
        }
        self.report_end(index, status, was_told);
        self.follow_up(index, status, was_told);
        if self.quit.is_some() {
            self.tell_those_that_may_end();
        }
    }

    /// Hears what a manager that is dead has said, however much that is.
    pub(super) fn hear_last_words(&mut self, index: usize) {
        let mut state = self.core.lock();
        state.peers[index].throttled_until = None;
        state.peers[index].bucket = None;
        drop(state);
        self.read_line(index, LAST_PACKETS);
    }

    pub(super) fn report_end(&mut self, index: usize, status: ExitStatus, was_told: bool) {
        let name = self.name(index);
        let how = describe_exit(status);
        if self.processes[index].is_absent {
            return self.log.line(&name, Level::Debug, &format!("what was left of it has ended: {how}"));
        }
        if !was_told || self.processes[index].is_condemned {
            let death = self.death(index, how, self.processes[index].fault.clone());
            self.tell_death(index, &death);
            self.processes[index].blame(death.in_short());
            if self.launched.is_none() {
                self.processes[index].history.deaths.push(death);
            }
        } else if self.processes[index].safe_state.is_none() {
            self.processes[index].blame(format!("ended with {how} without a word that it is safe"));
        } else if !status.success() {
            self.processes[index].blame(format!("ended with {how}"));
        }
        match self.processes[index].fault.clone() {
            None => self.log.line(&name, Level::Debug, "ended in its safe state"),
            Some(fault) => {
                self.log.line(&name, Level::Error, &fault);
                self.core.tell_event(|| RigEvent::Fault { manager: Some(index), text: fault });
            }
        }
    }

    fn tell_death(&self, index: usize, death: &Death) {
        self.core.tell_event(|| RigEvent::Death {
            manager: index,
            generation: death.generation,
            pid: death.pid,
            how: death.how.clone(),
            at: death.command.clone().unwrap_or_default(),
            last_lines: death.last_lines.clone(),
        });
    }

    /// The command a manager was at when it ended.
    pub(super) fn last_command(&self, index: usize) -> Option<String> {
        let activity = self.processes[index].page.as_ref().map(|page| page.activity())?;
        if activity.taken == activity.done {
            return None;
        }
        let id = CommandId(activity.current_command);
        let route = self.core.blueprint.routes.get(&id);
        Some(route.map_or_else(|| id.to_string(), |route| route.name.clone()))
    }

    pub(super) fn unwatch(&mut self, index: usize) {
        self.forget_witnesses(index);
        let Some(child) = &self.processes[index].child else { return };
        if let Err(errno) = self.core.poller.remove(child.pidfd.as_fd()) {
            log::error!("a process cannot be taken from the poller: {errno}");
        }
    }

    // --- outputs ---

    pub(super) fn read_stdout(&mut self, index: usize) {
        let Some(output) = &mut self.processes[index].stdout else { return };
        let lines = output.read();
        let is_end = lines.is_end;
        self.note_lines(index, lines);
        if is_end && let Some(output) = self.processes[index].stdout.take() {
            self.close_output(output.source());
        }
    }

    pub(super) fn read_stderr(&mut self, index: usize) {
        let Some(output) = &mut self.processes[index].stderr else { return };
        let lines = output.read();
        let is_end = lines.is_end;
        self.note_lines(index, lines);
        if is_end && let Some(output) = self.processes[index].stderr.take() {
            self.close_output(output.source());
        }
    }

    pub(super) fn close_output(&self, source: impl AsFd) {
        if let Err(errno) = self.core.poller.remove(source) {
            log::error!("an output cannot be taken from the poller: {errno}");
        }
    }

    pub(super) fn note_lines(&mut self, index: usize, lines: Lines) {
        let name = self.name(index);
        for line in &lines.lines {
            self.processes[index].keep_line(line);
            self.log.line(&name, Level::Info, line);
        }
        if lines.dropped > 0 {
            self.log.line(&name, Level::Warn, &too_fast(lines.dropped, "lines that it printed"));
        }
    }

    /// Reads what a dead manager has printed. Something it started may hold its outputs open: no waiting.
    pub(super) fn drain_outputs(&mut self, index: usize) {
        for _ in 0..LAST_READS {
            let before = self.processes[index].last_lines();
            self.read_stdout(index);
            self.read_stderr(index);
            let process = &self.processes[index];
            if (process.stdout.is_none() && process.stderr.is_none()) || process.last_lines() == before {
                break;
            }
        }
        if let Some(output) = self.processes[index].stdout.take() {
            self.close_output(output.source());
        }
        if let Some(output) = self.processes[index].stderr.take() {
            self.close_output(output.source());
        }
        let dropped = self.processes[index].records.take_dropped();
        if dropped > 0 {
            let name = self.name(index);
            self.log.line(&name, Level::Warn, &too_fast(dropped, "log records"));
        }
    }
}
