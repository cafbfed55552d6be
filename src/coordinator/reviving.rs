//! What follows the end of a manager's process while the rig runs: its safe program, a restart, or nothing.
//!
//! The supervisor decides; here it is done. A life that fails before it has begun to work is an end like any
//! other, so that a manager which cannot come back runs out of its budget.

use std::process::ExitStatus;
use std::time::Instant;

use log::Level;

use super::launch_error::LaunchError;
use super::main_loop::MainLoop;
use super::process::{Phase, Process};
use super::router::Life;
use super::summary::Death;
use crate::config::{Rearm, RestartPolicy};
use crate::supervisor::{Because, End, Next, Rung, Step};
use crate::wire::control::{self, CoordinatorWord};

impl MainLoop {
    /// Decides what follows the end of a manager's process, and begins it.
    pub(super) fn follow_up(&mut self, index: usize, status: ExitStatus, was_told: bool) {
        let process = &self.processes[index];
        if process.is_absent {
            self.unguard(index);
            return self.try_again_if_asked(index);
        }
        let is_in_order = status.success() && process.safe_state.is_some();
        let is_unsafe = process.is_condemned || !process.has_said_safe();
        let next = match (was_told, self.quit.is_some() || self.launched.is_some()) {
            (_, true) => Next::Rest,
            (true, false) if !process.is_condemned => Next::Start,
            _ => Next::ByPolicy { is_failure: process.is_condemned || !is_in_order },
        };
        let plan = &self.core.blueprint.managers[index];
        let default = if plan.is_hazardous { Rearm::Manual } else { Rearm::Auto };
        let is_by_hand = plan.supervision.rearm.unwrap_or(default) == Rearm::Manual;
        let process = &mut self.processes[index];
        process.history.is_inactive |= is_by_hand && matches!(next, Next::ByPolicy { .. });
        process.phase = Phase::Down;
        let step = self.processes[index].history.supervisor.ended(End { is_unsafe, next }, Instant::now());
        step.into_iter().for_each(|step| self.take_step(index, step));
    }

    /// Does what the supervisor says.
    pub(super) fn take_step(&mut self, index: usize, step: Step) {
        match step {
            Step::Try(rung) => self.climb(index, rung),
            Step::Abandon => self.abandon(index),
            Step::RunSafeProgram => self.run_safe_program(index),
            Step::KillSafeProgram => self.kill_safe_program(index),
            Step::Wait { after, number } => {
                self.unguard(index);
                let again = if number > 1 { format!(" (restart {number} of late)") } else { String::new() };
                self.note_consequence(index, &format!("is started again in {after:?}{again}"));
            }
            Step::Start => self.revive(index),
            Step::Rest(why) => {
                self.unguard(index);
                self.core.with_router(|router| router.give_up(index));
                self.processes[index].phase = Phase::Ended;
                if let Some(why) = why {
                    self.note_consequence(index, &format!("is not started again: {why}"));
                    self.order_failed(index, &why.to_string());
                }
                if self.quit.is_some() {
                    self.tell_those_that_may_end();
                }
            }
        }
    }

    /// What follows a death, if there was one in this life, becomes part of its report.
    fn note_consequence(&mut self, index: usize, then: &str) {
        let process = &mut self.processes[index];
        let generation = process.generation;
        let death = process.history.deaths.last_mut().filter(|death| death.generation == generation);
        let Some(death) = death else { return };
        then.clone_into(&mut death.then);
        let (text, death) = (death.to_string(), death.clone());
        self.log.line(&death.manager, Level::Error, &text);
        self.tell_of_death(death);
    }

    /// A manager has ended though nobody asked for that: what is known of it.
    pub(super) fn death(&self, index: usize, how: String, because: Option<String>) -> Death {
        let command = self.last_command(index);
        let process = &self.processes[index];
        Death {
            manager: self.name(index),
            generation: process.generation,
            pid: process.child.as_ref().map_or(0, |child| child.pid),
            at_s: self.begun_at.elapsed().as_secs_f64(),
            how,
            because,
            command,
            was_safe: process.has_said_safe(),
            last_lines: process.last_lines(),
            safe_program: None,
            then: String::new(),
        }
    }

