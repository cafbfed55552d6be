//! The bandpass of Crocker and Grier: a smoothed image less its background.
//!
//! J. C. Crocker and D. G. Grier, J. Colloid Interface Sci. 179, 298 (1996), with the box mean, the
//! threshold and the cutting to whole levels of trackpy 0.7 (`trackpy.bandpass`, `convert_to_int`).
//! Particles are bright; what stays below the threshold becomes 0. Double precision, because where
//! rounding moves a pixel across a level it can move a peak.

use super::boxcar::Boxcar;
use super::gaussian::Gaussian;
use super::plane::{GrayLevel, Plane};
use super::settings::LocateSettings;

/// The part of the full scale that rounding may leave of an evenly lit image.
const ROUNDING: f64 = 1e-9;

/// Pixels compared at a stroke.
const STROKE: usize = 8;

/// The two filters and the filtered image before it is cut to whole levels.
#[derive(Debug, Clone)]
pub(super) struct Bandpass {
    gaussian: Gaussian,
    boxcar: Boxcar,
    threshold: f64,
    filtered: Plane<f64>,
}

impl Bandpass {
    /// The filters for checked settings.
    pub(super) fn new(settings: &LocateSettings) -> Self {
        Self {
            gaussian: Gaussian::new(settings.noise_size_px),
            boxcar: Boxcar::new(settings.diameter_px),
            threshold: settings.threshold,
            filtered: Plane::default(),
        }
    }

    /// Filters `image` into `levels`, stretched so that the greatest value becomes `L::MAX`.
    /// Returns the factor of the stretch, or `None` when nothing reaches the threshold; `levels` is
    /// then unspecified.
    pub(super) fn filter<L: GrayLevel>(&mut self, image: &Plane<L>, levels: &mut Plane<L>) -> Option<f64> {
        let brightest = self.subtract_background(image);
        let full_scale = f64::from(L::MAX.whole());
        if brightest <= ROUNDING * full_scale {
            return None;
        }
        let factor = full_scale / brightest;
        levels.resize(image.width_px(), image.height_px());
        for (level, &value) in levels.pixels_mut().iter_mut().zip(self.filtered.pixels()) {
            *level = L::at_or_below(value * factor);
        }
        Some(factor)
    }

    /// Fills the filtered image and returns its greatest value.
    fn subtract_background<L: GrayLevel>(&mut self, image: &Plane<L>) -> f64 {
        self.filtered.resize(image.width_px(), image.height_px());
        let row_count = if image.width_px() == 0 { 0 } else { image.height_px() };
        let mut brightest = 0.0f64;
        for y in 0..row_count {
            let smooth = self.gaussian.row(image, y);
            let background = self.boxcar.row(image, y);
            let filtered = self.filtered.row_mut(y);
            for ((value, &smooth), &background) in filtered.iter_mut().zip(smooth).zip(background) {
                let difference = smooth - f64::from(background);
                *value = if difference >= self.threshold { difference } else { 0.0 };
            }
            brightest = brightest.max(greatest(filtered));
        }
        brightest
    }
}

/// The greatest of `values`, or 0 when all are below. Several running maxima, for a single one
/// would have each comparison wait for the one before.
fn greatest(values: &[f64]) -> f64 {
    let (strokes, rest) = values.as_chunks::<STROKE>();
    let mut lanes = [0.0; STROKE];
    for stroke in strokes {
        for (lane, &value) in lanes.iter_mut().zip(stroke) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 21;

    /// Filters a square image of ground 50 with a spot of `spot` in its middle and returns the
    /// factor and the level in the middle.
    fn filtered(spot: u8, threshold: f64) -> Option<(f64, u8)> {
        let mut pixels = vec![50u8; SIDE * SIDE];
        pixels[SIDE * SIDE / 2] = spot;
        let mut image = Plane::default();
        image.copy_bright(&pixels, (SIDE, SIDE), SIDE, false);
        let mut levels = Plane::default();
        let settings = LocateSettings { threshold, ..LocateSettings::new(5) };
        let factor = Bandpass::new(&settings).filter(&image, &mut levels)?;
        Some((factor, levels.row(SIDE / 2)[SIDE / 2]))
    }

    fn check_spot(spot: u8, threshold: f64, peak: Option<f64>) {
        let found = filtered(spot, threshold);
        match (found, peak) {
            (Some((factor, level)), Some(peak)) => {
                assert!((255.0 / factor - peak).abs() < 1e-3, "peak {} for {spot}", 255.0 / factor);
                assert!(level >= 254, "level {level} for {spot}");
            }
            (found, peak) => assert_eq!(found.map(|_| ()), peak.map(|_| ()), "spot {spot}"),
        }
    }

    #[test]
    fn a_spot_is_smoothed_and_loses_its_background() {
        // The Gaussian's centre weight is 0.39894² = 0.15916; the means are 50 + ⌊⌊100 / 5⌋ / 5⌋.
        check_spot(150, 1.0, Some(15.916 - 4.0));
    }

    #[test]
    fn what_stays_below_the_threshold_is_nothing() {
        check_spot(150, 12.0, None);
        check_spot(55, 1.0, None);
    }

    #[test]
    fn an_evenly_lit_image_is_nothing_even_without_a_threshold() {
        check_spot(50, 0.0, None);
    }
}
