//! Registrations: what the macros submit, and the one place where they are collected.

use std::any::{Any, TypeId};
use std::time::Duration;

use super::context::Context;
use super::description::{KindDescription, Manifest, ScopeDescription, SettingsDescription};
use super::handler::{HandlerEnd, HandlerTable, Handles, Incoming, ScopeHandles, SetupError};
use super::remote_methods;
use crate::shm::Frame;
use crate::wire::{CommandSpec, Failure, SafeReason, TypeSchema, codec};

/// Sets a manager up, from its config table as JSON.
pub type StartManager = fn(&[u8], &mut Context) -> Result<Box<dyn Instance>, SetupError>;

/// Takes a scope's value that the program gave; none when it is of another type.
pub type AdoptScope = fn(Box<dyn Any + Send>) -> Option<Box<dyn ScopeInstance>>;

/// A manager kind that is linked into this program.
pub struct KindRegistration {
    /// Its name in a config.
    pub kind: &'static str,
    /// Describes it without touching a device.
    pub describe: fn() -> KindDescription,
    /// The commands that it handles, without describing all else.
    pub commands: fn() -> Vec<&'static CommandSpec>,
    /// Sets a manager of it up, from its config table as JSON.
    pub start: StartManager,
}

inventory::collect!(KindRegistration);

impl KindRegistration {
    /// The registration of `M`.
    pub const fn of<M: Handles>() -> Self {
        Self {
            kind: M::KIND,
            describe: KindDescription::of::<M>,
            commands: || specs(&M::table()),
            start: start::<M>,
        }
    }

    /// The kind of that name, when it is linked into this program.
    pub fn find(kind: &str) -> Option<&'static Self> {
        inventory::iter::<Self>().find(|registration| registration.kind == kind)
    }
}

fn start<M: Handles>(config: &[u8], context: &mut Context) -> Result<Box<dyn Instance>, SetupError> {
    let config = codec::from_json(config, &TypeSchema::of::<M::Config>())?;
    let manager = M::setup(config, context)?;
    Ok(Box::new(Running { owner: manager, table: M::table() }))
}

/// Scope handlers that are linked into this program.
pub struct ScopeRegistration {
    /// Which type they are of.
    pub type_id: fn() -> TypeId,
    /// Describes them.
    pub describe: fn() -> ScopeDescription,
    /// Builds the value when its type is `Default`.
    pub build: fn() -> Option<Box<dyn ScopeInstance>>,
    /// Takes a value that the program gave.
    pub adopt: AdoptScope,
}

inventory::collect!(ScopeRegistration);

impl ScopeRegistration {
    /// The registration of `S`.
    pub const fn of<S: ScopeHandles>() -> Self {
        Self {
            type_id: TypeId::of::<S>,
            describe: || ScopeDescription::of::<S>(S::default_value().is_some()),
            build: || S::default_value().map(boxed),
            adopt: |value| value.downcast::<S>().ok().map(|value| boxed(*value)),
        }
    }

    /// All scopes linked into this program.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>()
    }
}

fn boxed<S: ScopeHandles>(owner: S) -> Box<dyn ScopeInstance> {
    Box::new(Running { owner, table: S::table() })
}

/// What is linked into this program. Order is by kind and path, whatever the linker did.
pub fn manifest() -> Manifest {
    let mut kinds: Vec<_> = inventory::iter::<KindRegistration>().map(|it| (it.describe)()).collect();
    let mut scopes: Vec<_> = ScopeRegistration::all().map(|it| (it.describe)()).collect();
    kinds.sort_by(|a, b| (&a.kind, &a.path).cmp(&(&b.kind, &b.path)));
    scopes.sort_by(|a, b| a.path.cmp(&b.path));
    Manifest { kinds, scopes, methods: remote_methods::specs() }
}

