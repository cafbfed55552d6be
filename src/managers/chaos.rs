//! Chaos: a manager that does what vendor libraries do at their worst, when it is told to.
//!
//! A rig that has one can be tried before an experiment is: what do the others notice when a driver crashes,
//! hangs, floods, forks or leaks? `labrig demo chaos` shows it. It is written with the public surface, the
//! standard library and system calls alone, as anybody's manager would be, and it has no `unsafe` of its own.

mod commands;
mod journal;
mod manager;
mod misdeeds;
mod own_pipe;

pub use commands::{Aftermath, Drip, Misbehave, Misdeed, WhatWasDone, Work, WorkDone};
pub use journal::{Entered, Way, read_journal};
pub use manager::{ChaosConfig, ChaosError, ChaosSim, Hang};
