//! Floor 2: bytes move between processes.
//!
//! One duplex pipe per manager, made of sequenced packets; the child's descriptor 0 carries it over. Beside it lie
//! lanes in shared memory, for what is small.
//! Nothing here knows what an envelope says.

pub mod cgroup;
mod descriptors;
mod line;
pub mod offspring;
pub mod pipe;
pub mod poller;
mod scheduling;
pub mod spawn;
mod standing;
mod thread_end;

pub use cgroup::Cgroup;
pub use descriptors::close_inherited_on_exec;
pub use line::Line;
pub use offspring::Offspring;
pub use pipe::{Packet, Pipe, PipeError};
pub use poller::{Interest, Poller, Ready, Token};
pub use spawn::{
    Child, ChildProcess, Role, SpawnError, Spawned, declare_that_this_program_plays_managers, inherited_role,
    this_program_plays_managers,
};
pub use standing::standing;
pub use thread_end::end_of_thread;
