//! What a step can do besides calling managers: say how far it is, sleep, look whether it is to stop.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::commands::{ProcedureId, ProcedureRecord};
use super::entry::Entry;
use super::step::StepError;
use crate::remote::{Scope, StepKeys};
use crate::wire::{IdempotencyKey, Progress, Schema};

/// The step is to stop: leave things well and return, with this as error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// The procedure is killed.
    #[error("the procedure is killed")]
    Killed,
    /// The time for the step, or for the procedure, is up.
    #[error("its time is up")]
    Overdue,
    /// The rig quits: the step is run again when it is back.
    #[error("the rig quits")]
    Quitting,
}

/// Who a step runs for, and the way from it into the rig: it derefs to a [`Scope`], so that a step calls managers as
/// anybody does, `context.call(MoveTo { … })?`. Journaled commands get their [`key`](Self::key)s on the way.
pub struct StepContext {
    scope: Scope,
    entry: Arc<Entry>,
    id: ProcedureId,
    keys: Arc<StepKeys>,
    pub(super) tag: Option<String>,
    child: Option<ProcedureRecord>,
    pub(super) deadline: Option<Instant>,
}

impl StepContext {
    pub(super) fn new(scope: &Scope, entry: Arc<Entry>, id: ProcedureId, mark: u64) -> Self {
        let keys = Arc::new(StepKeys::new(id.0.clone(), mark));
        let scope = scope.keyed(Some(Arc::clone(&keys)));
        Self { scope, entry, id, keys, tag: None, child: None, deadline: None }
    }

    /// Another step begins, which is to have ended by that moment.
    pub(super) fn enter(&mut self, step: u64, deadline: Option<Instant>, child: Option<ProcedureRecord>) {
        self.keys.enter(step);
        (self.tag, self.deadline, self.child) = (None, deadline, child);
    }

    /// The scope from which other threads of the step's own call managers. What is sent from it has no keys: threads have no
    /// order in which a crash would find them again.
    pub fn scope(&self) -> Scope {
        self.scope.keyed(None)
    }

    /// The procedure's id.
    pub fn id(&self) -> &ProcedureId {
        &self.id
    }

    /// Which step this is: 1, 2, 3 …; 0 in `begin`.
    pub fn step(&self) -> u64 {
        self.keys.step()
    }

    /// The checkpoint after this step gets a tag, by which it can be continued from; it is kept until it is deleted. A tag
    /// is a word that is no number.
    pub fn checkpoint(&mut self, tag: &str) {
        self.tag = Some(tag.to_owned());
    }

    /// The next key of this step: for something that managers do not do, such as a request to a service that can tell by a
    /// key what it was asked for before.
    ///
    /// Commands need not be given any. Each that the step issues through this context and that is `#[command(journaled)]`
    /// takes the next one by itself (called, requested, sent or broadcast, addressed or with another deadline, whatever becomes
    /// of it), and its manager asks [`Context::seen_before`](crate::registry::Context::seen_before). Keys that are taken here
    /// are counted among those. When a crash or an order has interrupted the step and it is run again, everything gets the
    /// same keys in the same order; so a step is to issue the same things in the same order as long as its state and
    /// inputs are the same. What depends on anything else, on the clock, a signal, or a refusal that may not come again,
    /// belongs into a step of its own, whose state says how it was decided.
    pub fn key(&mut self) -> IdempotencyKey {
        self.keys.take()
    }

    /// Tells whoever watches how far the procedure is: so much done of `total` (0 when that is unknown), and what it is at.
    pub fn progress(&self, done: f64, total: f64, note: &str) {
        self.entry.report(Progress { done, total, note: note.to_owned() });
    }

    /// Whether the step is to stop.
    ///
    /// # Errors
    /// [`Stopped`], when it is. A long step asks now and then.
    pub fn check(&self) -> Result<(), Stopped> {
        self.entry.stopped(self.deadline).map_or(Ok(()), Err)
    }

    /// Sleeps, and ends early when the step is to stop. A wait that is to outlast a crash is a step of its own:
    /// [`Step::Sleep`](super::Step::Sleep).
    ///
    /// # Errors
    /// [`Stopped`] then.
    pub fn sleep(&self, duration: Duration) -> Result<(), Stopped> {
        self.entry.sleep(duration, self.deadline)
    }

    /// How the child has ended that the step before has launched; nothing when it launched none.
    pub fn child(&self) -> Option<&ProcedureRecord> {
        self.child.as_ref()
    }

    /// The output of the child that the step before has launched.
    ///
    /// # Errors
    /// The step before has launched none, or it did not finish, or its output is not of that type.
    pub fn child_output<O: DeserializeOwned + Schema + 'static>(&self) -> Result<O, StepError> {
        let child = self.child().ok_or_else(|| StepError::new("the step before has launched no child"))?;
        let ended = || StepError::new(format!("`{}` is {}: {}", child.id, child.state, child.text));
        Ok(child.output().ok_or_else(ended)??)
    }
}

impl Deref for StepContext {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext")
            .field("id", &self.id)
            .field("step", &self.step())
            .finish_non_exhaustive()
    }
}
