//! The tests of labrig on real processes: each starts a rig of managers of the testbed's program.

mod absent;
mod awaiting;
mod cancelling;
mod deadlines;
mod deadlock;
mod endings;
mod pressure;
mod routing;
mod startup;
mod support;
mod typed_errors;
