//! What a motor tells while it moves.

use crate::prelude::*;

/// Where a motor is, at every look that it takes.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
pub struct MotorSignals {
    /// Height above the stage.
    #[schema(unit = "um")]
    pub height_um: f64,
    /// Whether it is on its way.
    pub is_moving: bool,
}
