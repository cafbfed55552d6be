//! What a runner takes: launches, and tasks that it is offered.
//!
//! A task is taken when there is a record of it, under its name: whoever offers it again is told so, also after a death.
//! Only what was looked for in the store and is not there is declined.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::commands::{LaunchProcedure, ProcedureError, ProcedureId};
use super::runner::{Runner, checked, kind};
use super::store::NewProcedure;
use crate::remote::{Declination, OfferTask, TaskAnswer};

/// What a runner takes, by its config.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    /// How many have a turn at a time.
    pub(super) limit: u32,
    /// Of which kinds; all when nothing is said.
    pub(super) kinds: Option<Vec<String>>,
    /// How many may wait for their turn; any number when nothing is said.
    pub(super) queue_limit: Option<u32>,
}

impl Runner {
    pub(super) fn launch(self: &Arc<Self>, asked: &LaunchProcedure) -> Result<ProcedureId, ProcedureError> {
        if let Some(why) = self.declines(&asked.kind) {
            return Err(ProcedureError::NotTaken { why });
        }
        let inputs = checked(kind(&asked.kind)?, &asked.inputs, &asked.folder)?;
        // What is held waits for no turn.
        if let Some(why) = if asked.is_held { None } else { self.is_full()? } {
            return Err(ProcedureError::NotTaken { why });
        }
        self.record_new(&NewProcedure {
            kind: asked.kind.clone(),
            inputs,
            is_held: asked.is_held,
            launched_by: asked.by.clone(),
            deadline_ms: asked.deadline_ms,
            step_deadline_ms: asked.step_deadline_ms,
            ..NewProcedure::default()
        })
    }

    /// Takes a task once, whatever has become of the offers before.
    pub(super) fn take(self: &Arc<Self>, offer: &OfferTask) -> Result<TaskAnswer, ProcedureError> {
        let task = &offer.task;
        if let Some(id) = self.store.of_task(&task.name)? {
            return Ok(TaskAnswer::Taken(id.0));
        }
        if offer.only_asks {
            return Ok(TaskAnswer::HasNot);
        }
        let declined = |why| Ok(TaskAnswer::Declined(why));
        if let Some(why) = self.declines(&task.kind) {
            return declined(why);
        }
        // Whoever knows the kind says what is wrong with the inputs, however much there is to do.
        let inputs = match kind(&task.kind).and_then(|kind| checked(kind, &task.inputs, &task.folder)) {
            Ok(inputs) => inputs,
            Err(ProcedureError::UnknownKind { known, .. }) => {
                return declined(Declination::UnknownKind { known });
            }
            Err(ProcedureError::BadInputs { faults, .. }) => {
                return declined(Declination::BadInputs { faults });
            }
            Err(other) => return Err(other),
        };
        if let Some(why) = self.is_full()? {
            return declined(why);
        }
        let id = self.record_new(&NewProcedure {
            kind: task.kind.clone(),
            inputs,
            launched_by: task.by.clone(),
            deadline_ms: task.deadline_ms,
            step_deadline_ms: task.step_deadline_ms,
            task: Some(task.name.clone()),
            ..NewProcedure::default()
        })?;
        Ok(TaskAnswer::Taken(id.0))
    }

    fn record_new(self: &Arc<Self>, new: &NewProcedure) -> Result<ProcedureId, ProcedureError> {
        let made = self.store.create(new)?;
        self.adopt(made);
        Ok(ProcedureId::new(&new.kind, made.number))
    }

    /// Why nothing of that kind is taken, whatever its inputs.
    fn declines(&self, kind: &str) -> Option<Declination> {
        if self.is_ending.load(Ordering::Relaxed) {
            return Some(Declination::Ending);
        }
        let takes = self.terms.kinds.as_ref().filter(|kinds| !kinds.iter().any(|takes| takes == kind))?;
        Some(Declination::NotItsKind { takes: takes.clone() })
    }

    /// Why nothing more is taken now. Only the store knows those whose threads have not come to wait for their turn yet.
    fn is_full(&self) -> Result<Option<Declination>, ProcedureError> {
        let Some(queue_limit) = self.terms.queue_limit else { return Ok(None) };
        let (at_work, limit) = (self.store.count_at_work()?, u64::from(self.terms.limit));
        let is_full = at_work >= limit + u64::from(queue_limit);
        Ok(is_full.then(|| Declination::QueueFull { waiting: at_work.saturating_sub(limit) }))
    }
}
