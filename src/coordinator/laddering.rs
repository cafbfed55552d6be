//! What is done with a manager that hangs, rung by rung; the supervisor says which, and when.

use std::time::Instant;

use log::Level;
use rustix::process::Signal;

use super::core::CoreState;
use super::events::RigEvent;
use super::hooks::FailureReport;
use super::launch_error::LaunchError;
use super::main_loop::MainLoop;
use super::process::Phase;
use crate::registry::Step;
use crate::supervisor::{Because, Look, Rung, Watch};
use crate::transport::standing;
use crate::wire::SafeReason;

/// What is said of one that cannot even be killed.
pub(super) const STILL_THERE: &str = "was killed, and its process is still there";

impl MainLoop {
    /// A manager hangs: the ladder begins, unless it is on it already.
    pub(super) fn hangs(&mut self, index: usize, because: Because, first: Rung) {
        let Some(step) = self.processes[index].history.supervisor.stuck(because, first, Instant::now())
        else {
            return;
        };
        self.note_stuck(index, &because);
        self.take_step(index, step);
    }

    fn note_stuck(&mut self, index: usize, because: &Because) {
        let name = self.name(index);
        let step = match because {
            Because::Overdue { activity, .. } => {
                Step::of_code(activity.step).map(|step| format!(", at {step}"))
            }
            _ => None,
        };
        let at = self.last_command(index).map(|command| format!(", at `{command}`"));
        let at = step.or(at).unwrap_or_default();
        let what = format!("is stuck: {because}{at}");
        self.log.line(&name, Level::Error, &what);
        let generation = self.processes[index].generation;
        self.core.tell_event(|| RigEvent::Fault { manager: Some(index), text: what.clone() });
        self.tell_of_failure(FailureReport { manager: name, generation, what, death: None });
    }

    /// Does what a rung says.
    pub(super) fn climb(&mut self, index: usize, rung: Rung) {
        let name = self.name(index);
        self.log.line(&name, Level::Warn, &format!("is stuck, and is tried with: {rung}"));
        match rung {
            Rung::Cancel => self.cancel_what_it_is_at(index),
            Rung::Safe => self.order_safe_state(index),
            Rung::Terminate => {
                self.condemn(index);
                self.signal(index, Signal::TERM);
            }
            Rung::Kill => {
                self.condemn(index);
                self.kill(index);
            }
        }
    }

    /// Kills its process, and everything that it has started.
    pub(super) fn kill(&mut self, index: usize) {
        if let Some(child) = self.processes[index].child.as_ref().filter(|_| self.processes[index].is_alive())
        {
            // What had to be looked for is looked for again when the process has ended.
            drop(child.offspring.kill_everything());
        }
    }

    /// When it is at nothing that can be cancelled, the next rung needs no waiting.
    fn cancel_what_it_is_at(&mut self, index: usize) {
        let activity = self.processes[index].page.as_ref().map(|page| page.activity());
        let at = activity.filter(|it| it.taken > it.done).map(|it| it.taken);
        let was_told = at.is_some_and(|at| self.core.with_router(|router| router.cancel_at(index, at)));
        if !was_told && let Some(step) = self.processes[index].history.supervisor.climb(Instant::now()) {
            self.take_step(index, step);
        }
    }

    fn order_safe_state(&mut self, index: usize) {
        let mut state = self.core.lock();
        let CoreState { router, peers, pages, .. } = &mut *state;
        let barrier = router.stop_manager(index, pages);
        peers[index].enter_safe_state(barrier, SafeReason::Restarting);
        let answers = self.core.perform(&mut state);
        drop(state);
        answers.hand_over();
    }

    /// From here there is no way back.
    fn condemn(&mut self, index: usize) {
        let process = &mut self.processes[index];
        process.is_condemned = true;
        process.blame("was stuck, and was ended");
        if let Some(page) = &process.page {
            page.give_up();
        }
    }

    /// Not even a kill ends it: nobody waits for it any longer. When it ends after all, it is put away.
    pub(super) fn abandon(&mut self, index: usize) {
        let name = self.name(index);
        let threads =
            self.processes[index].child.as_ref().map(|child| standing(child.pid)).unwrap_or_default();
        self.log.line(&name, Level::Error, &format!("{STILL_THERE}: it is given up{threads}"));
        self.disconnect(index);
        let was_starting = self.launched.is_some() && self.quit.is_none();
        self.processes[index].blame(STILL_THERE);
        self.processes[index].phase = Phase::Ended;
        self.order_failed(index, STILL_THERE);
        if was_starting {
            let (how, last_lines) = (STILL_THERE.to_owned(), self.processes[index].last_lines());
            self.fail(LaunchError::Died { manager: name, how, last_lines });
        }
        if self.quit.is_some() {
            self.tell_those_that_may_end();
        }
    }

    /// A manager that works again while it is on the first rungs stays.
    pub(super) fn look_for_recovery(&mut self, index: usize) {
        let process = &self.processes[index];
        let Some(because) = process.history.supervisor.hopes() else { return };
        let Some(page) = &process.page else { return };
        let sent = self.core.lock().router.station(index).sent();
        let look = Look { activity: page.activity(), sent, now_ns: crate::shm::monotonic_ns() };
        if Watch::has_recovered(&because, &look) {
            self.has_recovered(index);
        }
    }

    pub(super) fn has_recovered(&mut self, index: usize) {
        self.processes[index].history.supervisor.recovered();
        let name = self.name(index);
        self.log.line(&name, Level::Warn, "works again, and stays");
    }
}
