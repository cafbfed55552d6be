//! Motors: one axis that moves the objective.
//!
//! The manager to copy: `commands` says what it can be told, `simulated` is the device, `manager` joins the
//! two. To add a command, write its type there and its handler here.

mod commands;
mod manager;
mod simulated;

pub use commands::{Height, Home, MoveTo, Settled, WhereIs};
pub use manager::{LimitPolicy, MotorConfig, MotorError, MotorSim};
