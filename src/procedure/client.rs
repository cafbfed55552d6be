//! `scope.procedures()`: launching, steering and watching procedures from any process of the rig.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::commands::{
    Answered, AwaitProcedure, CheckpointRecord, ContinueProcedure, Deed, DeleteCheckpoint, KillLevel,
    KillProcedure, LaunchProcedure, ListProcedures, PauseProcedure, PlayProcedure, ProcedureChanges,
    ProcedureCheckpoints, ProcedureId, ProcedureRecord, ProcedureStatus, StateChange, SteerAll,
};
use super::state::ProcedureState;
use super::step::as_json;
use crate::remote::{CallError, PendingReply, PlaceTask, Placement, Scope, Taken, Task, Whom};
use crate::wire::{Command, DecodeError, EncodeError, OneHandler, Refusal, Schema};

impl Scope {
    /// The procedures of the rig, which its manager of the kind `labrig.procedures` runs. When several do, each has its own:
    /// [`of`](Procedures::of) says whose are meant, and without it they are refused ([`Refusal::AddressNeeded`]).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use labrig::prelude::*;
    /// # #[derive(Serialize)] struct Inputs { up_to: u32 }
    /// # fn example(scope: &Scope) -> Result<(), Box<dyn std::error::Error>> {
    /// let second = Duration::from_secs(1);
    /// let procedures = scope.procedures();
    /// let id = procedures.launch("count", &Inputs { up_to: 100 })?.wait(second)?;
    /// procedures.pause(&id, "the lamp is replaced")?.wait(second)?;
    /// procedures.play(&id, "there is light")?.wait(second)?;
    /// let counted: u32 = procedures.output(&id, Duration::MAX)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn procedures(&self) -> Procedures {
        Procedures { scope: self.clone(), manager: None, by: format!("process {}", std::process::id()) }
    }
}

/// See [`Scope::procedures`].
///
/// Each question gives a [`PendingReply`], as every call does: `.wait(…)` blocks, it can be asked or given a callback, and
/// it is a future. *Without waiting* (`nowait`) is to keep it and look later; *without reply* (`no_reply`) is to drop it.
/// Either way the order takes effect, also when its deadline passes before that: a deadline ends the wait for the answer,
/// and takes nothing back.
#[derive(Clone)]
pub struct Procedures {
    scope: Scope,
    manager: Option<String>,
    by: String,
}

/// Why an output cannot be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// It could not be waited for.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The inputs cannot be written.
    #[error(transparent)]
    Inputs(#[from] EncodeError),
    /// The procedure has ended without one.
    #[error("`{id}` is {state}: {text}")]
    NotFinished {
        /// Which procedure.
        id: ProcedureId,
        /// How it has ended.
        state: ProcedureState,
        /// Why.
        text: String,
    },
    /// It is of another type.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
}

impl From<Refusal> for OutputError {
    fn from(refusal: Refusal) -> Self {
        Self::Call(refusal.into())
    }
}

/// Why a procedure was not launched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchRefused {
    /// The command was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The inputs cannot be written.
    #[error(transparent)]
    Inputs(#[from] EncodeError),
}

impl From<LaunchRefused> for OutputError {
    fn from(refused: LaunchRefused) -> Self {
        match refused {
            LaunchRefused::Refused(refusal) => refusal.into(),
            LaunchRefused::Inputs(error) => Self::Inputs(error),
        }
    }
}

impl Taken {
    /// The procedure that the task is there: to be asked for with `scope.procedures().of(&taken.runner)`.
    pub fn procedure(&self) -> ProcedureId {
        ProcedureId(self.id.clone())
    }
}

type Asked<R> = Result<PendingReply<R>, Refusal>;

impl Procedures {
    /// Those that this manager runs, when several do: ids are those of its store. The instances of a pool have a store each,
    /// and each is meant by its own name; without one, whichever is free would be asked.
    pub fn of(self, manager: &str) -> Self {
        Self { manager: Some(manager.to_owned()), ..self }
    }

    /// The same for somebody: who launches and steers stands in the records. Without it that is the process.
    pub fn as_user(self, by: &str) -> Self {
        Self { by: by.to_owned(), ..self }
    }

    fn ask<C: Command<Delivery: OneHandler>>(&self, command: C) -> Asked<C::Reply> {
        Self::ask_by(&self.scope, self.manager.as_deref(), command)
    }

    fn ask_by<C: Command<Delivery: OneHandler>>(
        scope: &Scope,
        to: Option<&str>,
        command: C,
    ) -> Asked<C::Reply> {
        match to {
            Some(manager) => scope.to(manager).request(command),
            None => scope.request(command),
        }
    }

    fn launching(&self, kind: &str, inputs: &impl Serialize) -> Result<LaunchProcedure, EncodeError> {
        let (kind, inputs, by) = (kind.to_owned(), as_json(inputs)?, self.by.clone());
        let folder =
            std::env::current_dir().ok().and_then(|folder| folder.into_os_string().into_string().ok());
        let folder = folder.unwrap_or_default();
        Ok(LaunchProcedure { kind, inputs, folder, by, ..LaunchProcedure::default() })
    }

