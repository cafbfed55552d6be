//! labrig: a multi-process instrument-control runtime.
//!
//! Each device lives in a *manager*, a process of its own. One *coordinator* owns a pipe to each; it proves
//! the whole rig before it starts any of them, and routes typed *commands* between them. Camera frames stay
//! in shared memory. A command is a Rust type, a handler is a method, and one file describes the rig:
//!
//! ```standalone_crate
//! use std::process::ExitCode;
//! use std::time::Duration;
//!
//! use labrig::prelude::*;
//!
//! /// Opens or closes the shutter, and replies whether it was open before.
//! #[derive(Command, Serialize, Deserialize, Schema)]
//! #[command(reply = bool)]
//! struct SetShutter {
//!     open: bool,
//! }
//!
//! /// Lights the sample for a moment.
//! #[derive(Command, Serialize, Deserialize, Schema)]
//! struct Expose {
//!     #[schema(unit = "ms", min = 1, max = 1000)]
//!     duration_ms: u64,
//! }
//!
//! struct Shutter {
//!     is_open: bool,
//! }
//!
//! impl Manager for Shutter {
//!     type Config = ();
//!
//!     fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
//!         Ok(Self { is_open: false })
//!     }
//!
//!     fn enter_safe_state(&mut self, _: SafeReason) {
//!         self.is_open = false;
//!     }
//! }
//!
//! #[manager(kind = "shutter")]
//! impl Shutter {
//!     #[ipc_command]
//!     fn set_shutter(&mut self, command: SetShutter) -> bool {
//!         std::mem::replace(&mut self.is_open, command.open)
//!     }
//! }
//!
//! struct Lamp;
//!
//! impl Manager for Lamp {
//!     type Config = ();
//!
//!     fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
//!         Ok(Self)
//!     }
//! }
//!
//! #[manager(kind = "lamp")]
//! impl Lamp {
//!     // A handler may call other managers; whatever goes wrong there is its caller's to know.
//!     #[ipc_command]
//!     fn expose(&mut self, command: Expose, context: &mut Context) -> Result<(), CallError> {
//!         context.call(SetShutter { open: true })?;
//!         std::thread::sleep(Duration::from_millis(command.duration_ms));
//!         context.call(SetShutter { open: false })?;
//!         Ok(())
//!     }
//! }
//!
//! const CONFIG: &str = r#"
//!     schema = 1
//!     [rig]
//!     name = "documented"
//!     [managers.shutter]
//!     kind = "shutter"
//!     [managers.lamp]
//!     kind = "lamp"
//! "#;
//!
//! // One program is coordinator, manager and command line, by the role it is started in.
//! fn main() -> ExitCode {
//! #   // The run's folder and the rig's state go where nobody trips over them.
//! #   let folder = std::env::temp_dir().join(format!("labrig-documented-{}", std::process::id()));
//! #   std::fs::create_dir_all(&folder).and_then(|()| std::env::set_current_dir(&folder)).unwrap();
//! #   // SAFETY: no other thread runs yet.
//! #   unsafe { std::env::set_var("XDG_STATE_HOME", &folder) };
//! #   let code =
//!     labrig::app().default_config(CONFIG).main_with(|scope| -> Result<(), CallError> {
//!         scope.request(Expose { duration_ms: 5 })?.wait(Duration::from_secs(5))?;
//!         let was_open = scope.request(SetShutter { open: true })?.wait(Duration::from_secs(5))?;
//!         assert!(!was_open, "the lamp has closed it");
//!         Ok(())
//!     })
//! #   ;
//! #   std::fs::remove_dir_all(folder).unwrap();
//! #   code
//! }
//! ```
//!
//! # Where to go on
//! - [`prelude`]: everything a file with commands and managers needs.
//! - [`Command`](derive@Command), [`manager`](macro@manager), [`role`](macro@role), [`scope`](macro@scope): the macros,
//!   each with its options.
//! - [`Scope`]: sending commands, from any thread. [`Context`](registry::Context): the same and more, in a handler.
//! - [`Rig`] and [`Topology`]: a rig in a test, or in a program of another shape.
//! - [`payload`]: arrays, tables and images in commands and replies.
//! - [`managers`]: the cameras, motors and the tracker that labrig brings.
//!
//! Software protects experiments, not people: a safe state is no interlock.

