//! Floor 1: one file describes the rig.
//!
//! A TOML file becomes a [`Topology`], and a topology becomes a [`RigPlan`] together with every [`Fault`]
//! that was found on the way. This floor knows keys, types, names and references; it knows nothing of
//! handlers, and it opens nothing but the file and the rig's stored environments.

pub mod arguments;
mod check;
mod code;
mod environment;
mod environment_store;
mod environments;
mod fault;
mod names;
mod order;
mod parse;
mod plan;
mod pools;
mod raw;
mod references;
mod resolve;
mod streams;
mod suggest;
mod topology;
mod tree;
mod words;

pub use check::{Checked, check};
pub use code::{Code, FaultKind};
pub use environment_store::{EnvironmentError, EnvironmentSession, EnvironmentStore};
pub(crate) use environment_store::{SESSION_VARIABLE, lock_exclusively};
pub(crate) use environments::KEYS as ENVIRONMENT_KEYS;
pub use environments::StoredEnvironment;
pub use fault::{Fault, Party, Report};
#[cfg(feature = "procedures")]
pub(crate) use parse::document;
pub use plan::{
    EnvironmentPlan, InputPlan, ManagerPlan, RateLimits, ReaderPlan, RigPlan, SafeProgram, Startup,
    StreamPlan, Supervision,
};
#[cfg(feature = "procedures")]
pub(crate) use raw::Anything;
pub use raw::{OnPanic, ReadMode, Rearm, RestartPolicy, WhenFull};
pub(crate) use streams::{own_stream, too_few_slots};
pub(crate) use suggest::{nearest, quoted_list, suggestion};
pub use topology::{Resolution, Topology, TopologyError};
pub use tree::{Content, Origin, Place, Tree};
