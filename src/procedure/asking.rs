//! What a runner is asked: records, checkpoints, the end of a procedure, changes of state.

use std::sync::Arc;

use super::commands::{CheckpointRecord, ProcedureError, ProcedureId, ProcedureRecord, StateChange};
use super::entry::{Awaiting, Desk, Entry};
use super::registration::ProcedureRegistration;
use super::runner::Runner;
use super::state::ProcedureState;
use super::store::{Row, Wait};
use crate::remote::ForgetDeeds;

/// Somebody who waits for changes of state.
pub(super) trait Watching: Send {
    /// There are some.
    fn tell(self: Box<Self>, changes: Vec<StateChange>);
    /// Whether nobody waits any more.
    fn is_over(&self) -> bool;
}

pub(super) struct Watcher {
    after: u64,
    of: Option<i64>,
    who: Box<dyn Watching>,
}

/// A record, and where its procedure is told what to do, when it is not final.
type Known = (Row, Option<Arc<Entry>>);

impl Runner {
    pub(super) fn look_up(&self, id: &str) -> Result<Option<Known>, ProcedureError> {
        match self.find(id) {
            Ok(row) => {
                let entry = self.entry(row.number);
                Ok(Some((row, entry)))
            }
            Err(ProcedureError::UnknownId { .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }

    pub(super) fn state_of(&self, number: i64) -> Result<ProcedureState, ProcedureError> {
        let row = self.store.find(number)?;
        row.map(|row| row.state).ok_or_else(|| ProcedureError::UnknownId { id: number.to_string() })
    }

    pub(super) fn find(&self, id: &str) -> Result<Row, ProcedureError> {
        let number = ProcedureId::from(id).number();
        let row = number.map(|number| self.store.find(number)).transpose()?.flatten();
        row.filter(|row| row.id().0 == id || id.parse() == Ok(row.number))
            .ok_or_else(|| ProcedureError::UnknownId { id: id.to_owned() })
    }

    pub(super) fn record(&self, id: &str) -> Result<ProcedureRecord, ProcedureError> {
        Ok(self.recorded(&self.find(id)?))
    }

    fn recorded(&self, row: &Row) -> ProcedureRecord {
        let entry = self.entry(row.number);
        record(row, entry.as_ref().map(|entry| entry.desk()).as_deref())
    }

    pub(super) fn list(&self, is_active: bool, parent: &str) -> Result<Vec<ProcedureRecord>, ProcedureError> {
        let parent = if parent.is_empty() { None } else { Some(self.find(parent)?.number) };
        Ok(self.store.list(is_active, parent)?.iter().map(|row| self.recorded(row)).collect())
    }

    pub(super) fn checkpoints(&self, id: &str) -> Result<Vec<CheckpointRecord>, ProcedureError> {
        let row = self.find(id)?;
        let fingerprint = ProcedureRegistration::find(&row.kind).map(|kind| (kind.state)().fingerprint());
        Ok(self.store.checkpoints(row.number)?.iter().map(|it| it.record(fingerprint)).collect())
    }

    pub(super) fn delete_checkpoints(&self, id: &str, tag: &str) -> Result<bool, ProcedureError> {
        Ok(self.store.delete_checkpoints(self.find(id)?.number, tag)?)
    }

    pub(super) fn await_end(&self, id: &str, who: Box<dyn Awaiting>) -> Result<(), ProcedureError> {
        let row = self.find(id)?;
        if let Some(entry) = self.entry(row.number) {
            let mut desk = entry.desk();
            // Who is entered is told of the end, unless that was told before.
            if !self.state_of(row.number)?.is_final() || desk.is_active {
                desk.awaiting.retain(|one| !one.is_over());
                desk.awaiting.push(who);
                return Ok(());
            }
        }
        who.ended(&self.record(id)?);
        Ok(())
    }

    pub(super) fn watch(
        &self,
        after: Option<u64>,
        id: &str,
        who: Box<dyn Watching>,
    ) -> Result<(), ProcedureError> {
        let of = if id.is_empty() { None } else { Some(self.find(id)?.number) };
        let after = after.map_or_else(|| self.store.newest_change(), Ok)?;
        let mut watchers = self.watchers.lock();
        watchers.retain(|watcher| !watcher.who.is_over());
        watchers.push(Watcher { after, of, who });
        drop(watchers);
        self.tell_watchers();
        Ok(())
    }

    /// Those of these marks whose procedures have ended, as far as this store knows them.
    pub(super) fn ended_among(&self, marks: &[u64]) -> Result<Vec<u64>, ProcedureError> {
        Ok(self.store.ended_among(marks)?)
    }

    /// These procedures have ended: managers that keep journals forget their keys, and say of which procedures they keep
    /// any. Of those that have ended, too, they were not told, since one side was away; so they are now.
    pub(super) fn settle_deeds(self: &Arc<Self>, ended: Vec<u64>) {
        let Ok(told) = self.scope.broadcast(ForgetDeeds { ended: ended.clone() }) else { return };
        let runner = Arc::downgrade(self);
        told.on_complete(move |report| {
            let Some(runner) = runner.upgrade() else { return };
            let outcomes = report.into_iter().flat_map(|report| report.outcomes);
            let mut kept: Vec<_> = outcomes.filter_map(|manager| manager.outcome.ok()).flatten().collect();
            kept.retain(|mark| !ended.contains(mark));
            match runner.store.ended_among(&kept) {
                Ok(ended) if ended.is_empty() => {}
                // Whoever is away again asks when it is back.
                Ok(ended) => drop(runner.scope.broadcast(ForgetDeeds { ended })),
                Err(why) => log::error!("keys of procedures that have ended are kept: {why}"),
            }
        });
    }

    /// Something may have changed.
    pub(super) fn tell_watchers(&self) {
        let mut watchers = self.watchers.lock();
        for watcher in std::mem::take(&mut *watchers) {
            match self.store.changes_after(watcher.after, watcher.of) {
                Ok(changes) if changes.is_empty() => watchers.push(watcher),
                Ok(changes) => watcher.who.tell(changes),
                Err(why) => {
                    log::error!("changes of procedures cannot be told: {why}");
                    watchers.push(watcher);
                }
            }
        }
    }
}

/// What people are told of a record, with what only its process knows.
pub(super) fn record(row: &Row, desk: Option<&Desk>) -> ProcedureRecord {
    let stalled = desk.and_then(|desk| desk.stalled.clone());
    let waits_for = row.wait.as_ref().filter(|_| !row.state.is_final()).map(|wait| match wait {
        Wait::Until(at_ms) => format!("until {at_ms} ms since 1970"),
        Wait::Signal(condition, _) => condition.to_string(),
        Wait::Child(number) => format!("its child, procedure {number}"),
    });
    ProcedureRecord {
        id: row.id(),
        kind: row.kind.clone(),
        state: if stalled.is_some() { ProcedureState::Paused } else { row.state },
        text: stalled.unwrap_or_else(|| row.text.clone()),
        step: row.step,
        waits_for,
        is_queued: desk.is_some_and(|desk| desk.is_queued),
        progress: desk.and_then(|desk| desk.progress.clone()),
        inputs: row.inputs.clone(),
        output: row.output.clone(),
        launched_by: row.launched_by.clone(),
        parent: row.parent_id.clone(),
        origin: row.origin.clone(),
        lives: row.lives,
        is_forced: row.is_forced,
        created_ms: row.created_ms,
        changed_ms: row.changed_ms,
    }
}
