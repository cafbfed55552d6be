//! labrig: a multi-process instrument-control runtime.

extern crate self as labrig;

pub mod app;
pub mod cli;
pub mod config;
pub mod coordinator;
mod macros;
pub mod manager;
pub mod managers;
pub mod registry;
pub mod remote;
#[expect(unsafe_code, reason = "shared memory has no safe form; every block says who upholds it")]
pub mod shm;
pub mod transport;
pub mod wire;

pub use app::{App, app, main};
pub use config::Topology;
pub use coordinator::{LaunchError, Rig, RigStatus, RunSummary};
pub use macros::{Command, Schema, every, ipc_command, manager, on_frame, role, scope};
pub use remote::{BroadcastReport, CallError, PendingReply, Scope};
pub use wire::{Command, Refusal, Schema};

/// Everything a file with commands, managers or scope handlers needs.
pub mod prelude {
    pub use serde::{Deserialize, Serialize};

    pub use crate::macros::{Command, Schema, every, ipc_command, manager, on_frame, role, scope};
    pub use crate::registry::{Context, Manager, SafeReason, SetupError};
    pub use crate::remote::{BroadcastReport, CallError, PendingReply, Scope};
    pub use crate::shm::{Frame, FrameFormat, PixelType};
    pub use crate::wire::{Command, Refusal, Schema};
}

/// What the macros write refers to these names; not for people.
#[doc(hidden)]
pub mod __private {
    pub use crate::registry::Context;
    pub use crate::registry::detached::detached_context;
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
