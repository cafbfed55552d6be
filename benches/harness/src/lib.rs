//! What the contestants of the contest share: the works, how they are measured and what is printed.
//!
//! A contestant is a coordinator process with child processes that does the works below, through a
//! [`Contestant`]; whatever it is built on, the same code drives it, checks its answers and takes the time.
//! Whoever builds on bare channels has a [`Team`](team::Team) for it and only brings the channel.

pub mod contestant;
pub mod figures;
pub mod machine;
mod measure;
#[expect(
    unsafe_code,
    reason = "memory that two processes share has no safe form; every block says who upholds it"
)]
pub mod memory;
pub mod payload;
pub mod placement;
pub mod processes;
pub mod report;
pub mod spawn;
pub mod team;
pub mod work;

pub use contestant::{About, Contestant, Setup};
pub use payload::{Datum, Exchange};
pub use placement::Placement;
pub use work::Work;
