//! The runner behind the commands of its manager: answers come when they are true.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::asking::Watching;
use super::commands::{
    Answered, AwaitProcedure, CheckpointRecord, ContinueProcedure, Deed, KillLevel, KillProcedure,
    LaunchProcedure, ListProcedures, Outcome, PauseProcedure, PlayProcedure, ProcedureChanges,
    ProcedureError, ProcedureId, ProcedureRecord, StateChange, SteerAll,
};
use super::entry::{Awaiting, Order, Respond};
use super::registration::ProcedureRegistration;
use super::runner::Runner;
use super::taking::Terms;
use crate::macros::Schema;
use crate::registry::{Context, LateAnswer, SetupError};
use crate::remote::{OfferTask, TaskAnswer, WhichHaveEnded};
use crate::wire::schema::{Node, SchemaBuilder, Shape, Variant};
use crate::wire::{Command, Progress};

/// The table `[managers.<name>.config]` of a manager that runs procedures.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(default)]
pub struct ServiceConfig {
    /// How many procedures are at their steps at a time; others wait for their turn. One that waits for a time, a
    /// signal or a child does not count.
    #[schema(min = 1, max = 1024)]
    pub limit: u32,
    /// What becomes of procedures that were under way when the process that ran them ended.
    pub resume: Resume,
    /// The kinds that it takes, of launches and of tasks; all that its program has when not said. Children of its procedures
    /// are of any kind.
    pub kinds: Option<Vec<Kind>>,
    /// How many procedures may wait for their turn before launches and tasks are refused; any number when not said.
    pub queue_limit: Option<u32>,
    /// The file in which procedures are kept; `procedures/<manager>.sqlite` in the rig's state folder when not said.
    pub store: Option<PathBuf>,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self { limit: 8, resume: Resume::Auto, kinds: None, queue_limit: None, store: None }
    }
}

/// A kind of procedure that the program has. Its schema lists them, so that any other is a fault of the config.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(transparent)]
pub struct Kind(pub String);

#[diagnostic::do_not_recommend]
impl crate::Schema for Kind {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        let variant = |kind: &&ProcedureRegistration| {
            let (name, doc) = (kind.kind.to_owned(), (kind.doc)());
            Variant { name, doc, shape: Shape::Unit }
        };
        let doc = "A kind of procedure that the program has.";
        builder.named("labrig::procedure::service::Kind", doc, |_| {
            Shape::Enum(ProcedureRegistration::all().iter().map(variant).collect())
        })
    }
}

/// What becomes of procedures that were under way when the process that ran them ended.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// They go on as soon as the rig has started.
    Auto,
    /// They are paused, and go on when they are played.
    Manual,
}

/// All procedures of one manager.
pub struct Service {
    runner: Arc<Runner>,
}

type Answer<T> = Result<T, ProcedureError>;

impl Service {
    /// Opens the store; procedures go on when the rig has started.
    ///
    /// # Errors
    /// The store cannot be opened, or two kinds of procedures that are linked into the program have one name.
    pub fn open(config: ServiceConfig, context: &mut Context) -> Result<Self, SetupError> {
        if let Some((kind, [first, second])) = ProcedureRegistration::doubled() {
            let text = format!("two procedures are called `{kind}`: at {first} and at {second}");
            return Err(SetupError::new(text));
        }
        let own = || context.state_dir().join("procedures").join(format!("{}.sqlite", context.manager()));
        let path = config.store.clone().unwrap_or_else(own);
        let owner = format!("manager `{}` of rig `{}`", context.manager(), context.rig());
        let kinds = config.kinds.map(|kinds| kinds.into_iter().map(|kind| kind.0).collect());
        let terms = Terms { limit: config.limit, kinds, queue_limit: config.queue_limit };
        let runner = Runner::open(&path, &owner, context.scope(), terms)?;
        let (resumed, goes_on) = (Arc::clone(&runner), config.resume == Resume::Auto);
        context.when_started(move || {
            if let Err(why) = resumed.resume(goes_on) {
                log::error!("procedures cannot be resumed: {why}");
            }
        })?;
        Ok(Self { runner })
    }

