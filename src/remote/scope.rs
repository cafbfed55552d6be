//! The handle from which commands are sent, from any thread of any process of the rig.

use std::cell::RefCell;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::addressed::Addressed;
use super::any_signal::AnySignal;
use super::call_error::CallError;
use super::estate::Estate;
use super::keys::{self, StepKeys};
use super::orders::{Arm, Armed, Restart, Restarted, StopAll, StopReport};
use super::pending_broadcast::PendingBroadcast;
use super::pending_reply::{PendingReply, read_reply};
use super::port::{Outgoing, Port};
use super::remote_ref::{KeepError, RemoteCommand, RemoteHandle, RemoteRef, RemoteValue};
use super::shared::{CounterReader, DatasetReader, RowReader, SharedError, TableReader, ValueReader};
use super::signal::{SignalError, SignalReader};
use super::slot::Slot;
use super::stream::{FrameStream, StreamError};
use super::waiting::{LONGEST, Waiting};
use crate::wire::envelope::MAX_CHAIN;
use crate::wire::{
    Attached, Broadcast, Command, CommandSpec, Header, Hop, Hops, IdempotencyKey, Kind, MAX_PAYLOAD_BYTES,
    OneHandler, Refusal, Schema, SignalValue, Signals, Target, Undelivered,
    codec::{self, EncodeError},
};

/// How much longer a blocking call waits than it may take: its deadline is kept where it is routed, and the
/// word of that has a way to go. Only a coordinator that says nothing at all makes it wait so long.
const GRACE: Duration = Duration::from_secs(1);

/// Sends commands into the rig. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Scope {
    port: Arc<dyn Port>,
    /// The calls that led to the handler that sends, outermost first.
    chain: Hops,
    /// What is left of the time of the call being handled.
    deadline: Option<Instant>,
    asked_for: AskedFor,
    /// What keys its commands get; none, unless it is that of a procedure's step.
    keys: Option<Arc<StepKeys>>,
}

/// Where a command is to go.
#[derive(Clone, Copy)]
pub(super) enum Goal<'a> {
    Route,
    Named(&'a str),
    /// To whoever has the value.
    Value(&'a RemoteHandle),
}

impl Goal<'_> {
    fn target(self) -> Target {
        match self {
            Self::Named(manager) => Target::Named(manager.to_owned()),
            Self::Route | Self::Value(_) => Target::Route,
        }
    }

    /// What travels beside the command: for a method, the handle of its value behind all others.
    fn beside(self, attached: Option<Box<Attached>>) -> Option<Box<Attached>> {
        let Self::Value(handle) = self else { return attached };
        let mut attached = attached.unwrap_or_default();
        attached.handles.push(handle.passing());
        Some(attached)
    }
}

/// The handler that a thread runs, as far as calls from it are to know: handles call from wherever they are.
#[derive(Default)]
struct Handling {
    chain: Hops,
    deadline: Option<Instant>,
}

thread_local! {
    static HANDLING: RefCell<Handling> = RefCell::default();
}

/// How long calls may take, as far as the sender has said.
#[derive(Clone, Copy)]
enum AskedFor {
    Nothing,
    Within(Duration),
    Forever,
}

impl Scope {
    /// A scope over a port.
    pub(crate) fn new(port: Arc<dyn Port>) -> Self {
        Self { port, chain: Hops::new(), deadline: None, asked_for: AskedFor::Nothing, keys: None }
    }

    /// The same scope, for a step of a procedure: its commands get these keys, or none.
    #[cfg(feature = "procedures")]
    pub(crate) fn keyed(&self, keys: Option<Arc<StepKeys>>) -> Self {
        Self { keys, ..self.clone() }
    }

    /// A handler begins that sends from here: its calls remember what led to them, and end with it.
    pub(crate) fn enter(&mut self, led: &[Hop], own: Hop, deadline: Option<Instant>) {
        self.chain.clear();
        self.chain.extend_from_slice(led);
        self.chain.push(own);
        self.deadline = deadline;
        HANDLING.with_borrow_mut(|handling| {
            handling.chain.clone_from(&self.chain);
            handling.deadline = deadline;
        });
    }

    /// The handler has ended.
    pub(crate) fn leave(&mut self) {
        self.chain.clear();
        self.deadline = None;
        HANDLING.with_borrow_mut(|handling| {
            handling.chain.clear();
            handling.deadline = None;
        });
    }

