//! One manager's supervisor: what is to be done next, whatever happens to it.

use std::time::{Duration, Instant};

use super::{Because, Decision, GivenUp, Ladder, Restarts, Rung, Rungs};
use crate::config::Supervision;

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Supervisor {
    restarts: Restarts,
    rungs: Rungs,
    /// How long its safe program may take; none when it has none.
    safe_program: Option<Duration>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing is to be done.
    Fine,
    /// Its process was stopped by a signal, and may be continued until then.
    Frozen(Instant),
    Climbing(Ladder, Because),
    /// Its safe program runs.
    Securing {
        until: Instant,
        is_late: bool,
        next: Next,
    },
    /// It is started again then.
    Down(Instant),
    /// It stays down.
    Failed,
}

/// What is to be done with a manager now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next rung of the ladder.
    Try(Rung),
    /// It cannot even be killed: nobody waits for it any longer.
    Abandon,
    RunSafeProgram,
    KillSafeProgram,
    /// It will be started again after so long.
    Wait {
        after: Duration,
        number: u32,
    },
    /// It is started now.
    Start,
    /// It stays down, for this reason; without one, as it was told to.
    Rest(Option<GivenUp>),
}

/// A manager's process has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Whether nobody knows that its hardware is safe.
    pub(crate) is_unsafe: bool,
    pub(crate) next: Next,
}

/// What comes after an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// What the policy says.
    ByPolicy { is_failure: bool },
    /// Somebody asked for it to be started again.
    Start,
    /// It was told to end.
    Rest,
    /// It cannot be killed.
    Abandon,
}

impl Supervisor {
    pub(crate) fn new(rules: &Supervision, safe_deadline: Duration) -> Self {
        Self {
            restarts: Restarts::new(rules),
            rungs: Rungs::new(rules, safe_deadline),
            safe_program: rules.safe_program.as_ref().map(|program| program.deadline),
            stage: Stage::Fine,
        }
    }

    /// It hangs. Nothing new when that is known already.
    pub(crate) fn stuck(&mut self, because: Because, first: Rung, now: Instant) -> Option<Step> {
        let is_lower = |ladder: &Ladder| ladder.rung() < first;
        match &self.stage {
            Stage::Climbing(ladder, _) if !is_lower(ladder) => return None,
            Stage::Fine | Stage::Frozen(_) | Stage::Climbing(..) => {}
            Stage::Securing { .. } | Stage::Down(_) | Stage::Failed => return None,
        }
        self.stage = Stage::Climbing(Ladder::begin(first, &self.rungs, now), because);
        Some(Step::Try(first))
    }

    /// Its process was stopped by a signal: it has so long to be continued.
    pub(crate) fn frozen(&mut self, patience: Duration, now: Instant) {
        if matches!(self.stage, Stage::Fine) {
            self.stage = Stage::Frozen(now + patience);
        }
    }

    /// It was continued.
    pub(crate) fn thawed(&mut self) {
        if matches!(self.stage, Stage::Frozen(_)) {
            self.stage = Stage::Fine;
        }
    }

    /// Why it is on the ladder, as long as it may still come back to life there.
    pub(crate) fn hopes(&self) -> Option<Because> {
        match &self.stage {
            Stage::Climbing(ladder, because) if ladder.can_recover() => Some(*because),
            _ => None,
        }
    }