    /// Everything is to its safe state, and the process goes on: procedures are paused.
    pub fn hold_all(&self, why: &str) {
        self.runner.hold_all(why);
    }

    /// The process ends; steps get so long to end.
    pub fn stop(&self, patience: Duration) {
        self.runner.stop(patience);
    }

    /// Launches a procedure.
    ///
    /// # Errors
    /// [`ProcedureError`], of which there is no record then.
    pub fn launch(&self, command: &LaunchProcedure) -> Answer<ProcedureId> {
        self.runner.launch(command)
    }

    /// Takes a task, once, or says why not.
    ///
    /// # Errors
    /// [`ProcedureError::Store`]; it is not known then whether there is a record of it.
    pub fn take(&self, offer: &OfferTask) -> Answer<TaskAnswer> {
        self.runner.take(offer)
    }

    /// Goes on with a procedure, or with a new one from a checkpoint of it.
    ///
    /// # Errors
    /// [`ProcedureError`], among others for a checkpoint that cannot be used.
    pub fn go_on(&self, command: &ContinueProcedure) -> Answer<ProcedureId> {
        self.runner.go_on(command)
    }

    /// Pauses a procedure; answers when it is.
    ///
    /// # Errors
    /// [`ProcedureError::Store`].
    pub fn pause(&self, command: PauseProcedure, answer: LateAnswer<PauseProcedure>) -> Answer<()> {
        let PauseProcedure { id, text, by } = command;
        self.runner.pause(&id, &Order { by, text }, self.respond(&id, move |answered| answer.done(&answered)))
    }

    /// Plays a procedure.
    ///
    /// # Errors
    /// [`ProcedureError::Store`].
    pub fn play(&self, command: PlayProcedure) -> Answer<Answered> {
        let PlayProcedure { id, text, by } = command;
        let outcome = self.runner.play(&id, &Order { by, text })?;
        Ok(answered(&self.runner, &id, outcome))
    }

    /// Kills a procedure; answers when it is.
    ///
    /// # Errors
    /// [`ProcedureError::Store`].
    pub fn kill(&self, command: KillProcedure, answer: LateAnswer<KillProcedure>) -> Answer<()> {
        let KillProcedure { id, text, level, by } = command;
        let respond = self.respond(&id, move |answered| answer.done(&answered));
        self.runner.kill(&id, level, &Order { by, text }, respond)
    }

    /// Steers all procedures; answers when that has taken effect on each.
    ///
    /// # Errors
    /// [`ProcedureError::Store`].
    pub fn steer_all(&self, command: SteerAll, answer: LateAnswer<SteerAll>) -> Answer<()> {
        let SteerAll { deed, text, by } = command;
        let (ids, order) = (self.runner.active()?, Order { by, text });
        let all = Arc::new(Gathering { answer: Mutex::new(Some(answer)), answers: Mutex::default() });
        for id in &ids {
            let (all, count) = (Arc::clone(&all), ids.len());
            let respond = self.respond(&id.0, move |answered| all.add(answered, count));
            match deed {
                Deed::Pause => self.runner.pause(&id.0, &order, respond)?,
                Deed::Play => respond(self.runner.play(&id.0, &order)?),
                Deed::Kill => self.runner.kill(&id.0, KillLevel::NextStep, &order, respond)?,
            }
        }
        if ids.is_empty() {
            all.tell(&Vec::new());
        }
        Ok(())
    }

    fn respond(&self, id: &str, tell: impl FnOnce(Answered) + Send + 'static) -> Respond {
        // An answer may be given while the procedure's desk is held, so that only the store is asked here.
        let (runner, id) = (Arc::downgrade(&self.runner), id.to_owned());
        Box::new(move |outcome| {
            if let Some(runner) = runner.upgrade() {
                tell(answered(&runner, &id, outcome));
            }
        })
    }

