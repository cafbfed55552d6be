//! What the particle finder is told to look for.
//!
//! The defaults are those of trackpy 0.7, so that a diameter is enough to get its answer. Settings
//! that make no sense are refused here, before any image is seen; nothing is adjusted silently.

use std::error::Error;
use std::fmt;

/// The largest diameter and noise size, in pixels. Up to here all sums fit their integers.
pub const MAX_DIAMETER_PX: u32 = 255;

/// The largest separation, in pixels.
pub const MAX_SEPARATION_PX: u32 = 1024;

/// What a particle looks like and how hard to look. Made by [`LocateSettings::new`].
#[derive(Debug, Clone, PartialEq)]
pub struct LocateSettings {
    /// Diameter of the disk a particle is measured in: odd, 3 to 255 px. Rather too large than too
    /// small; also the width of the background mean.
    pub diameter_px: u32,
    /// Features of this mass or less are left out; in grey levels summed over the disk, after
    /// the bandpass. At least 0; default 0.
    pub min_mass: f64,
    /// Whether the particles are darker than their surroundings. The image is then inverted as
    /// 255 − v (8 bit) or 65535 − v (16 bit, whatever the camera's own bit depth). Default no.
    pub dark: bool,
    /// Standard deviation of the Gaussian that smooths pixel noise; 0 px (no smoothing) to below
    /// the diameter, default 1 px.
    pub noise_size_px: f64,
    /// Of two features closer than this the one of less mass is left out; 1 to 1024 px, default
    /// diameter + 1.
    pub separation_px: u32,
    /// Share of the non-zero filtered pixels a peak must outshine; 0 to 100 %, default 64 %.
    pub percentile: f64,
    /// Filtered values below this count as 0; in grey levels of the image, at least 0. Default 1
    /// level, for 16-bit images too; raise it to the noise of a camera of more than 8 bits.
    pub threshold: f64,
    /// How often the disk is placed at most, at least 1; default 10.
    pub max_iterations: u32,
    /// The disk moves on by one pixel while the centroid lies farther than this from its centre, in
    /// x or in y; above 0 px, default 0.6 px.
    pub shift_threshold_px: f64,
}

impl LocateSettings {
    /// Bright particles of this diameter and of any mass, with trackpy's defaults.
    pub fn new(diameter_px: u32) -> Self {
        Self {
            diameter_px,
            min_mass: 0.0,
            dark: false,
            noise_size_px: 1.0,
            separation_px: diameter_px.saturating_add(1),
            percentile: 64.0,
            threshold: 1.0,
            max_iterations: 10,
            shift_threshold_px: 0.6,
        }
    }

    /// Tells whether these settings can be worked with.
    ///
    /// # Errors
    /// The first field that is out of range, in the order of [`SettingsError`].
    pub fn check(&self) -> Result<(), SettingsError> {
        let diameter_px = self.diameter_px;
        if !(3..=MAX_DIAMETER_PX).contains(&diameter_px) {
            return Err(SettingsError::DiameterOutOfRange { diameter_px });
        }
        if diameter_px.is_multiple_of(2) {
            return Err(SettingsError::EvenDiameter { diameter_px });
        }
        if !(1..=MAX_SEPARATION_PX).contains(&self.separation_px) {
            let separation_px = self.separation_px;
            return Err(SettingsError::SeparationOutOfRange { separation_px });
        }
        if self.max_iterations == 0 {
            return Err(SettingsError::NoIterations);
        }
        self.check_fractions()
    }

    fn check_fractions(&self) -> Result<(), SettingsError> {
        let noise_fits = self.noise_size_px < f64::from(self.diameter_px);
        let checks = [
            ("noise_size_px", self.noise_size_px, self.noise_size_px >= 0.0 && noise_fits),
            ("percentile", self.percentile, (0.0..=100.0).contains(&self.percentile)),
            ("threshold", self.threshold, self.threshold >= 0.0),
            ("shift_threshold_px", self.shift_threshold_px, self.shift_threshold_px > 0.0),
            ("min_mass", self.min_mass, self.min_mass >= 0.0),
        ];
        match checks.into_iter().find(|(_, value, fits)| !(*fits && value.is_finite())) {
            Some((field, value, _)) => Err(SettingsError::FractionOutOfRange { field, value }),
            None => Ok(()),
        }
    }
}

