//! What every camera of labrig can be told.

use crate::prelude::*;

/// Switches acquisition on or off in every camera. Frames that are on their way are finished.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(broadcast, scriptable)]
pub struct SetAcquisition {
    /// Whether frames are to be taken.
    pub on: bool,
}

/// Sets the exposure of a camera, from the next frame on.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = ExposureSet, scriptable)]
pub struct SetExposure {
    /// How long a frame is exposed.
    #[schema(unit = "ms", min = 0.001, max = 60000.0)]
    pub exposure_ms: f64,
}

/// The exposure is set.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct ExposureSet {
    /// How long the next frame is exposed.
    #[schema(unit = "ms")]
    pub exposure_ms: f64,
}
