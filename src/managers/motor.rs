//! Motors: one axis that moves the objective.
//!
//! The manager to copy: `commands` says what it can be told, `moves` is the role that every motor plays,
//! `simulated` is the device, `manager` joins them. A motor of your own plays the role and serves the same
//! commands.

mod commands;
mod manager;
mod moves;
mod signals;
mod simulated;

pub use commands::{Height, Home, MoveTo, Settled, WhereIs};
pub use manager::{LimitPolicy, MotorConfig, MotorError, MotorSim};
pub use moves::Moves;
pub use signals::MotorSignals;
