//! Floor 4: what is done about a manager that dies or hangs.
//!
//! Pure: an event and the time go in, the next step comes out. Nothing here waits, reads a clock or touches a
//! process, so every rule is tested with made-up times. Three questions have a room each: does it hang
//! ([`Watch`]), what is tried next ([`Ladder`]), is it started again ([`Restarts`]); [`Supervisor`] puts the
//! answers together for one manager. Who asks, and does what is answered, is the coordinator.

mod keeper;
mod ladder;
mod restarts;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use keeper::{End, Next, Step, Supervisor};
pub(crate) use ladder::{Ladder, Rung, Rungs};
pub(crate) use restarts::{Decision, GivenUp, Restarts};
pub(crate) use watch::{Because, Look, Verdict, Watch};
