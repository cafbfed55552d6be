//! Cameras: frames from a simulated scene, or from recorded images.
//!
//! Both kinds play the same two roles: [`Acquires`] (switch acquisition on and off) and [`Exposes`] (set the
//! exposure). A thread of its own fills the stream `video`, so that commands are answered at once however
//! long a frame takes. `sequence` and `beads` are the pure parts: they know of no process, stream or clock.

mod acquisition;
mod bead_settings;
mod beads;
mod commands;
mod grey;
mod image_error;
mod image_file;
mod listing;
mod noise;
mod png_file;
mod replay;
mod sequence;
mod signals;
mod simulated;
mod tiff_file;

#[cfg(test)]
mod beads_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod malformed_tests;
#[cfg(test)]
mod sample_images;
#[cfg(test)]
mod sequence_tests;

pub use bead_settings::{SceneError, SceneSettings};
pub use beads::{BeadPosition, BeadScene};
pub use grey::{FrameShape, PixelDepth};
pub use image_error::{ImageError, ImageOrigin};
pub use listing::SequenceError;
pub use sequence::{ImageSequence, PendingImage};

pub use acquisition::{Acquires, Acquisition, Exposes};
pub use commands::{ExposureSet, SetAcquisition, SetExposure};
pub use replay::{CameraReplay, ReplayConfig, UnreadablePolicy};
pub use signals::CameraSignals;
pub use simulated::{CameraSim, SimConfig};
