//! labrig: a multi-process instrument-control runtime.

extern crate self as labrig;

pub mod config;
mod macros;
pub mod registry;
pub mod shm;
pub mod wire;

pub use macros::*;

/// Everything a file with commands, managers or scope handlers needs.
pub mod prelude {
    pub use serde::{Deserialize, Serialize};

    pub use crate::macros::*;
    pub use crate::registry::{Context, Manager, SafeReason, SetupError};
    pub use crate::shm::Frame;
    pub use crate::wire::{Command, Schema};
}

/// What the macros write refers to these names; not for people.
#[doc(hidden)]
pub mod __private {
    pub use crate::registry::Context;
    pub use crate::registry::handler::{
        FrameHandler, Handler, HandlerEnd, HandlerTable, Handles, Incoming, Manager, ScopeHandles, Timer,
    };
    pub use crate::registry::outcome::{
        DefaultProbe, ErrorProbe, FailNot, FailText, FailTyped, FailTypedDebug, HasDefault, HasNoDefault,
        HasNoText, HasText, Outcome, TextProbe, outcome_of, outcome_of_tick,
    };
    pub use crate::registry::registration::{KindRegistration, ScopeRegistration};
    pub use crate::shm::Frame;
    pub use crate::wire::command::CommandOptions;
    pub use crate::wire::failure::Failure;
    pub use crate::wire::*;
    pub use inventory;
}
