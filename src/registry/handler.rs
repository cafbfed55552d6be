//! Managers and their handlers, as the macros describe them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::context::Context;
use super::description::{SettingsDescription, SharedDescription, SignalSetDescription};
use crate::shm::Frame;
use crate::wire::{
    Attached, CodecId, Command, CommandSpec, Failure, Header, Kind, Parcel, SafeReason, Schema, Settings,
    TypeSchema, codec,
};

/// A process that owns devices. Its handlers stand in a `#[manager]` block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a manager",
    label = "this type has no `setup`",
    note = "write `impl Manager for {Self} {{ … }}`"
)]
pub trait Manager: Sized + 'static {
    /// The table `[managers.<name>.config]`; `()` when it has none.
    type Config: DeserializeOwned + Schema;

    /// Opens the devices. The rig starts moving only when every manager has done so.
    ///
    /// # Errors
    /// Whatever keeps the manager from being ready; any error converts through `?`. The rig is not started.
    fn setup(config: Self::Config, context: &mut Context) -> Result<Self, SetupError>;

    /// Brings the hardware into a state in which it can be left alone: motion stopped, shutters closed, outputs off.
    ///
    /// The worker runs it, before anything else that waits, when a stop is ordered (`labrig stop`,
    /// [`Scope::stop_all`](crate::Scope::stop_all)), the coordinator is gone or frozen, the manager is stopped or to be started
    /// again, a signal ends its process, or a handler has panicked and `on_panic = "restart"`. A handler that runs
    /// is cancelled first, and its worker is waited for: one that sleeps by [`Context::sleep`], waits in a call, or
    /// asks [`Context::is_cancelled`] gives up at once. One that is stuck in a vendor's call does not; hand out
    /// [`Context::on_emergency`] for that, and name a `safe_program` in the config for a process that is dead or
    /// hangs for good. After a stop, or a coordinator that was frozen, the manager goes on: the next command
    /// that is `#[command(hazardous)]` leaves the safe state.
    ///
    /// Be quick: everything together, from the order on, is to take at most `safe_deadline_ms` (200 ms if the config
    /// does not say otherwise). A process that ends anyway, or has lost its coordinator, is killed then. Expect it to be
    /// called more than once, and also when nothing has moved yet. When it panics, the emergency handle is used if there is
    /// one; else the manager does not count as safe, and says so.
    ///
    /// **Software protects experiments, not people.** A kernel that hangs, or a cable that is pulled, runs no
    /// code of yours: whatever can hurt somebody needs an interlock in hardware.
    fn enter_safe_state(&mut self, reason: SafeReason) {
        let _ = reason;
    }
}

/// Why a manager could not be set up. Every error converts into it through `?`.
#[derive(Debug, Clone)]
pub struct SetupError(Box<Failure>);

