//! The tests of labrig on real processes: each starts a rig of managers of the testbed's program.

mod absent;
mod awaiting;
mod bad_environments;
mod cancelling;
mod chaos;
mod deadlines;
mod deadlock;
mod dying;
mod endings;
mod environment;
mod pressure;
mod routing;
mod self_checks;
mod startup;
mod storm;
mod streams;
mod support;
mod tracing;
mod typed_errors;
mod undelivered;