    /// The same scope for calls that may take so long, from when they are sent: longer or shorter than the
    /// deadline of the command's type, or of the rig. One-way commands have no deadline.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use labrig::prelude::*;
    /// # #[derive(Command, Serialize, Deserialize, Schema)]
    /// # struct Home {}
    /// # fn example(scope: &Scope) -> Result<(), CallError> {
    /// let minute = Duration::from_secs(60);
    /// let pending = scope.with_deadline(minute).request(Home {})?;
    /// scope.with_deadline(minute).to("stage_x").call(Home {})?;
    /// # pending.wait(minute)
    /// # }
    /// ```
    ///
    /// A handler's calls never get more time than is left of the call that it handles.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { asked_for: AskedFor::Within(deadline), ..self.clone() }
    }

    /// The same scope for calls that may take for ever. A handler's calls still end with the call that it
    /// handles.
    pub fn without_deadline(&self) -> Self {
        Self { asked_for: AskedFor::Forever, ..self.clone() }
    }

    /// Asks the one manager, or the scope, that serves the command. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that the command will not run; see its variants.
    pub fn request<C: Command<Delivery: OneHandler>>(
        &self,
        command: C,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        self.request_at(Goal::Route, &command)
    }

    /// Sends a command whose outcome does not matter. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that the command will not run; see its variants.
    pub fn send<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<(), Refusal> {
        self.offer(C::spec(), Kind::Send, Goal::Route, &command, None).map(drop)
    }

    /// Asks every manager that has a handler. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that the command will run nowhere.
    pub fn broadcast<C: Command<Delivery = Broadcast>>(
        &self,
        command: C,
    ) -> Result<PendingBroadcast<C>, Refusal> {
        let waiting = self.ask(&command, Goal::Route, Kind::Broadcast)?;
        Ok(PendingBroadcast::new(waiting))
    }

    /// Addresses one manager by name, when several serve a command.
    pub fn to<'a>(&'a self, manager: &'a str) -> Addressed<'a> {
        Addressed { scope: self, manager }
    }

    /// Asks and waits for the reply, for as long as the call may take.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub fn call<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<C::Reply, CallError> {
        self.call_at(Goal::Route, &command)
    }

    /// Measures a round trip to a manager's worker. A worker that is busy answers when it is not.
    ///
    /// # Errors
    /// [`CallError`] when the manager is absent, dead, or does not answer in time.
    pub fn ping(&self, manager: &str, patience: Duration) -> Result<Duration, CallError> {
        let begin = Instant::now();
        self.to(manager).request(Ping {})?.wait(patience)?;
        Ok(begin.elapsed())
    }

    /// Asks the rig to quit in good order. A second request is harmless.
    pub fn quit(&self) {
        self.port.quit("");
    }

    /// Everything to its safe state now, over the urgent lane, without quitting. What was accepted before ends as
    /// cancelled; a command that is sent afterwards runs. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when the rig quits, which brings everything to its safe state too.
    pub fn stop_all(&self) -> Result<PendingReply<StopReport>, Refusal> {
        self.request(StopAll {})
    }

    /// An inactive manager may move again. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when the rig quits; a manager that there is not is told as the call's failure.
    pub fn arm(&self, manager: &str) -> Result<PendingReply<Armed>, Refusal> {
        self.request(Arm { manager: manager.to_owned() })
    }

    /// A manager is to be ended in good order and started again. Returns at once; the reply comes when it is ready.
    ///
    /// # Errors
    /// [`Refusal`] when the rig quits; a manager that there is not, or that cannot be started, is told as the
    /// call's failure.
    pub fn restart(&self, manager: &str) -> Result<PendingReply<Restarted>, Refusal> {
        self.request(Restart { manager: manager.to_owned() })
    }

    /// A stream of the rig, to be read by a thread of the coordinator's process.
    ///
    /// # Errors
    /// [`StreamError::Unknown`] when the rig has no such stream; nothing is joined before the first frame is
    /// asked for.
    pub fn stream(&self, name: &str) -> Result<FrameStream, StreamError> {
        self.port.find_stream(name)?;
        Ok(FrameStream::new(Arc::clone(&self.port), name.to_owned()))
    }

    /// The reader of a signal, called `manager.signal`. In the coordinator's process this costs next to nothing; in a
    /// manager the first signal of another manager is asked for at the coordinator, and it waits for the answer, in set-up
    /// too.
    ///
    /// # Errors
    /// - [`SignalError::UnknownManager`], [`SignalError::Unknown`]: there is no such signal; those that there are are
    ///   named.
    /// - [`SignalError::WrongType`]: it is not a `T`.
    pub fn signal<T: SignalValue>(&self, name: &str) -> Result<SignalReader<T>, SignalError> {
        SignalReader::of_signal(&self.port, name)
    }

    /// The reader of a signal of whatever type, called `manager.signal`: its values are JSON.
    ///
    /// # Errors
    /// - [`SignalError::UnknownManager`], [`SignalError::Unknown`]: there is no such signal; those that there are are
    ///   named.
    pub fn any_signal(&self, name: &str) -> Result<AnySignal, SignalError> {
        AnySignal::of(&self.port, name)
    }

    /// The reader of a whole set of signals of a manager: all of one publication.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn signals<S: Signals>(&self, manager: &str) -> Result<SignalReader<S>, SignalError> {
        SignalReader::of_set(&self.port, manager)
    }

    /// Follows the row ring `manager.object`: what is there already comes first. As with [`signal`](Self::signal), in a
    /// manager the first object of another manager is asked for at the coordinator.
    ///
    /// # Errors
    /// - [`SharedError::Unknown`]: there is no such object; those that there are are named.
    /// - [`SharedError::WrongType`]: it is no row ring.
    pub fn rows(&self, name: &str) -> Result<RowReader, SharedError> {
        RowReader::of(&self.port, name)
    }

    /// Reads the latest value that `manager.object` was given.
    ///
    /// # Errors
    /// As [`rows`](Self::rows); also when it is no `T`.
    pub fn latest_value<T>(&self, name: &str) -> Result<ValueReader<T>, SharedError>
    where
        T: Schema + DeserializeOwned + 'static,
    {
        ValueReader::of(&self.port, name)
    }

    /// Reads the table `manager.object`.
    ///
    /// # Errors
    /// As [`rows`](Self::rows); also when its keys are no `K` or its rows no `R`.
    pub fn table<K, R>(&self, name: &str) -> Result<TableReader<K, R>, SharedError>
    where
        K: SignalValue + Eq + Hash,
        R: Signals,
    {
        TableReader::of(&self.port, name)
    }

    /// Reads the dataset `manager.object`.
    ///
    /// # Errors
    /// As [`rows`](Self::rows); also when its records are no `R`.
    pub fn dataset<R: Signals>(&self, name: &str) -> Result<DatasetReader<R>, SharedError> {
        DatasetReader::of(&self.port, name)
    }

    /// Reads the counters `manager.object`.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn counters(&self, name: &str) -> Result<CounterReader, SharedError> {
        CounterReader::of(&self.port, name)
    }

    /// Reports that something which was to be kept is lost. It is logged, counted by `what` (a word or two,
    /// such as `unreadable image`) and told in the run's summary; `detail` says which one, and why.
    pub fn report_loss(&self, what: &str, detail: &str) {
        self.port.report_loss(what, detail);
    }

    /// Tells the caller of the command being handled how far it is.
    pub(crate) fn report_progress(&self, call: u64, progress: crate::wire::Progress) {
        self.port.report_progress(call, progress);
    }

    /// From now on the callback is told of one-way commands that were accepted and then did not run, with the
    /// reason: in the coordinator of those of all processes, in a manager of its own. It runs on the thread for
    /// callbacks. Several may be registered; none is ever taken back.
    pub fn on_undelivered(&self, callback: impl Fn(&Undelivered) + Send + Sync + 'static) {
        self.port.on_undelivered(Arc::new(callback));
    }

    /// Leaves a value in this process, and gives the handle by which others call its methods: to be passed on in a command,
    /// or given back in a reply. They run one after the other where handlers do. The value is dropped when nobody has a
    /// handle to it any longer.
    ///
    /// # Errors
    /// [`KeepError`]: too many are kept already.
    pub fn remote<T: RemoteValue>(&self, value: T) -> Result<RemoteRef<T>, KeepError> {
        RemoteRef::keep(self.estate(), value)
    }

    /// What this process has of values.
    pub(crate) fn estate(&self) -> &Arc<Estate> {
        self.port.estate()
    }

    /// The scope of the handler that this thread runs, if it does.
    pub(super) fn of_this_thread(port: Arc<dyn Port>) -> Self {
        let (chain, deadline) = HANDLING.with_borrow(|it| (it.chain.clone(), it.deadline));
        Self { chain, deadline, ..Self::new(port) }
    }

    pub(super) fn request_method<C: RemoteCommand>(
        &self,
        handle: &RemoteHandle,
        method: &C,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        let waiting = self.ask(method, Goal::Value(handle), Kind::Request)?;
        Ok(PendingReply::new(waiting, read_reply))
    }

    pub(super) fn call_method<C: RemoteCommand>(
        &self,
        handle: &RemoteHandle,
        method: &C,
    ) -> Result<C::Reply, CallError> {
        self.call_at(Goal::Value(handle), method)
    }

    pub(super) fn request_at<C: Command>(
        &self,
        goal: Goal<'_>,
        command: &C,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        Ok(PendingReply::new(self.ask(command, goal, Kind::Request)?, read_reply))
    }

    pub(super) fn call_at<C: Command>(&self, goal: Goal<'_>, command: &C) -> Result<C::Reply, CallError> {
        let patience = self.limit(C::spec()).map_or(LONGEST, |limit| limit.saturating_add(GRACE));
        let waiting = self.ask(command, goal, Kind::Call)?.announced();
        PendingReply::new(waiting, read_reply).wait(patience)
    }

    fn ask<C: Command>(&self, command: &C, goal: Goal<'_>, kind: Kind) -> Result<Waiting, Refusal> {
        let slot = Arc::new(Slot::default());
        let call = self.offer(C::spec(), kind, goal, command, Some(&slot))?;
        Ok(Waiting::new(Arc::clone(&self.port), slot, call, C::spec()))
    }

    pub(super) fn offer<C: Command>(
        &self,
        spec: &'static CommandSpec,
        kind: Kind,
        goal: Goal<'_>,
        command: &C,
        slot: Option<&Arc<Slot>>,
    ) -> Result<u64, Refusal> {
        let key = self.key_for(spec);
        let mut header = self.header_of(spec, kind, goal.target())?;
        codec::lend_postcard(command, |payload, attached| {
            let payload = sendable(spec, payload)?;
            header.attached = keys::beside(goal.beside(attached), key);
            self.port.submit(Outgoing { header, spec, payload, slot: slot.map(Arc::clone) })
        })
    }

    /// The key of a command that is issued now, if it has one.
    pub(super) fn key_for(&self, spec: &CommandSpec) -> Option<Box<IdempotencyKey>> {
        if !spec.journaled {
            return None;
        }
        self.keys.as_ref().map(|keys| Box::new(keys.take()))
    }

    /// The header of a command that is sent from here.
    pub(super) fn header_of(
        &self,
        spec: &CommandSpec,
        kind: Kind,
        target: Target,
    ) -> Result<Header, Refusal> {
        if self.chain.len() >= MAX_CHAIN {
            let name = spec.name.clone();
            return Err(Refusal::TooDeep { command: name, depth: self.chain.len(), limit: MAX_CHAIN });
        }
        let limit = if kind == Kind::Send { None } else { self.limit(spec) };
        let (time_left_us, chain) = (limit.map_or(0, in_us), self.chain.clone());
        Ok(Header { command: spec.id, time_left_us, target, chain, ..Header::new(kind) })
    }

    /// What stands behind it.
    #[cfg(feature = "procedures")]
    pub(super) fn port(&self) -> &Arc<dyn Port> {
        &self.port
    }

    /// How long a call of that command may take: what the sender asked for, else what its type says, else what
    /// the rig does; and never more than what is left of the call being handled.
    fn limit(&self, spec: &CommandSpec) -> Option<Duration> {
        let own = match self.asked_for {
            AskedFor::Within(limit) => Some(limit),
            AskedFor::Forever => None,
            AskedFor::Nothing => own_deadline(spec).or_else(|| Some(self.port.default_deadline())),
        };
        let left = self.deadline.map(|end| end.saturating_duration_since(Instant::now()));
        own.into_iter().chain(left).min()
    }
}

/// The deadline that the command's type asks for.
fn own_deadline(spec: &CommandSpec) -> Option<Duration> {
    spec.deadline_ms.map(Duration::from_millis)
}

/// The time left as an envelope says it: 0 would be none, so a spent deadline is the smallest that there is.
fn in_us(limit: Duration) -> u64 {
    u64::try_from(limit.min(LONGEST).as_micros()).unwrap_or(u64::MAX).max(1)
}

fn sendable<'a>(spec: &CommandSpec, payload: Result<&'a [u8], EncodeError>) -> Result<&'a [u8], Refusal> {
    let name = || spec.name.clone();
    let payload = payload.map_err(|error| Refusal::NotEncodable { command: name(), reason: error.reason })?;
    match payload.len() {
        bytes if bytes > MAX_PAYLOAD_BYTES => {
            Err(Refusal::TooLarge { command: name(), bytes, limit: MAX_PAYLOAD_BYTES })
        }
        _ => Ok(payload),
    }
}

/// Answered by every manager's worker, without a handler.
#[derive(crate::Command, crate::Schema, serde::Serialize, serde::Deserialize, Debug, Clone)]
pub struct Ping {}
