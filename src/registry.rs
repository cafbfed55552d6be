//! Floor 3: what exists, who handles it, and whether it can be reached.
//!
//! Handlers are registered by the macros, collected once with `inventory`, and become a
//! [`CommandRegistry`]: a plain value that is validated against a topology before any process exists.
//! Tests build registries by hand from [`KindDescription`]s.

pub mod context;
mod deeds;
pub mod description;
mod desk;
pub mod detached;
mod emergency;
pub mod handler;
mod journal;
mod late;
pub mod outcome;
pub(crate) mod panics;
pub mod producers;
pub mod publisher;
pub mod registration;
pub mod remote_methods;
pub mod routes;
mod settings;
mod streaming;
pub mod table;
mod validate;
mod view;
mod vitals;

pub use context::Context;
pub use deeds::{DeedError, Seen};
pub use description::{
    HandlerDescription, InputDescription, KindDescription, Manifest, ScopeDescription, SelfCheckDescription,
    SettingsDescription, SharedDescription, SignalSetDescription,
};
pub(crate) use desk::{Desk, Finished};
pub(crate) use emergency::Emergency;
pub use handler::{
    FrameHandler, Handler, HandlerEnd, HandlerTable, Handles, Incoming, Manager, ScopeHandles,
    SelfCheckMethod, SettingsHandler, SetupError, Timer, read_settings,
};
pub use late::LateAnswer;
pub use outcome::Outcome;
pub use producers::{FrameProducer, ProducerError};
pub(crate) use publisher::Publications;
pub use publisher::{PublishError, Publisher, ShareError};
pub use registration::{Instance, KindRegistration, ScopeInstance, ScopeRegistration};
pub(crate) use remote_methods::Invocation;
pub use remote_methods::{ResolveError, Resolved};
pub use routes::{
    CommandKey, CommandRoute, RouteHandler, RouteTable, SignalEntry, StartupCommand, StreamReader,
    UnknownSignal,
};
pub(crate) use settings::SettingsKeeper;
pub use table::{CommandRegistry, ProgramManifest};
pub(crate) use vitals::Step;
