//! A particle as the tracker shares it: a row of `tracks`.

use super::locate::Feature;
use crate::prelude::*;

/// How many rows are there at least: with a hundred particles in each of a hundred frames a second, six seconds.
pub(super) const LATEST_TRACKS: u64 = 1 << 16;

/// A particle that was found in a frame; its time is that of the frame.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
pub struct Track {
    /// The frame's number at its source.
    pub frame: u64,
    /// Centroid, from the centre of the first column.
    #[schema(unit = "px")]
    pub x_px: f64,
    /// Centroid, from the centre of the first row.
    #[schema(unit = "px")]
    pub y_px: f64,
    /// Filtered grey levels summed over the particle.
    #[schema(unit = "grey levels")]
    pub mass: f64,
    /// Radius of gyration of the filtered brightness.
    #[schema(unit = "px")]
    pub size_px: f64,
    /// 0 for a round particle, towards 1 for a line.
    pub eccentricity: f64,
    /// Greatest filtered grey level.
    #[schema(unit = "grey levels")]
    pub signal: f64,
    /// Grey levels of the image itself summed over the particle.
    #[schema(unit = "grey levels")]
    pub raw_mass: f64,
}

impl Track {
    pub(super) fn of(frame: u64, feature: &Feature) -> Self {
        let Feature { x_px, y_px, mass, size_px, eccentricity, signal, raw_mass } = *feature;
        Self { frame, x_px, y_px, mass, size_px, eccentricity, signal, raw_mass }
    }
}