    /// The record of a procedure.
    ///
    /// # Errors
    /// [`ProcedureError::UnknownId`], [`ProcedureError::Store`].
    pub fn record(&self, id: &str) -> Answer<ProcedureRecord> {
        self.runner.record(id)
    }

    /// The records of procedures, newest first.
    ///
    /// # Errors
    /// [`ProcedureError::UnknownId`] of a parent, [`ProcedureError::Store`].
    pub fn list(&self, command: &ListProcedures) -> Answer<Vec<ProcedureRecord>> {
        self.runner.list(command.is_active, &command.parent)
    }

    /// The checkpoints of a procedure, oldest first.
    ///
    /// # Errors
    /// [`ProcedureError::UnknownId`], [`ProcedureError::Store`].
    pub fn checkpoints(&self, id: &str) -> Answer<Vec<CheckpointRecord>> {
        self.runner.checkpoints(id)
    }

    /// Removes the checkpoints with a tag.
    ///
    /// # Errors
    /// [`ProcedureError::UnknownId`], [`ProcedureError::Store`].
    pub fn delete_checkpoints(&self, id: &str, tag: &str) -> Answer<bool> {
        self.runner.delete_checkpoints(id, tag)
    }

    /// Those of these marks whose procedures have ended: what a manager that was away then asks.
    ///
    /// # Errors
    /// [`ProcedureError::Store`].
    pub fn which_have_ended(&self, command: &WhichHaveEnded) -> Answer<Vec<u64>> {
        self.runner.ended_among(&command.marks)
    }

    /// Answers when a procedure has ended.
    ///
    /// # Errors
    /// [`ProcedureError::UnknownId`], [`ProcedureError::Store`].
    pub fn await_end(&self, id: &str, answer: LateAnswer<AwaitProcedure>) -> Answer<()> {
        self.runner.await_end(id, Box::new(Listener(answer)))
    }

    /// Answers when there are changes.
    ///
    /// # Errors
    /// [`ProcedureError::UnknownId`], [`ProcedureError::Store`].
    pub fn watch(&self, command: &ProcedureChanges, answer: LateAnswer<ProcedureChanges>) -> Answer<()> {
        self.runner.watch(command.after, &command.id, Box::new(Listener(answer)))
    }
}

/// What somebody is told who has asked for something to be done with a procedure.
fn answered(runner: &Runner, id: &str, outcome: Outcome) -> Answered {
    match runner.find(id) {
        Ok(row) => Answered { id: row.id(), outcome, state: Some(row.state) },
        Err(_) => Answered { id: ProcedureId::from(id), outcome, state: None },
    }
}

/// Answers that come one by one, for somebody who wants all of them.
struct Gathering {
    answer: Mutex<Option<LateAnswer<SteerAll>>>,
    answers: Mutex<Vec<Answered>>,
}

impl Gathering {
    fn add(&self, answered: Answered, count: usize) {
        let mut answers = self.answers.lock();
        answers.push(answered);
        if answers.len() == count {
            self.tell(&answers);
        }
    }

    fn tell(&self, answers: &Vec<Answered>) {
        if let Some(answer) = self.answer.lock().take() {
            answer.done(answers);
        }
    }
}

/// A caller that waits for something to happen.
struct Listener<C: Command>(LateAnswer<C>);

impl Awaiting for Listener<AwaitProcedure> {
    fn ended(self: Box<Self>, record: &ProcedureRecord) {
        self.0.done(record);
    }

    fn progressed(&self, progress: &Progress) {
        self.0.progress(progress.done, progress.total, &progress.note);
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }
}

impl Watching for Listener<ProcedureChanges> {
    fn tell(self: Box<Self>, changes: Vec<StateChange>) {
        self.0.done(&changes);
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }
}
