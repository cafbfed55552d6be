//! The runner: all procedures of one store, each on a thread of its own while there is something to do.
//!
//! Orders are answered when they have taken effect. Whoever looks at a record and at its thread holds the procedure's
//! desk; what is written of a state that an order has changed is written within, so that two orders never see half of one
//! another.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::asking::{Watcher, record};
use super::commands::{ContinueProcedure, KillLevel, Outcome, ProcedureError, ProcedureId, ProcedureRecord};
use super::entry::{Desk, Entry, Order, Respond};
use super::life;
use super::registration::ProcedureRegistration;
use super::state::{Move, ProcedureState};
use super::store::{Checkpoint, Made, NewProcedure, Row, Store, StoreError, Wait, Which};
use super::taking::Terms;
use super::turns::Turns;
use crate::remote::Scope;

/// See the module's words.
pub(super) struct Runner {
    pub(super) store: Store,
    pub(super) scope: Scope,
    pub(super) turns: Turns,
    pub(super) terms: Terms,
    /// Whether the process is told to end.
    pub(super) is_ending: AtomicBool,
    entries: Mutex<HashMap<i64, Arc<Entry>>>,
    pub(super) watchers: Mutex<Vec<Watcher>>,
}

impl Runner {
    pub(super) fn open(
        path: &Path,
        owner: &str,
        scope: Scope,
        terms: Terms,
    ) -> Result<Arc<Self>, StoreError> {
        let store = Store::open(path, owner)?;
        let unfinished = store.list(true, None)?.into_iter().map(|row| row.number);
        let entries = unfinished.map(|number| (number, Arc::new(Entry::new(number)))).collect();
        let (turns, entries) = (Turns::new(terms.limit as usize), Mutex::new(entries));
        let (is_ending, watchers) = (AtomicBool::new(false), Mutex::default());
        Ok(Arc::new(Self { store, scope, turns, terms, is_ending, entries, watchers }))
    }

    /// Takes up what an earlier life has left behind: each goes on, or is paused until somebody plays it.
    pub(super) fn resume(self: &Arc<Self>, goes_on: bool) -> Result<(), StoreError> {
        let mut unfinished = self.store.list(true, None)?;
        unfinished.reverse();
        for row in unfinished {
            let Some(entry) = self.entry(row.number) else { continue };
            let mut desk = entry.desk();
            let is_idle = row.is_held || row.state == ProcedureState::Paused;
            match goes_on {
                // Somebody has told it something meanwhile, or is still to.
                _ if is_idle || desk.is_active => {}
                true => self.activate(&entry, &mut desk),
                false => {
                    let why = "the process that ran it has ended";
                    self.store.change(row.number, Move::Pause, ("", why)).map(drop)?;
                }
            }
        }
        self.tell_watchers();
        if self.store.newest_change()? > 0 {
            self.settle_deeds(Vec::new());
        }
        Ok(())
    }

    fn enter(&self, number: i64) -> Arc<Entry> {
        let mut entries = self.entries.lock();
        Arc::clone(entries.entry(number).or_insert_with(|| Arc::new(Entry::new(number))))
    }

    pub(super) fn entry(&self, number: i64) -> Option<Arc<Entry>> {
        self.entries.lock().get(&number).map(Arc::clone)
    }

    /// Has a thread take it up.
    fn activate(self: &Arc<Self>, entry: &Arc<Entry>, desk: &mut Desk) {
        desk.is_active = true;
        desk.stalled = None;
        let (runner, its) = (Arc::clone(self), Arc::clone(entry));
        let name = format!("procedure-{}", entry.number);
        if let Err(error) = thread::Builder::new().name(name).spawn(move || life::live(&runner, &its)) {
            desk.is_active = false;
            desk.stalled = Some(format!("no thread can be started: {error}"));
        }
    }

    // --- beginning ---