extern crate self as labrig;

pub mod app;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod guardian;
mod macros;
pub mod manager;
pub mod managers;
pub mod payload;
#[cfg(feature = "procedures")]
pub mod procedure;
pub mod registry;
pub mod remote;
#[expect(unsafe_code, reason = "shared memory has no safe form; every block says who upholds it")]
pub mod shm;
mod supervisor;
pub mod transport;
pub mod wire;

pub use app::{App, app, main};
pub use config::Topology;
pub use coordinator::{FailureReport, LaunchError, Rig, RigStatus, RunSummary};
#[cfg(feature = "procedures")]
pub use macros::procedure;
pub use macros::{
    Command, Schema, Settings, Signals, every, ipc_command, manager, on_frame, on_settings, remote, role,
    scope, self_check,
};
pub use remote::{
    AnySignal, Armed, BroadcastReport, CallError, CallErrorKind, Cancelled, KeepError, PendingBroadcast,
    PendingReply, Reading, Remote, RemoteRef, RemoteValue, ReplyStream, Restarted, RowReader, Scope,
    SettingsError, SettingsInForce, SettingsRefusal, SharedError, SignalError, SignalReader, StopOutcome,
    StopReport,
};
pub use wire::{Command, Progress, Refusal, Schema, Settings, SignalValue, Signals};

/// Everything a file with commands, managers or scope handlers needs.
pub mod prelude {
    pub use serde::{Deserialize, Serialize};

    #[cfg(feature = "procedures")]
    pub use crate::macros::procedure;
    pub use crate::macros::{
        Command, Schema, Settings, Signals, every, ipc_command, manager, on_frame, on_settings, remote, role,
        scope, self_check,
    };
    #[cfg(feature = "procedures")]
    pub use crate::procedure::{
        ChildLaunch, Comparison, Condition, KillLevel, Procedure, ProcedureId, ProcedureState, Step,
        StepContext, StepError,
    };
    pub use crate::registry::FrameProducer;
    pub use crate::registry::{Context, LateAnswer, Manager, Publisher, Seen, SetupError};
    pub use crate::remote::{
        AnySignal, BroadcastReport, CallError, Cancelled, PendingReply, Reading, Remote, RemoteRef,
        ReplyStream, RowReader, Scope, SharedError, SignalError, SignalReader,
    };
    pub use crate::shm::{
        AppendDataset, Capture, Counter, Counters, DatasetFull, DatasetState, Frame, FrameFormat,
        LatestValue, LoanError, PixelType, ReadMode, RowRing, TableFull, ValueError, VersionedTable,
    };
    pub use crate::wire::{
        Command, IdempotencyKey, Progress, Refusal, SafeReason, Schema, Settings, SignalValue, Signals,
    };
}

/// What the macros write refers to these names; not for people.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "procedures")]
    pub use crate::procedure::ProcedureRegistration;
    pub use crate::registry::Context;
    pub use crate::registry::description::{SettingsDescription, SharedDescription, SignalSetDescription};
    pub use crate::registry::detached::detached_context;
    pub use crate::registry::handler::{
        FrameHandler, Handler, HandlerEnd, HandlerTable, Handles, Incoming, Manager, ScopeHandles,
        SelfCheckMethod, SettingsHandler, Timer, read_settings,
    };
    pub use crate::registry::outcome::{
        DefaultProbe, ErrorProbe, FailNot, FailText, FailTyped, FailTypedDebug, HasDefault, HasNoDefault,
        HasNoText, HasText, Outcome, TextProbe,
    };
    pub use crate::registry::registration::{KindRegistration, ScopeRegistration};
    pub use crate::registry::remote_methods::{RemoteMethod, RemoteRegistration, ServesRemote, value_as};
    pub use crate::remote::remote_ref::{
        RemoteCommand, RemoteHandle, RemoteProxy, RemoteRef, RemoteValue, fingerprint_of,
    };
    pub use crate::shm::Frame;
    pub use crate::wire::command::CommandOptions;
    pub use crate::wire::failure::Failure;
    pub use crate::wire::*;
    pub use inventory;
    pub use serde;
}