    /// Whether it is on the ladder, or stopped by a signal.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self.stage, Stage::Climbing(..) | Stage::Frozen(_))
    }

    /// It works again, and stays.
    pub(crate) fn recovered(&mut self) {
        if self.hopes().is_some() {
            self.stage = Stage::Fine;
        }
    }

    /// What was tried needs no time: the next rung.
    pub(crate) fn climb(&mut self, now: Instant) -> Option<Step> {
        let Stage::Climbing(ladder, because) = &self.stage else { return None };
        Some(match ladder.climb(&self.rungs, now) {
            Some(next) => {
                self.stage = Stage::Climbing(next, *because);
                Step::Try(next.rung())
            }
            None => self.secure(Next::Abandon, now),
        })
    }

    /// Its safe program runs, if it has one, before anything else.
    fn secure(&mut self, next: Next, now: Instant) -> Step {
        let Some(patience) = self.safe_program else { return self.go_on(next, now) };
        self.stage = Stage::Securing { until: now + patience, is_late: false, next };
        Step::RunSafeProgram
    }

    /// Its process has ended. Nothing is to be done yet when its safe program runs already, because it could not be
    /// killed.
    pub(crate) fn ended(&mut self, end: End, now: Instant) -> Option<Step> {
        match &mut self.stage {
            Stage::Failed => return Some(Step::Rest(Some(GivenUp::Unkillable))),
            Stage::Securing { next, .. } => {
                *next = end.next;
                return None;
            }
            _ => {}
        }
        Some(if end.is_unsafe { self.secure(end.next, now) } else { self.go_on(end.next, now) })
    }

    /// Its safe program has ended, in whichever way.
    pub(crate) fn secured(&mut self, now: Instant) -> Option<Step> {
        let Stage::Securing { next, .. } = self.stage else { return None };
        Some(self.go_on(next, now))
    }

    fn go_on(&mut self, next: Next, now: Instant) -> Step {
        let decision = match next {
            Next::ByPolicy { is_failure } => self.restarts.decide(is_failure, now),
            Next::Start => Decision::Restart { after: Duration::ZERO, number: 0 },
            Next::Rest => {
                self.stage = Stage::Fine;
                return Step::Rest(None);
            }
            Next::Abandon => {
                self.stage = Stage::Failed;
                return Step::Abandon;
            }
        };
        match decision {
            Decision::Restart { after, number } => {
                self.stage = Stage::Down(now + after);
                Step::Wait { after, number }
            }
            Decision::Failed(why) => {
                self.stage = Stage::Failed;
                Step::Rest(Some(why))
            }
        }
    }

    /// The rig quits: nothing is started again. Its safe program still runs to its end.
    pub(crate) fn quit(&mut self) {
        match &mut self.stage {
            Stage::Securing { next: Next::Abandon, .. } => {}
            Stage::Securing { next, .. } => *next = Next::Rest,
            Stage::Down(_) => self.stage = Stage::Fine,
            _ => {}
        }
    }

    /// Somebody asks for it to be started again, with a fresh budget. Whether it is down, so that it will be.
    pub(crate) fn revive(&mut self, now: Instant) -> bool {
        self.restarts.renew();
        match &mut self.stage {
            Stage::Failed | Stage::Down(_) => self.stage = Stage::Down(now),
            Stage::Securing { next, .. } => *next = Next::Start,
            _ => return false,
        }
        true
    }

    /// It is down though nothing was wrong with it, and is started again.
    pub(crate) fn start_again(&mut self, now: Instant) {
        self.stage = Stage::Down(now);
    }

    /// Whether it stays down because it failed.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Failed)
    }

    /// When time will bring the next step.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Frozen(until) | Stage::Down(until) => Some(*until),
            Stage::Climbing(ladder, _) => Some(ladder.until()),
            Stage::Securing { until, is_late: false, .. } => Some(*until),
            Stage::Fine | Stage::Failed | Stage::Securing { is_late: true, .. } => None,
        }
    }

    /// What time brings, if anything.
    pub(crate) fn passed(&mut self, now: Instant) -> Option<Step> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        match &mut self.stage {
            Stage::Frozen(_) => self.stuck(Because::Frozen, Rung::Cancel, now),
            Stage::Climbing(..) => self.climb(now),
            Stage::Securing { is_late, .. } => {
                *is_late = true;
                Some(Step::KillSafeProgram)
            }
            Stage::Down(_) => {
                self.stage = Stage::Fine;
                Some(Step::Start)
            }
            Stage::Fine | Stage::Failed => None,
        }
    }
}