    /// A procedure has been recorded: it begins, unless it is held.
    pub(super) fn adopt(self: &Arc<Self>, made: Made) {
        let entry = self.enter(made.number);
        if !made.is_held {
            self.activate(&entry, &mut entry.desk());
        }
        self.tell_watchers();
    }

    pub(super) fn go_on(self: &Arc<Self>, asked: &ContinueProcedure) -> Result<ProcedureId, ProcedureError> {
        let mut row = self.find(&asked.id)?;
        if asked.checkpoint.is_empty() && !row.state.is_final() {
            let by = Order { by: asked.by.clone(), text: "continued".to_owned() };
            match self.play(&asked.id, &by)? {
                // It has ended since it was looked up: a new one goes on, as of any that has ended.
                Outcome::NotInThisState => row = self.find(&asked.id)?,
                Outcome::TooLate => return Err(ProcedureError::ToBeKilled { id: row.id().0 }),
                _ => return Ok(row.id()),
            }
        }
        let from = self.usable(&row, Which::read(&asked.checkpoint), &asked.checkpoint)?;
        let origin = format!("{} after step {}", row.id(), from.step);
        let new = NewProcedure {
            kind: row.kind.clone(),
            inputs: row.inputs.clone(),
            launched_by: asked.by.clone(),
            deadline_ms: row.deadline_ms,
            step_deadline_ms: row.step_deadline_ms,
            from: Some((from, origin)),
            ..NewProcedure::default()
        };
        let made = self.store.create(&new)?;
        self.adopt(made);
        Ok(ProcedureId::new(&row.kind, made.number))
    }

    /// A checkpoint from which can be gone on.
    pub(super) fn usable(
        &self,
        row: &Row,
        which: Which<'_>,
        asked: &str,
    ) -> Result<Checkpoint, ProcedureError> {
        let fingerprint = Some((kind(&row.kind)?.state)().fingerprint());
        let id = || row.id().0;
        let Some(mut found) = self.store.checkpoint(row.number, which)? else {
            let all = self.store.checkpoints(row.number)?;
            let known = all.into_iter().map(|it| it.tag.unwrap_or_else(|| it.step.to_string())).collect();
            return Err(ProcedureError::UnknownCheckpoint { id: id(), checkpoint: asked.to_owned(), known });
        };
        if let Some(why) = found.fault(fingerprint) {
            let before = self.store.checkpoints(row.number)?.into_iter().rev();
            let mut before = before.filter(|it| it.step < found.step && it.fault(fingerprint).is_none());
            let usable = before.next().map(|it| it.step);
            return Err(ProcedureError::UnusableCheckpoint { id: id(), step: found.step, why, usable });
        }
        // A child belongs to the one that has launched it: whoever else begins there does not wait for it.
        if let (Some(Wait::Child(_)), true) = (&found.wait, which != Which::Last || row.state.is_final()) {
            found.wait = None;
        }
        Ok(found)
    }

    // --- orders ---

    pub(super) fn pause(&self, id: &str, by: &Order, respond: Respond) -> Result<(), ProcedureError> {
        let Some((row, entry)) = self.look_up(id)? else { return answer(respond, Outcome::NotFound) };
        let Some(entry) = entry else { return answer(respond, Outcome::TooLate) };
        let mut desk = entry.desk();
        if desk.is_active {
            desk.pause.get_or_insert_with(|| by.clone());
            desk.pauses_asked.push(respond);
            drop(desk);
            entry.tell(|_| ());
            return Ok(());
        }
        let outcome = match self.state_of(row.number)? {
            ProcedureState::Paused => Outcome::Already,
            state if state.is_final() => Outcome::TooLate,
            _ => {
                self.store.change(row.number, Move::Pause, (&by.by, &by.text))?;
                Outcome::Done
            }
        };
        respond(outcome);
        self.tell_watchers();
        Ok(())
    }

