//! The tests of labrig on real processes: each starts a rig of managers of the testbed's program.

mod absent;
mod awaiting;
mod cancelling;
mod chaos;
mod coordinator_killed;
mod deadlines;
mod deadlock;
mod dying;
mod endings;
mod pressure;
mod routing;
mod safe_states;
mod self_checks;
mod startup;
mod storm;
mod streams;
mod support;
mod tracing;
mod typed_errors;
mod undelivered;
