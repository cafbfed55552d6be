//! The handle from which commands are sent, from any thread of any process of the rig.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call_error::CallError;
use super::pending_reply::{PendingBroadcast, PendingReply, Waiting};
use super::port::{Outgoing, Port};
use super::slot::Slot;
use super::stream::{FrameStream, StreamError};
use crate::wire::envelope::MAX_CHAIN;
use crate::wire::{
    Broadcast, Command, CommandSpec, Header, Hop, Kind, MAX_PAYLOAD_BYTES, OneHandler, Refusal, Target, codec,
};

/// Sends commands into the rig. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Scope {
    port: Arc<dyn Port>,
    /// The calls that led to the handler that sends, outermost first.
    chain: Vec<Hop>,
    /// What is left of the time of the call being handled.
    deadline: Option<Instant>,
}

impl Scope {
    /// A scope over a port.
    pub(crate) fn new(port: Arc<dyn Port>) -> Self {
        Self { port, chain: Vec::new(), deadline: None }
    }

    /// The scope from which a handler sends: calls remember what led to them, and end with it.
    pub(crate) fn within(&self, chain: Vec<Hop>, deadline: Option<Instant>) -> Self {
        Self { port: Arc::clone(&self.port), chain, deadline }
    }

    /// Asks the one manager, or the scope, that serves the command. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that the command will not run; see its variants.
    pub fn request<C: Command<Delivery: OneHandler>>(
        &self,
        command: C,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        self.ask(command, Target::Route, Kind::Request)
    }

    /// Sends a command whose outcome does not matter. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that the command will not run; see its variants.
    pub fn send<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<(), Refusal> {
        self.offer(C::spec(), Kind::Send, Target::Route, &command, None).map(drop)
    }

    /// Asks every manager that has a handler. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that the command will run nowhere.
    pub fn broadcast<C: Command<Delivery = Broadcast>>(
        &self,
        command: C,
    ) -> Result<PendingBroadcast<C>, Refusal> {
        let slot = Arc::new(Slot::default());
        let correlation = self.offer(C::spec(), Kind::Broadcast, Target::Route, &command, Some(&slot))?;
        Ok(PendingBroadcast::new(self.waiting(C::spec(), slot, correlation, false)))
    }

    /// Addresses one manager by name, when several serve a command.
    pub fn to<'a>(&'a self, manager: &'a str) -> Addressed<'a> {
        Addressed { scope: self, manager }
    }

    /// Asks and waits for the reply, for as long as a call may take that does not say otherwise.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub fn call<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<C::Reply, CallError> {
        let patience = self.patience();
        self.ask(command, Target::Route, Kind::Call)?.wait(patience)
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

    /// A stream of the rig, to be read by a thread of the coordinator's process.
    ///
    /// # Errors
    /// [`StreamError::Unknown`] when the rig has no such stream; nothing is joined before the first frame is
    /// asked for.
    pub fn stream(&self, name: &str) -> Result<FrameStream, StreamError> {
        self.port.find_stream(name)?;
        Ok(FrameStream::new(Arc::clone(&self.port), name.to_owned()))
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

    /// How long a call from here may take.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_micros(self.time_left_us())
    }

    fn ask<C: Command>(
        &self,
        command: C,
        target: Target,
        kind: Kind,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        let slot = Arc::new(Slot::default());
        let correlation = self.offer(C::spec(), kind, target, &command, Some(&slot))?;
        Ok(PendingReply::new(self.waiting(C::spec(), slot, correlation, kind == Kind::Call)))
    }

    fn waiting(
        &self,
        spec: &'static CommandSpec,
        slot: Arc<Slot>,
        correlation: u64,
        is_announced: bool,
    ) -> Waiting {
        Waiting { port: Arc::clone(&self.port), slot, correlation, spec, is_announced }
    }

    fn offer<C: Command>(
        &self,
        spec: &'static CommandSpec,
        kind: Kind,
        target: Target,
        command: &C,
        slot: Option<&Arc<Slot>>,
    ) -> Result<u64, Refusal> {
        let payload = encoded(spec, command)?;
        if self.chain.len() >= MAX_CHAIN {
            let name = spec.name.clone();
            return Err(Refusal::TooDeep { command: name, depth: self.chain.len(), limit: MAX_CHAIN });
        }
        let time_left_us = if kind == Kind::Send { 0 } else { self.time_left_us() };
        let chain = self.chain.clone();
        let header = Header { command: spec.id, time_left_us, target, chain, ..Header::new(kind) };
        self.port.submit(Outgoing { header, spec, payload, slot: slot.map(Arc::clone) })
    }

    /// The default deadline, or what is left of the call being handled if that is less; at least 1 µs.
    fn time_left_us(&self) -> u64 {
        let default = self.port.default_deadline();
        let left =
            self.deadline.map_or(default, |end| end.saturating_duration_since(Instant::now()).min(default));
        u64::try_from(left.as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

fn encoded<C: Command>(spec: &CommandSpec, command: &C) -> Result<Vec<u8>, Refusal> {
    let name = || spec.name.clone();
    let payload = codec::to_postcard(command)
        .map_err(|error| Refusal::NotEncodable { command: name(), reason: error.reason })?;
    match payload.len() {
        bytes if bytes > MAX_PAYLOAD_BYTES => {
            Err(Refusal::TooLarge { command: name(), bytes, limit: MAX_PAYLOAD_BYTES })
        }
        _ => Ok(payload),
    }
}

/// A scope that addresses one manager.
#[derive(Clone, Copy)]
pub struct Addressed<'a> {
    scope: &'a Scope,
    manager: &'a str,
}

impl Addressed<'_> {
    /// As [`Scope::request`], to this manager.
    ///
    /// # Errors
    /// [`Refusal`], among others when the manager has no handler for the command.
    pub fn request<C: Command<Delivery: OneHandler>>(
        &self,
        command: C,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        self.scope.ask(command, Target::Named(self.manager.to_owned()), Kind::Request)
    }

    /// As [`Scope::send`], to this manager.
    ///
    /// # Errors
    /// [`Refusal`], among others when the manager has no handler for the command.
    pub fn send<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<(), Refusal> {
        let target = Target::Named(self.manager.to_owned());
        self.scope.offer(C::spec(), Kind::Send, target, &command, None).map(drop)
    }
}

/// Answered by every manager's worker, without a handler.
#[derive(crate::Command, crate::Schema, serde::Serialize, serde::Deserialize, Debug, Clone)]
pub struct Ping {}
