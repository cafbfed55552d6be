//! What a recorder tells while it records.

use crate::prelude::*;

/// How a recorder gets on, after every frame that it has taken over.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq, Default)]
pub struct RecorderSignals {
    /// How many frames are written.
    pub frames_written: u64,
    /// How many frames are missing, for whatever reason.
    pub frames_missing: u64,
}
