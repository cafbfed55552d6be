//! What a camera tells while it takes frames.

use crate::prelude::*;

/// How a camera gets on, after every frame.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq, Default)]
pub struct CameraSignals {
    /// How many frames it has taken.
    pub frames_taken: u64,
    /// How fast they come, by the last two; 0 before there are two.
    #[schema(unit = "Hz")]
    pub rate_hz: f64,
}
