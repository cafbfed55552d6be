//! What a tracker tells of the frame that it has looked at last.

use crate::prelude::*;

/// What was found, and how long it took.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq, Default)]
pub struct TrackerSignals {
    /// How many frames it has looked at.
    pub frames_seen: u64,
    /// How many particles it found in the last one.
    pub particle_count: u64,
    /// The number that its camera gave that one.
    pub source_index: u64,
    /// How far the particles in it stand out, on average; 0 when there are none.
    #[schema(unit = "grey levels")]
    pub contrast: f64,
    /// How long it looked at the last one.
    #[schema(unit = "ms")]
    pub frame_ms: f64,
}
