//! Floor 5: the one process that owns every pipe.
//!
//! A [`Rig`] is launched from a topology: the builder proves it and draws a blueprint,
//! the main loop starts the managers, routes between them and ends them. The loop's thread is the only one
//! that waits for pipes; any thread may drive the pure router under the core's lock.

mod absence;
mod answers;
mod blueprint;
mod builder;
mod core;
mod drawing;
mod driving;
mod ends;
mod events;
mod guarding;
mod hooks;
mod laddering;
mod launch_error;
mod leases;
mod lines;
mod listening;
mod local_port;
mod looking;
mod main_loop;
pub(crate) mod manifest;
mod ordering;
mod outputs;
mod peers;
mod process;
mod program_file;
mod rate;
mod report;

mod reviving;
mod rig;
pub mod router;
mod routing;
mod run_log;
mod safe_programs;
mod scope_thread;
#[cfg(feature = "procedures")]
mod scripts;
mod shutdown;
mod signals;
mod socket;
mod startup;
mod state_folder;
mod status;
mod streams;
mod summary;
mod surroundings;
mod tasks;
mod trace;
mod values;
mod waking;
mod watching;
mod witnesses;

pub(crate) use builder::{BuildScope, scope_of};
pub use builder::{Proof, RigBuilder, prove};
pub use hooks::FailureReport;
pub(crate) use hooks::Hooks;
pub use launch_error::LaunchError;
pub use rig::Rig;
pub use router::{Totals, ValueCounts};
pub(crate) use socket::place;
pub use socket::place::SocketError;
pub(crate) use state_folder::default_state_dir;
pub use status::{ManagerStatus, ReaderStatus, RigStatus, SafeStatus, StreamStatus};
pub use summary::{Death, Loss, ManagerEnd, ManagerSummary, RunSummary};
