//! `labrig.recorder`: keeps a stream of frames, rows that managers share and the course of signals in files of the run's
//! folder.
//!
//! `keeping` is a bounded queue of frames, `following` goes after rows and `sampling` reads signals, each on a thread of its own
//! that writes into a `book`: a `series` of files, one after the other, of which is known what they lack. `tiff_stack` and
//! `csv_table` are what files there are, `ending` the mark that is put beside each of them once nothing more comes into it.

mod book;
mod commands;
mod csv_table;
mod ending;
mod following;
mod keeping;
mod manager;
mod sampling;
mod series;
mod signals;
#[cfg(test)]
mod tests;
mod tiff_stack;

pub use commands::{Recorded, SetRecording, WhatIsRecorded};
pub use ending::{EndMark, Missing};
pub use manager::{Recorder, RecorderConfig, RecorderError, WhenFull};
pub use signals::RecorderSignals;