impl SetupError {
    /// An error with nothing but text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Box::new(Failure::text(text)))
    }

    /// An error that is known as a failure already.
    pub(crate) fn of(failure: Failure) -> Self {
        Self(Box::new(failure))
    }

    /// The error as it travels.
    pub fn into_failure(self) -> Failure {
        *self.0
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for SetupError {
    fn from(error: E) -> Self {
        Self(Box::new(Failure::from_error(&*error.into())))
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A command as it reached its handler: bytes, what came beside them, and their codec.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The payload.
    pub payload: &'a [u8],
    /// What came beside it.
    pub attached: Option<&'a Attached>,
    /// What wrote it, and what the reply is to be written by.
    pub codec: CodecId,
    /// Whether somebody waits for the reply: that of a one-way command is not written at all.
    pub wants_reply: bool,
}

impl<'a> Incoming<'a> {
    /// The command of an envelope.
    pub(crate) fn of(header: &'a Header, payload: &'a [u8]) -> Self {
        let (attached, wants_reply) = (header.attached.as_deref(), header.kind != Kind::Send);
        Self { payload, attached, codec: header.codec, wants_reply }
    }

    /// Reads the command.
    ///
    /// # Errors
    /// A [`Failure`] of kind `Malformed`; the handler does not run.
    pub fn command<C: Command>(&self) -> Result<C, Box<Failure>> {
        codec::unpack(self.payload, self.attached, self.codec, &C::spec().schema)
            .map_err(|error| Box::new(Failure::malformed(error.to_string())))
    }

    /// Writes the reply.
    ///
    /// # Errors
    /// A [`Failure`] when the reply's own serialisation fails; the handler has run.
    pub fn reply<C: Command>(&self, reply: &C::Reply) -> HandlerEnd {
        if !self.wants_reply {
            return Ok(Parcel::default());
        }
        codec::pack(reply, self.codec).map_err(|error| Box::new(Failure::text(error.to_string())))
    }
}

/// Reads settings for the method that takes them.
///
/// # Errors
/// A [`Failure`] of kind `Malformed`; the method does not run.
pub fn read_settings<S: Settings>(json: &[u8]) -> Result<S, Failure> {
    codec::from_json(json, TypeSchema::known::<S>()).map_err(|error| Failure::malformed(error.to_string()))
}

/// The reply as it travels, or how the handler failed, which is rare and large.
pub type HandlerEnd = Result<Parcel, Box<Failure>>;

/// One `#[ipc_command]` method of `M`.
pub struct Handler<M> {
    /// The command it takes.
    pub command: fn() -> &'static CommandSpec,
    /// The method's name.
    pub method: &'static str,
    /// Its source file.
    pub file: &'static str,
    /// Its line there.
    pub line: u32,
    /// The path of the role that declares it, if one does.
    pub role: Option<&'static str>,
    /// Reads the command, calls the method, writes the reply.
    pub invoke: fn(&mut M, Incoming<'_>, &mut Context) -> HandlerEnd,
}

/// One `#[every(…)]` method of `M`.
pub struct Timer<M> {
    /// The method's name.
    pub method: &'static str,
    /// How often it runs.
    pub period: Duration,
    /// Calls the method.
    pub run: fn(&mut M, &mut Context) -> Result<(), Failure>,
}

/// One `#[on_frame(…)]` method of `M`.
pub struct FrameHandler<M> {
    /// The method's name.
    pub method: &'static str,
    /// The input it is bound to.
    pub input: &'static str,
    /// Its source file.
    pub file: &'static str,
    /// Its line there.
    pub line: u32,
    /// Calls the method.
    pub run: fn(&mut M, &Frame<'_>, &mut Context) -> Result<(), Failure>,
}

/// One `#[self_check]` method of `M`.
pub struct SelfCheckMethod<M> {
    /// The method's name, by which it is called.
    pub method: &'static str,
    /// Its doc text.
    pub doc: &'static str,
    /// Its source file.
    pub file: &'static str,
    /// Its line there.
    pub line: u32,
    /// Calls the method.
    pub run: fn(&mut M, &mut Context) -> Result<(), Failure>,
}

/// The `#[on_settings]` method of `M`.
pub struct SettingsHandler<M> {
    /// The method's name.
    pub method: &'static str,
    /// Describes the settings that it takes.
    pub describe: fn() -> SettingsDescription,
    /// Reads the settings, which are given whole, as JSON, and calls the method.
    pub apply: fn(&mut M, &[u8], &mut Context) -> Result<(), Failure>,
}

/// Everything a `#[manager]` or `#[scope]` block registers.
pub struct HandlerTable<M> {
    /// The handlers, in source order, those of roles last.
    pub handlers: Vec<Handler<M>>,
    /// The timers.
    pub timers: Vec<Timer<M>>,
    /// The frame handlers.
    pub frames: Vec<FrameHandler<M>>,
    /// The self-checks: what may be called by name.
    pub checks: Vec<SelfCheckMethod<M>>,
    /// What takes the settings: nothing, or one method.
    pub settings: Vec<SettingsHandler<M>>,
}

/// What `#[manager]` adds to a [`Manager`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler block",
    note = "write `#[manager(kind = \"…\")] impl {Self} {{ … }}`"
)]
pub trait Handles: Manager {
    /// The kind's name in a config.
    const KIND: &'static str;
    /// The source file of the block.
    const FILE: &'static str;
    /// The block's line there.
    const LINE: u32;
    /// The type's path.
    const PATH: &'static str;
    /// The handlers.
    fn table() -> HandlerTable<Self>;
    /// The paths of the roles it plays.
    fn roles() -> Vec<&'static str>;
    /// The sets of signals that it publishes.
    fn signals() -> Vec<SignalSetDescription>;
    /// The objects that it shares.
    fn shares() -> Vec<SharedDescription>;
}

/// What `#[scope]` adds to a type whose handlers live in the coordinator.
pub trait ScopeHandles: Sized + Send + 'static {
    /// The source file of the block.
    const FILE: &'static str;
    /// The block's line there.
    const LINE: u32;
    /// The type's path.
    const PATH: &'static str;
    /// The handlers.
    fn table() -> HandlerTable<Self>;
    /// Builds the value when the type is `Default`; `None` when it is not.
    fn default_value() -> Option<Self>;
}