/// A set-up manager, whatever its type.
pub trait Instance {
    /// The commands it handles, by the index that [`handle`](Self::handle) takes.
    fn commands(&self) -> Vec<&'static CommandSpec>;
    /// Runs a handler.
    fn handle(&mut self, index: usize, incoming: Incoming<'_>, context: &mut Context) -> HandlerEnd;
    /// Its timers: method and period, by the index that [`tick`](Self::tick) takes.
    fn timers(&self) -> Vec<(&'static str, Duration)>;
    /// Runs a timer's method.
    fn tick(&mut self, index: usize, context: &mut Context) -> Result<(), Failure>;
    /// The inputs of its frame handlers: method and input, by the index that [`look`](Self::look) takes.
    fn inputs(&self) -> Vec<(&'static str, &'static str)>;
    /// Runs a frame handler.
    fn look(&mut self, index: usize, frame: &Frame<'_>, context: &mut Context) -> Result<(), Failure>;
    /// The names of its self-checks, by the index that [`self_check`](Self::self_check) takes.
    fn self_checks(&self) -> Vec<&'static str>;
    /// Runs a self-check.
    fn self_check(&mut self, index: usize, context: &mut Context) -> Result<(), Failure>;
    /// Its settings, if it has any.
    fn settings(&self) -> Option<SettingsDescription>;
    /// Gives it its settings, whole, as JSON.
    fn apply_settings(&mut self, json: &[u8], context: &mut Context) -> Result<(), Failure>;
    /// Enters the safe state.
    fn enter_safe_state(&mut self, reason: SafeReason);
}

/// A scope's value, whatever its type.
pub trait ScopeInstance: Send {
    /// The commands it handles, by the index that [`handle`](Self::handle) takes.
    fn commands(&self) -> Vec<&'static CommandSpec>;
    /// Runs a handler.
    fn handle(&mut self, index: usize, incoming: Incoming<'_>, context: &mut Context) -> HandlerEnd;
}

struct Running<M> {
    owner: M,
    table: HandlerTable<M>,
}

fn specs<M>(table: &HandlerTable<M>) -> Vec<&'static CommandSpec> {
    table.handlers.iter().map(|handler| (handler.command)()).collect()
}

impl<M> Running<M> {
    fn invoke(&mut self, index: usize, incoming: Incoming<'_>, context: &mut Context) -> HandlerEnd {
        (self.table.handlers[index].invoke)(&mut self.owner, incoming, context)
    }
}

impl<M: Handles> Instance for Running<M> {
    fn commands(&self) -> Vec<&'static CommandSpec> {
        specs(&self.table)
    }

    fn handle(&mut self, index: usize, incoming: Incoming<'_>, context: &mut Context) -> HandlerEnd {
        self.invoke(index, incoming, context)
    }

    fn timers(&self) -> Vec<(&'static str, Duration)> {
        self.table.timers.iter().map(|timer| (timer.method, timer.period)).collect()
    }

    fn tick(&mut self, index: usize, context: &mut Context) -> Result<(), Failure> {
        (self.table.timers[index].run)(&mut self.owner, context)
    }

    fn inputs(&self) -> Vec<(&'static str, &'static str)> {
        self.table.frames.iter().map(|frames| (frames.method, frames.input)).collect()
    }

    fn look(&mut self, index: usize, frame: &Frame<'_>, context: &mut Context) -> Result<(), Failure> {
        (self.table.frames[index].run)(&mut self.owner, frame, context)
    }

    fn self_checks(&self) -> Vec<&'static str> {
        self.table.checks.iter().map(|check| check.method).collect()
    }

    fn self_check(&mut self, index: usize, context: &mut Context) -> Result<(), Failure> {
        (self.table.checks[index].run)(&mut self.owner, context)
    }

    fn settings(&self) -> Option<SettingsDescription> {
        self.table.settings.first().map(|handler| (handler.describe)())
    }

    fn apply_settings(&mut self, json: &[u8], context: &mut Context) -> Result<(), Failure> {
        (self.table.settings[0].apply)(&mut self.owner, json, context)
    }

    fn enter_safe_state(&mut self, reason: SafeReason) {
        self.owner.enter_safe_state(reason);
    }
}

impl<S: ScopeHandles> ScopeInstance for Running<S> {
    fn commands(&self) -> Vec<&'static CommandSpec> {
        specs(&self.table)
    }

    fn handle(&mut self, index: usize, incoming: Incoming<'_>, context: &mut Context) -> HandlerEnd {
        self.invoke(index, incoming, context)
    }
}
