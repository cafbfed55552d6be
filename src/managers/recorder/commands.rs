//! What a recorder can be told, and what it answers.

use super::ending::Missing;
use crate::prelude::*;

/// Begins to record, or ends it: then what is queued is written down, and each file gets its end mark, before the reply.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Recorded, scriptable)]
pub struct SetRecording {
    /// Whether it is to record.
    pub on: bool,
}

/// Asks what has been recorded since the recorder was started.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Recorded, scriptable)]
pub struct WhatIsRecorded {}

/// What has been recorded since the recorder was started.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Default)]
pub struct Recorded {
    /// Whether it records now.
    pub is_on: bool,
    /// How many files of frames there are.
    pub frame_files: u64,
    /// How many frames are in them.
    pub frames: u64,
    /// How many frames are not, and why.
    pub missing: Missing,
    /// How many rows of signals are written.
    pub signal_rows: u64,
    /// How many rows of signals are not.
    pub signal_rows_missing: u64,
    /// How many rows that managers share are written.
    pub shared_rows: u64,
    /// How many of them are not, because they had given way already or could not be written.
    pub shared_rows_missing: u64,
    /// The last reason why something could not be written.
    pub last_error: Option<String>,
}
