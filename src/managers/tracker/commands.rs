//! What a tracker can be asked.

use std::path::PathBuf;

use crate::prelude::*;

/// Keeps the next frame as an image, and replies when it is on the disk.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = FrameSaved, scriptable)]
pub struct SaveFrame {
    /// The PNG file. What it held before is replaced.
    pub file: PathBuf,
}

/// A frame is kept.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct FrameSaved {
    /// The number that its camera gave it.
    pub source_index: u64,
}

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