    pub(super) fn play(self: &Arc<Self>, id: &str, by: &Order) -> Result<Outcome, ProcedureError> {
        let Some((row, entry)) = self.look_up(id)? else { return Ok(Outcome::NotFound) };
        let Some(entry) = entry else { return Ok(Outcome::NotInThisState) };
        let mut desk = entry.desk();
        // Its record says first that it has ended, and whoever has read that may ask at once.
        let state = self.state_of(row.number)?;
        if state.is_final() {
            return Ok(Outcome::NotInThisState);
        }
        if desk.is_active {
            return Ok(match (desk.kill.is_some(), desk.pause.is_some()) {
                (true, _) => Outcome::TooLate,
                (false, true) => {
                    desk.answer_pauses(Outcome::TooLate);
                    Outcome::Done
                }
                (false, false) => Outcome::Already,
            });
        }
        match state {
            ProcedureState::Paused => drop(self.store.change(row.number, Move::Play, (&by.by, &by.text))?),
            ProcedureState::Created => self.store.let_go(row.number)?,
            // Its record could not be written; perhaps now it can.
            _ => {}
        }
        self.activate(&entry, &mut desk);
        drop(desk);
        self.tell_watchers();
        Ok(Outcome::Done)
    }

    pub(super) fn kill(
        self: &Arc<Self>,
        id: &str,
        level: KillLevel,
        by: &Order,
        respond: Respond,
    ) -> Result<(), ProcedureError> {
        let Some((row, entry)) = self.look_up(id)? else { return answer(respond, Outcome::NotFound) };
        let Some(entry) = entry else {
            return answer(respond, killed_before(row.state, row.is_forced && level == KillLevel::Force));
        };
        let mut desk = entry.desk();
        if !desk.is_active {
            // It may have ended since it was looked up: whoever was told of that may have asked this.
            let state = self.state_of(row.number)?;
            if state.is_final() {
                return answer(respond, killed_before(state, false));
            }
            self.store.change(row.number, Move::Kill, (&by.by, &by.text))?;
            desk.kills_asked.push(respond);
            self.ended(&entry, desk, Outcome::Done);
            return Ok(());
        }
        if level == KillLevel::Force {
            self.store.kill_by_force(row.number, (&by.by, &by.text))?;
            self.mark_children_killed(&row)?;
            end_this_process(&row.id());
        }
        let is_sooner = |known: &KillLevel| *known == KillLevel::NextStep;
        if desk.kill.as_ref().is_none_or(|(known, _)| is_sooner(known)) {
            desk.kill = Some((level, by.clone()));
        }
        desk.kills_asked.push(respond);
        drop(desk);
        entry.tell(|_| ());
        Ok(())
    }

    /// The ids of those that are not final, oldest first.
    pub(super) fn active(&self) -> Result<Vec<ProcedureId>, ProcedureError> {
        Ok(self.store.list(true, None)?.iter().rev().map(Row::id).collect())
    }

    /// A record says that the procedure is final: everybody is told, and its children are killed unless it has finished.
    pub(super) fn ended(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        mut desk: MutexGuard<'_, Desk>,
        kills: Outcome,
    ) {
        desk.is_active = false;
        desk.answer_pauses(Outcome::TooLate);
        desk.answer_kills(kills);
        let awaiting = std::mem::take(&mut desk.awaiting);
        let progress = desk.progress.clone();
        self.entries.lock().remove(&entry.number);
        drop(desk);
        entry.tell(|_| ());
        match self.store.find(entry.number) {
            Ok(Some(row)) => {
                let record = ProcedureRecord { progress, ..record(&row, None) };
                awaiting.into_iter().for_each(|one| one.ended(&record));
                let parent = row.parent.and_then(|parent| self.entry(parent));
                parent.iter().for_each(|parent| parent.tell(|desk| desk.is_roused = true));
                if row.state != ProcedureState::Finished {
                    self.kill_children(&row);
                }
                self.settle_deeds(vec![row.mark]);
            }
            Ok(None) => {}
            Err(why) => log::error!("the end of procedure {} cannot be told: {why}", entry.number),
        }
        self.tell_watchers();
    }