    /// A new life begins: everything of the last one is left behind but its history.
    pub(super) fn revive(&mut self, index: usize) {
        let core = std::sync::Arc::clone(&self.core);
        let plan = &core.blueprint.managers[index];
        let blank = Process::new(&plan.supervision, plan.safe_deadline);
        let last = std::mem::replace(&mut self.processes[index], blank);
        self.processes[index] = last.begin_life(&plan.supervision);
        let step = self.renew_streams(index).and_then(|()| self.start(index));
        let generation = self.processes[index].generation;
        match step {
            Ok(()) => {
                let name = self.name(index);
                self.log.line(&name, Level::Info, &format!("starts again, for its life {generation}"));
            }
            Err(error) => self.life_failed(index, &error),
        }
    }

    fn renew_streams(&mut self, index: usize) -> Result<(), LaunchError> {
        let plans = &self.core.blueprint.streams;
        self.streams.iter_mut().zip(plans).try_for_each(|(stream, plan)| stream.renew(index, plan))
    }

    /// The manager whose next life does not come to work for this reason; none while the rig starts.
    pub(super) fn revived_culprit(&self, error: &LaunchError) -> Option<usize> {
        let name = error.manager().filter(|_| self.launched.is_none())?;
        self.core.blueprint.managers.iter().position(|manager| manager.name.as_str() == name)
    }

    /// A new life has failed before it began to work: what runs of it is ended, and its end is one like any other.
    pub(super) fn life_failed(&mut self, index: usize, error: &LaunchError) {
        if self.processes[index].is_on_trial && self.quit.is_none() {
            return self.leave_out(index, error);
        }
        let reason = error.reason();
        if !self.processes[index].is_condemned {
            let name = self.name(index);
            self.log.line(&name, Level::Error, &reason);
        }
        self.processes[index].blame(reason.clone());
        let now = Instant::now();
        if self.processes[index].is_alive() {
            let supervisor = &mut self.processes[index].history.supervisor;
            if let Some(step) = supervisor.stuck(Because::NotEnded, Rung::Terminate, now) {
                self.take_step(index, step);
            }
            return;
        }
        let death = self.death(index, reason, None);
        self.processes[index].history.deaths.push(death);
        self.processes[index].phase = Phase::Down;
        let next = if self.quit.is_some() { Next::Rest } else { Next::ByPolicy { is_failure: true } };
        let end = End { is_unsafe: false, next };
        let step = self.processes[index].history.supervisor.ended(end, now);
        step.into_iter().for_each(|step| self.take_step(index, step));
    }

    /// Those that came back while the rig runs begin as soon as they are ready and have their streams.
    pub(super) fn begin_those_back(&mut self) {
        for index in 0..self.processes.len() {
            let is_ready = self.processes[index].phase == Phase::Prepared;
            if is_ready && self.streams.iter().all(|stream| stream.is_connected_for(index)) {
                self.begin_alone(index);
            }
        }
    }

    fn begin_alone(&mut self, index: usize) {
        self.processes[index].phase = Phase::Running;
        self.processes[index].is_on_trial = false;
        self.core.with_router(|router| {
            router.set_life(index, Life::Ready);
            router.tell(index, control::seal(&CoordinatorWord::Start));
        });
        let (name, generation) = (self.name(index), self.processes[index].generation);
        self.log.line(&name, Level::Info, &format!("is back, in its life {generation}"));
        self.restarted(index);
    }

    /// Whether a manager that ends now may be started again.
    pub(super) fn may_return(&self, index: usize) -> bool {
        let is_running = self.launched.is_none() && self.quit.is_none();
        is_running && self.plan(index).supervision.policy != RestartPolicy::Never
    }

    /// Every manager for which time has brought something.
    pub(super) fn supervise(&mut self, now: Instant) {
        for index in 0..self.processes.len() {
            let supervisor = &self.processes[index].history.supervisor;
            if supervisor.hopes().is_some() && supervisor.due().is_some_and(|due| due <= now) {
                self.look_for_recovery(index);
            }
            if let Some(step) = self.processes[index].history.supervisor.passed(now) {
                self.take_step(index, step);
            }
        }
    }
}
