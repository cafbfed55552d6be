//! Ending a rig: stop accepting, let what runs finish, drain the streams, then insist.
//!
//! That goes for the scope's handlers too: what is queued is refused, what runs is cancelled at the quit deadline.
//!
//! A manager is told to end once those whose frames it must all see have ended. What has not ended by the
//! quit deadline is terminated, and killed a second later. What cannot even be killed, because it hangs in the system,
//! is given up after its `kill_deadline_ms`, as on the ladder of those that are stuck.

use std::time::{Duration, Instant};

use log::Level;
use rustix::process::Signal;

use super::events::RigEvent;
use super::main_loop::MainLoop;
use super::process::{Phase, Process};
use crate::shm::Urgent;
use crate::supervisor::{Because, Rung};
use crate::wire::control::{self, CoordinatorWord};

/// How long a terminated manager has before it is killed, beyond the time its safe state may take.
pub(super) const AFTER_TERMINATE: Duration = Duration::from_secs(1);

/// How long a handler of the scope that is cancelled at the quit deadline may take to return.
const SCOPE_PATIENCE: Duration = Duration::from_secs(5);

/// A quit that is under way.
#[derive(Debug, Clone)]
pub(super) struct Quit {
    pub(super) reason: String,
    terminate_at: Instant,
    kill_at: Option<Instant>,
}

impl Quit {
    /// Whether a handler of the scope that still runs has had its time.
    pub(super) fn leaves_scope_behind(&self) -> bool {
        Instant::now() >= self.terminate_at + SCOPE_PATIENCE
    }
}

impl MainLoop {
    /// Begins the quit; a second request is harmless.
    pub(super) fn begin_quit(&mut self, reason: &str) {
        if self.quit.is_none() && !self.waits_before_quit(reason) {
            self.begin_quit_now(reason);
        }
    }

    pub(super) fn begin_quit_now(&mut self, reason: &str) {
        self.log.note(Level::Info, &format!("the rig quits: {reason}"));
        self.core.tell_event(|| RigEvent::Quit { reason: reason.to_owned() });
        let terminate_at = Instant::now() + self.core.blueprint.quit_deadline;
        self.quit = Some(Quit { reason: reason.to_owned(), terminate_at, kill_at: None });
        self.core.begin_quit();
        self.tell_those_that_may_end();
    }

    /// Somebody insists: what has not ended is terminated now.
    pub(super) fn hasten_quit(&mut self) {
        if let Some(quit) = &mut self.quit {
            self.log.note(Level::Warn, "told again to quit: terminating what has not ended");
            quit.terminate_at = Instant::now();
        }
    }

    /// Tells every manager to end that need not see more of what others do.
    pub(super) fn tell_those_that_may_end(&mut self) {
        let mut may_end: Vec<usize> =
            (0..self.processes.len()).filter(|index| self.may_end(*index)).collect();
        if may_end.is_empty() && !self.processes.iter().any(|process| process.phase == Phase::Stopping) {
            // Managers that wait for each other end together.
            may_end = (0..self.processes.len()).filter(|index| self.is_to_be_told(*index)).collect();
        }
        for index in may_end {
            self.tell_to_end(index);
        }
    }

    fn is_to_be_told(&self, index: usize) -> bool {
        !matches!(self.processes[index].phase, Phase::Stopping | Phase::Ended)
    }

    fn may_end(&self, index: usize) -> bool {
        let sources = self.streams.iter().filter(|stream| stream.is_lossless_for(index));
        let mut others =
            sources.map(|stream| stream.producer).chain(self.plan(index).outlives.iter().copied());
        let has_ended =
            |process: &Process| matches!(process.phase, Phase::Ended | Phase::Down) || process.is_absent;
        self.is_to_be_told(index) && others.all(|other| other == index || has_ended(&self.processes[other]))
    }

    fn tell_to_end(&mut self, index: usize) {
        let process = &mut self.processes[index];
        if !process.is_alive() {
            process.history.supervisor.quit();
            self.core.with_router(|router| router.give_up(index));
            if !process.is_being_secured() {
                process.phase = Phase::Ended;
            }
            return;
        }
        if process.kill_at.is_some() {
            // Its pipe has ended before: it hears nothing, and is on its way out by itself.
            return;
        }
        process.phase = Phase::Stopping;
        process.urge(Urgent::QUIT);
        let mut state = self.core.lock();
        state.router.stop(index);
        state.router.tell(index, control::seal(&CoordinatorWord::Quit));
        let answers = self.core.perform(&mut state);
        drop(state);
        answers.hand_over();
    }

    /// What time does to a quit: terminate, then kill.
    pub(super) fn press_quit(&mut self, now: Instant) {
        let Some(quit) = &mut self.quit else { return };
        match quit.kill_at {
            None if now >= quit.terminate_at => {
                let grace = self.core.blueprint.managers.iter().map(|plan| plan.safe_deadline).max();
                quit.kill_at = Some(now + AFTER_TERMINATE + grace.unwrap_or_default());
                self.insist(Signal::TERM, "did not end before the quit deadline");
                self.core.cancel_scope();
            }
            Some(kill_at) if now >= kill_at => {
                quit.kill_at = Some(now + AFTER_TERMINATE);
                self.insist(Signal::KILL, "had to be killed");
            }
            _ => {}
        }
    }

    fn insist(&mut self, signal: Signal, fault: &str) {
        // All are told before the first one ends: none is to take the end of another for an error.
        self.processes.iter().filter_map(|process| process.page.as_ref()).for_each(|page| page.give_up());
        for index in 0..self.processes.len() {
            // What cannot even be killed is waited for no longer.
            if !self.processes[index].is_alive() || self.processes[index].phase == Phase::Ended {
                continue;
            }
            if signal != Signal::KILL || self.is_killed_first(index) {
                self.log.line(&self.name(index), Level::Warn, fault);
            }
            self.processes[index].blame(fault);
            self.processes[index].phase = Phase::Stopping;
            self.signal(index, signal);
        }
    }

    /// From the first kill on, time is against it: the supervisor gives up what is still there when that is over.
    fn is_killed_first(&mut self, index: usize) -> bool {
        let supervisor = &mut self.processes[index].history.supervisor;
        supervisor.stuck(Because::NotEnded, Rung::Kill, Instant::now()).is_some()
    }

    /// Sends a signal to a manager's process group.
    pub(super) fn signal(&mut self, index: usize, signal: Signal) {
        if let Some(Err(error)) = self.processes[index].child.as_ref().map(|child| child.signal(signal)) {
            let name = self.name(index);
            self.log.line(&name, Level::Debug, &format!("{signal:?} did not reach it: {error}"));
        }
    }

    /// When the quit will do something by itself.
    pub(super) fn quit_deadline(&self) -> Option<Instant> {
        self.quit.as_ref().map(|quit| quit.kill_at.unwrap_or(quit.terminate_at))
    }
}