    fn kill_children(self: &Arc<Self>, parent: &Row) {
        let by = Order { by: String::new(), text: format!("`{}` is {}", parent.id(), parent.state) };
        let children = self.store.list(true, Some(parent.number)).map_err(ProcedureError::from);
        let killed = children.and_then(|children| {
            let mut each = children.iter().map(Row::id);
            each.try_for_each(|id| self.kill(&id.0, KillLevel::NextYield, &by, Box::new(|_| ())))
        });
        if let Err(why) = killed {
            log::error!("the children of `{}` cannot be killed: {why}", parent.id());
        }
    }

    /// The records of all below it say that they are killed; there will be no time to tell their threads.
    fn mark_children_killed(&self, parent: &Row) -> Result<(), StoreError> {
        let text = format!("`{}` is killed", parent.id());
        for child in self.store.list(true, Some(parent.number))? {
            self.store.change(child.number, Move::Kill, ("", &text))?;
            self.mark_children_killed(&child)?;
        }
        Ok(())
    }

    // --- the end ---

    /// Everything is to its safe state: what runs is paused when its step has ended, which the stop has cancelled.
    pub(super) fn hold_all(&self, why: &str) {
        let entries: Vec<_> = self.entries.lock().values().map(Arc::clone).collect();
        let order = Order { by: String::new(), text: why.to_owned() };
        for entry in entries {
            entry.tell(|desk| {
                if desk.is_active {
                    desk.pause.get_or_insert_with(|| order.clone());
                }
            });
        }
    }

    /// The process ends: procedures stop where they are, and go on in the next. Waits so long for their steps.
    pub(super) fn stop(&self, patience: Duration) {
        self.is_ending.store(true, Ordering::Relaxed);
        let entries: Vec<_> = self.entries.lock().values().map(Arc::clone).collect();
        entries.iter().for_each(|entry| entry.tell(|desk| desk.stops = true));
        let until = Instant::now() + patience;
        entries.iter().for_each(|entry| entry.wait(Some(until), |desk| !desk.is_active));
    }
}

fn answer(respond: Respond, outcome: Outcome) -> Result<(), ProcedureError> {
    respond(outcome);
    Ok(())
}

/// What a kill comes to of a procedure in that final state. Whoever has ended the process to kill it is answered by the
/// next life.
fn killed_before(state: ProcedureState, is_by_force: bool) -> Outcome {
    match state {
        ProcedureState::Killed if is_by_force => Outcome::Done,
        ProcedureState::Killed => Outcome::Already,
        _ => Outcome::TooLate,
    }
}

/// The kind of that name.
pub(super) fn kind(name: &str) -> Result<&'static ProcedureRegistration, ProcedureError> {
    ProcedureRegistration::find(name).ok_or_else(|| ProcedureError::UnknownKind {
        kind: name.to_owned(),
        known: ProcedureRegistration::all().iter().map(|kind| kind.kind.to_owned()).collect(),
    })
}

/// The inputs as they are kept.
pub(super) fn checked(
    registration: &ProcedureRegistration,
    inputs: &str,
    folder: &str,
) -> Result<String, ProcedureError> {
    let kind = || registration.kind.to_owned();
    registration
        .checked_inputs(inputs, Path::new(folder))
        .map_err(|faults| ProcedureError::BadInputs { kind: kind(), faults })
}

impl From<StoreError> for ProcedureError {
    fn from(error: StoreError) -> Self {
        Self::Store { why: error.to_string() }
    }
}

/// The record says why.
fn end_this_process(id: &ProcedureId) {
    log::error!("`{id}` is killed by force: this process ends with it");
    log::logger().flush();
    let own = rustix::process::getpid();
    if let Err(errno) = rustix::process::kill_process(own, rustix::process::Signal::KILL) {
        log::error!("this process cannot be killed: {errno}");
        std::process::abort();
    }
}
