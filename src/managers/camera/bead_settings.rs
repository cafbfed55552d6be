//! What a simulated scene is made of, and within which bounds.

/// Why a simulated scene could not be built, moved or rendered; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SceneError {
    /// A number is outside its bounds, or is not a number.
    #[error("{name} is {value}, expected {min} to {max}")]
    OutOfRange {
        /// The setting or argument.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The smallest allowed value.
        min: f64,
        /// The largest allowed value.
        max: f64,
    },
    /// Rows would overlap.
    #[error("stride is {stride_px} px, expected at least the width of {width_px} px")]
    StrideTooSmall {
        /// Distance from row to row that was given.
        stride_px: usize,
        /// Width of the scene.
        width_px: usize,
    },
    /// The last row would not fit.
    #[error("frame buffer has {actual_bytes} bytes, expected at least {expected_bytes}")]
    BufferTooSmall {
        /// What was given.
        actual_bytes: usize,
        /// What the scene takes with that stride.
        expected_bytes: usize,
    },
}

/// A field of view with beads in Brownian motion. The default suits a 640 × 480 camera.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneSettings {
    /// Width of the field, 1 to 8192 px (640).
    pub width_px: u32,
    /// Height of the field, 1 to 8192 px (480).
    pub height_px: u32,
    /// Number of beads, 0 to 10 000 (100).
    pub bead_count: u32,
    /// Where the darkness of a bead in focus has fallen to e⁻² of its centre, 0.5 to 100 px (5).
    pub radius_px: f64,
    /// Diffusion coefficient of a bead, 0 to 1000 µm²/s (0.5).
    pub diffusion_um2_per_s: f64,
    /// Size of a pixel in the sample, 0.001 to 1000 µm (0.1).
    pub um_per_px: f64,
    /// Height of the objective at which the beads are sharp, ±1 000 000 µm (50).
    pub focus_height_um: f64,
    /// Distance from the focus at which contrast has halved, 0.001 to 100 000 µm (2).
    pub depth_of_field_um: f64,
    /// Grey level of the empty field at the reference exposure, 0 to 255 (180).
    pub background_level: f64,
    /// The exposure that gives the background level, 0.001 to 60 000 ms (10).
    pub reference_exposure_ms: f64,
    /// Part of the light that the centre of a bead in focus takes away, 0 to 1 (0.6).
    pub contrast: f64,
    /// Standard deviation of the noise at grey level 255, 0 to 64 levels (4). It falls with the
    /// square root of the level, as shot noise does.
    pub noise_level: f64,
    /// Where all random numbers come from (0).
    pub seed: u64,
}

impl Default for SceneSettings {
    fn default() -> Self {
        Self {
            width_px: 640,
            height_px: 480,
            bead_count: 100,
            radius_px: 5.0,
            diffusion_um2_per_s: 0.5,
            um_per_px: 0.1,
            focus_height_um: 50.0,
            depth_of_field_um: 2.0,
            background_level: 180.0,
            reference_exposure_ms: 10.0,
            contrast: 0.6,
            noise_level: 4.0,
            seed: 0,
        }
    }
}

impl SceneSettings {
    /// Every setting that is out of bounds, in the order of the fields; empty when all is well.
    pub fn faults(&self) -> Vec<SceneError> {
        let checks = [
            check("width_px", self.width_px.into(), 1.0, 8192.0),
            check("height_px", self.height_px.into(), 1.0, 8192.0),
            check("bead_count", self.bead_count.into(), 0.0, 10_000.0),
            check("radius_px", self.radius_px, 0.5, 100.0),
            check("diffusion_um2_per_s", self.diffusion_um2_per_s, 0.0, 1000.0),
            check("um_per_px", self.um_per_px, 0.001, 1000.0),
            check("focus_height_um", self.focus_height_um, -1e6, 1e6),
            check("depth_of_field_um", self.depth_of_field_um, 0.001, 100_000.0),
            check("background_level", self.background_level, 0.0, 255.0),
            check("reference_exposure_ms", self.reference_exposure_ms, 0.001, 60_000.0),
            check("contrast", self.contrast, 0.0, 1.0),
            check("noise_level", self.noise_level, 0.0, 64.0),
        ];
        checks.into_iter().filter_map(Result::err).collect()
    }
}

/// Passes a number within its bounds; refuses one outside, and what is not a number.
pub(super) fn check(name: &'static str, value: f64, min: f64, max: f64) -> Result<(), SceneError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SceneError::OutOfRange { name, value, min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_faults(settings: SceneSettings, expected: &[&str]) {
        let faults: Vec<String> = settings.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults, expected);
    }

    #[test]
    fn the_default_settings_have_no_fault() {
        check_faults(SceneSettings::default(), &[]);
    }

    #[test]
    fn every_setting_out_of_bounds_is_reported_with_its_bounds() {
        let settings = SceneSettings {
            width_px: 0,
            radius_px: f64::NAN,
            contrast: 1.5,
            noise_level: f64::INFINITY,
            ..SceneSettings::default()
        };
        let expected = [
            "width_px is 0, expected 1 to 8192",
            "radius_px is NaN, expected 0.5 to 100",
            "contrast is 1.5, expected 0 to 1",
            "noise_level is inf, expected 0 to 64",
        ];
        check_faults(settings, &expected);
    }
}
