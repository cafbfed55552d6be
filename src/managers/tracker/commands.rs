//! What a tracker can be asked.

use crate::prelude::*;

/// Asks how far the tracking has come.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Tracked, scriptable)]
pub struct WhatIsTracked {}

/// How far the tracking has come.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Default)]
pub struct Tracked {
    /// Frames looked at.
    pub frames: u64,
    /// Particles found in all of them.
    pub particles: u64,
    /// Particles found in the last one.
    pub in_last_frame: u64,
    /// Frames whose particles could not be written.
    pub frames_not_written: u64,
    /// Mean time for finding the particles of a frame.
    #[schema(unit = "ms")]
    pub mean_ms: f64,
}