    /// Launches a procedure. Answered as soon as there is a record of it: it can be reached by its id from then on.
    ///
    /// # Errors
    /// [`LaunchRefused`]. A kind that is not known and inputs that do not fit are told as the call's failure, a
    /// [`ProcedureError`](super::ProcedureError).
    pub fn launch(
        &self,
        kind: &str,
        inputs: &impl Serialize,
    ) -> Result<PendingReply<ProcedureId>, LaunchRefused> {
        Ok(self.ask(self.launching(kind, inputs)?)?)
    }

    /// Makes a procedure that begins when it is played.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    pub fn create(
        &self,
        kind: &str,
        inputs: &impl Serialize,
    ) -> Result<PendingReply<ProcedureId>, LaunchRefused> {
        Ok(self.ask(LaunchProcedure { is_held: true, ..self.launching(kind, inputs)? })?)
    }

    /// Launches a procedure with deadlines, or whatever else the command can say.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    pub fn launch_as(&self, command: LaunchProcedure) -> Asked<ProcedureId> {
        let by = if command.by.is_empty() { self.by.clone() } else { command.by.clone() };
        self.ask(LaunchProcedure { by, ..command })
    }

    /// A procedure that somebody is to run: for [`offer`](Self::offer).
    ///
    /// # Errors
    /// The inputs cannot be written.
    pub fn task(&self, kind: &str, inputs: &impl Serialize) -> Result<Task, EncodeError> {
        let LaunchProcedure { kind, inputs, folder, by, .. } = self.launching(kind, inputs)?;
        Ok(Task { kind, inputs, folder, by, ..Task::default() })
    }

    /// Offers a task to one runner, to one after the other until somebody takes it, or to all, whichever manager
    /// [`of`](Self::of) has said. Answered when it is known who has recorded it; it runs once, or once with each of all.
    ///
    /// A task that is [`named`](Task::named) may be offered again, by a step that is run again or after a crash: it is the
    /// same task, and whoever has it is the answer. For that, every runner has to answer.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use labrig::prelude::*;
    /// # use labrig::procedure::{TaskError, Whom};
    /// # #[derive(Serialize)] struct Inputs { up_to: u32 }
    /// # fn example(scope: &Scope) -> Result<(), Box<dyn std::error::Error>> {
    /// let procedures = scope.procedures();
    /// let task = procedures.task("count", &Inputs { up_to: 100 })?;
    /// match procedures.offer(task, Whom::Any)?.wait(Duration::MAX) {
    ///     Ok(placed) => {
    ///         let taken = &placed.taken[0];
    ///         let counted: u32 = procedures.of(&taken.runner).output(&taken.procedure(), Duration::MAX)?;
    ///         println!("{counted} by {}", taken.runner);
    ///     }
    ///     Err(error) => match error.downcast() {
    ///         Some(TaskError::NoTaker { declined, .. }) => println!("nobody takes it: {declined:?}"),
    ///         _ => return Err(error.into()),
    ///     },
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Refusal`] when the rig quits. A task that nobody takes, whose inputs are wrong, or of which it is not known whether
    /// it was taken, is told as the call's failure, a [`TaskError`](crate::remote::TaskError).
    pub fn offer(&self, task: Task, whom: Whom) -> Asked<Placement> {
        self.scope.request(PlaceTask { task, whom })
    }

    /// Launches a procedure and waits for its output, for at most `patience`.
    ///
    /// # Errors
    /// [`OutputError`]. A patience that ends takes nothing back.
    pub fn execute<O: DeserializeOwned + Schema + 'static>(
        &self,
        kind: &str,
        inputs: &impl Serialize,
        patience: Duration,
    ) -> Result<O, OutputError> {
        let id = self.launch(kind, inputs)?.wait(patience)?;
        self.output(&id, patience)
    }

    /// Waits until a procedure has ended, for at most `patience`, and gives its output.
    ///
    /// # Errors
    /// [`OutputError`], among others when it has not finished.
    pub fn output<O: DeserializeOwned + Schema + 'static>(
        &self,
        id: &ProcedureId,
        patience: Duration,
    ) -> Result<O, OutputError> {
        let record = self.end(id)?.wait(patience)?;
        let ProcedureRecord { id, state, text, .. } = record.clone();
        Ok(record.output().ok_or(OutputError::NotFinished { id, state, text })??)
    }

    /// The record of a procedure when it has ended; told of its progress meanwhile. It has no deadline, and is asked for
    /// again when the process that runs procedures dies and comes back.
    ///
    /// # Errors
    /// [`Refusal`]. An id that there is not is told as the call's failure.
    pub fn end(&self, id: &ProcedureId) -> Asked<ProcedureRecord> {
        let command = AwaitProcedure { id: id.0.clone() };
        Self::ask_by(&self.scope.without_deadline(), self.manager.as_deref(), command)
    }

    /// Goes on with a procedure that is paused; with a checkpoint, by tag or by the number of its step, makes a new one
    /// that begins there. The id is that of the one that goes on.
    ///
    /// # Errors
    /// [`Refusal`]. A checkpoint that is damaged, or of another version, is told as the call's failure, with the newest
    /// one that is not.
    pub fn continue_from(&self, id: &ProcedureId, checkpoint: &str) -> Asked<ProcedureId> {
        let (id, checkpoint, by) = (id.0.clone(), checkpoint.to_owned(), self.by.clone());
        self.ask(ContinueProcedure { id, checkpoint, by })
    }

    /// Pauses a procedure: at once when it waits, else when its step has ended. Answered then.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn pause(&self, id: &ProcedureId, text: &str) -> Asked<Answered> {
        self.ask(PauseProcedure { id: id.0.clone(), text: text.to_owned(), by: self.by.clone() })
    }

    /// Has a procedure go on, or begin.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn play(&self, id: &ProcedureId, text: &str) -> Asked<Answered> {
        self.ask(PlayProcedure { id: id.0.clone(), text: text.to_owned(), by: self.by.clone() })
    }

    /// Kills a procedure and its children. Answered when that is done; a kill by force by the next life of the process.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn kill(&self, id: &ProcedureId, text: &str, level: KillLevel) -> Asked<Answered> {
        self.ask(KillProcedure { id: id.0.clone(), text: text.to_owned(), level, by: self.by.clone() })
    }

    /// Pauses all procedures that are not final.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn pause_all(&self, text: &str) -> Asked<Vec<Answered>> {
        self.steer_all(Deed::Pause, text)
    }

    /// Has all procedures go on that are paused or held.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn play_all(&self, text: &str) -> Asked<Vec<Answered>> {
        self.steer_all(Deed::Play, text)
    }

    /// Kills all procedures, each when its step has ended.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn kill_all(&self, text: &str) -> Asked<Vec<Answered>> {
        self.steer_all(Deed::Kill, text)
    }

    fn steer_all(&self, deed: Deed, text: &str) -> Asked<Vec<Answered>> {
        self.ask(SteerAll { deed, text: text.to_owned(), by: self.by.clone() })
    }

    /// The record of a procedure, also of one that has ended long ago.
    ///
    /// # Errors
    /// [`Refusal`]. An id that there is not is told as the call's failure.
    pub fn status(&self, id: &ProcedureId) -> Asked<ProcedureRecord> {
        self.ask(ProcedureStatus { id: id.0.clone() })
    }

    /// The records of all procedures, newest first.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn list(&self) -> Asked<Vec<ProcedureRecord>> {
        self.ask(ListProcedures::default())
    }

    /// The records of the children of a procedure, newest first.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn children(&self, id: &ProcedureId) -> Asked<Vec<ProcedureRecord>> {
        self.ask(ListProcedures { is_active: false, parent: id.0.clone() })
    }

    /// The checkpoints of a procedure, oldest first.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn checkpoints(&self, id: &ProcedureId) -> Asked<Vec<CheckpointRecord>> {
        self.ask(ProcedureCheckpoints { id: id.0.clone() })
    }

    /// Removes the checkpoints of a procedure that have a tag; says whether there were any. The last of all stays, without
    /// the tag.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn delete_checkpoint(&self, id: &ProcedureId, tag: &str) -> Asked<bool> {
        self.ask(DeleteCheckpoint { id: id.0.clone(), tag: tag.to_owned() })
    }

    /// The changes of state behind that number, as soon as there are any; without a number, the next ones.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn changes_after(&self, after: Option<u64>, id: Option<&ProcedureId>) -> Asked<Vec<StateChange>> {
        let id = id.map(|id| id.0.clone()).unwrap_or_default();
        let command = ProcedureChanges { after, id };
        Self::ask_by(&self.scope.without_deadline(), self.manager.as_deref(), command)
    }

    /// All changes of state of a procedure, from its making on; of all procedures and from now on, when none is named. They
    /// are kept in the store, so that none is missed while the process that runs procedures dies and comes back.
    pub fn watch(&self, id: Option<&ProcedureId>) -> Watch {
        let after = id.map(|_| 0);
        Watch {
            procedures: self.clone(),
            id: id.cloned(),
            after,
            ready: Vec::new().into_iter(),
            is_over: false,
        }
    }
}

/// Changes of state as they happen; see [`Procedures::watch`]. The watch of one procedure ends with it.
pub struct Watch {
    procedures: Procedures,
    id: Option<ProcedureId>,
    after: Option<u64>,
    ready: std::vec::IntoIter<StateChange>,
    is_over: bool,
}

impl Iterator for Watch {
    type Item = Result<StateChange, CallError>;

    /// Waits for the next change. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.is_over {
                return None;
            }
            if let Some(change) = self.ready.next() {
                self.after = Some(change.sequence);
                self.is_over = self.id.is_some() && change.to.is_final();
                return Some(Ok(change));
            }
            let asked = self.procedures.changes_after(self.after, self.id.as_ref());
            match asked.map_err(CallError::from).and_then(|pending| pending.wait(Duration::MAX)) {
                Ok(changes) => self.ready = changes.into_iter(),
                Err(why) => {
                    self.is_over = true;
                    return Some(Err(why));
                }
            }
        }
    }
}
