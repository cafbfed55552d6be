//! The tracker: finds particles in every frame of a stream and writes them to a table.
//!
//! `locate` is the method of Crocker and Grier, a pure function of an image; `manager` feeds it frames and
//! `table` keeps what it finds.

mod bandpass;
mod boxcar;
mod commands;
mod crowding;
mod disk;
mod gaussian;
pub mod image;
pub mod locate;
mod manager;
mod maxima;
mod pipeline;
mod plane;
mod refine;
mod saving;
pub mod settings;
mod shape;
mod signals;
mod table;

pub use commands::{FrameSaved, SaveFrame, Tracked, WhatIsTracked};
pub use manager::{Tracker, TrackerConfig};
pub use saving::SaveError;
pub use signals::TrackerSignals;
