//! The tests of labrig on real processes: each starts a rig of managers of the testbed's program.

mod absent;
mod cancelling;
mod deadlines;
mod endings;
mod pressure;
mod routing;
mod startup;
mod support;
mod typed_errors;