/// Why settings were refused. Nothing has been looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SettingsError {
    /// The diameter is not 3 to 255 px.
    DiameterOutOfRange {
        /// The diameter asked for.
        diameter_px: u32,
    },
    /// The diameter is even, so its disk has no centre pixel.
    EvenDiameter {
        /// The diameter asked for.
        diameter_px: u32,
    },
    /// The separation is not 1 to 1024 px.
    SeparationOutOfRange {
        /// The separation asked for.
        separation_px: u32,
    },
    /// The disk would never be placed.
    NoIterations,
    /// A number is outside the range its field documents, or not a number.
    FractionOutOfRange {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiameterOutOfRange { diameter_px } => {
                write!(f, "diameter {diameter_px} px is outside 3 to {MAX_DIAMETER_PX} px")
            }
            Self::EvenDiameter { diameter_px } => {
                write!(f, "diameter {diameter_px} px is even, expected an odd one")
            }
            Self::SeparationOutOfRange { separation_px } => {
                write!(f, "separation {separation_px} px is outside 1 to {MAX_SEPARATION_PX} px")
            }
            Self::NoIterations => write!(f, "max_iterations is 0, expected at least 1"),
            Self::FractionOutOfRange { field, value } => {
                write!(f, "{field} {value} is outside {}", documented_range(field))
            }
        }
    }
}

fn documented_range(field: &str) -> &'static str {
    match field {
        "noise_size_px" => "0 px to below the diameter",
        "percentile" => "0 to 100 %",
        "shift_threshold_px" => "the range above 0 px",
        _ => "the range from 0 up",
    }
}

impl Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_settings(change: impl Fn(&mut LocateSettings), complaint: Option<&str>) {
        let mut settings = LocateSettings::new(11);
        change(&mut settings);
        let found = settings.check().err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), complaint, "{settings:?}");
    }

    #[test]
    fn the_defaults_of_every_odd_diameter_are_accepted() {
        for diameter in (3..=255).step_by(2) {
            check_settings(|settings| *settings = LocateSettings::new(diameter), None);
        }
    }

    #[test]
    fn an_even_diameter_is_refused() {
        let complaint = "diameter 12 px is even, expected an odd one";
        check_settings(|settings| settings.diameter_px = 12, Some(complaint));
    }

    #[test]
    fn a_diameter_beyond_the_limits_is_refused() {
        let complaint = "diameter 1 px is outside 3 to 255 px";
        check_settings(|settings| settings.diameter_px = 1, Some(complaint));
        let complaint = "diameter 257 px is outside 3 to 255 px";
        check_settings(|settings| settings.diameter_px = 257, Some(complaint));
    }

    #[test]
    fn a_separation_beyond_the_limits_is_refused() {
        let complaint = "separation 0 px is outside 1 to 1024 px";
        check_settings(|settings| settings.separation_px = 0, Some(complaint));
    }

    #[test]
    fn no_iterations_are_refused() {
        let complaint = "max_iterations is 0, expected at least 1";
        check_settings(|settings| settings.max_iterations = 0, Some(complaint));
    }

    #[test]
    fn noise_as_wide_as_the_particle_is_refused() {
        let complaint = "noise_size_px 11 is outside 0 px to below the diameter";
        check_settings(|settings| settings.noise_size_px = 11.0, Some(complaint));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let complaint = "percentile NaN is outside 0 to 100 %";
        check_settings(|settings| settings.percentile = f64::NAN, Some(complaint));
        let complaint = "min_mass inf is outside the range from 0 up";
        check_settings(|settings| settings.min_mass = f64::INFINITY, Some(complaint));
        let complaint = "threshold NaN is outside the range from 0 up";
        check_settings(|settings| settings.threshold = f64::NAN, Some(complaint));
        let complaint = "shift_threshold_px 0 is outside the range above 0 px";
        check_settings(|settings| settings.shift_threshold_px = 0.0, Some(complaint));
    }
}
