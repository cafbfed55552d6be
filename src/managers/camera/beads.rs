//! A simulated scene: dark beads in Brownian motion on a light field.
//!
//! Beads move independently and are reflected at the borders of the field. A bead is a Gaussian
//! dip of the light, placed with sub-pixel precision; off focus it grows wider and fainter, so
//! that contrast is best at the focus height. Exposure scales the light, the sensor saturates at
//! 255, and the noise grows with the square root of the light. The same settings and the same
//! calls give the same frames in the same build; motion does not depend on how often the scene is
//! rendered. No clock and no thread lives here.

use super::bead_settings::{SceneError, SceneSettings, check};
use super::noise::{NoiseTable, SplitMix};

/// How far a bead reaches, in standard deviations of its profile; beyond, it takes 0.2 %.
const REACH_SIGMAS: f64 = 3.5;
/// A bead grows no wider than this many times its width in focus; it only fades further.
const MOST_BLUR: f64 = 4.0;
/// A bead whose centre takes less than this part of the light is not drawn.
const FAINTEST: f64 = 0.0005;
const LONGEST_EXPOSURE_MS: f64 = 600_000.0;
const LARGEST_HEIGHT_UM: f64 = 1e6;
const LONGEST_STEP_SECONDS: f64 = 3600.0;

/// Where the centre of a bead is; the centre of the first pixel is at (0, 0).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeadPosition {
    /// From the left, 0 to width − 1.
    pub x_px: f64,
    /// From the top, 0 to height − 1.
    pub y_px: f64,
}

/// Beads in motion and what a camera sees of them.
#[derive(Debug, Clone)]
pub struct BeadScene {
    settings: SceneSettings,
    beads: Vec<BeadPosition>,
    motion: SplitMix,
    sensor: SplitMix,
    noise: NoiseTable,
    /// The part of the light that reaches each pixel; all ones between frames.
    light: Vec<f32>,
    /// The part of the light that a bead takes away along a row; kept to save the allocation.
    profile: Vec<f32>,
}

impl BeadScene {
    /// Scatters the beads evenly over the field. Takes 4 bytes of memory a pixel.
    ///
    /// # Errors
    /// [`SceneError::OutOfRange`]: the first of [`SceneSettings::faults`].
    pub fn new(settings: SceneSettings) -> Result<Self, SceneError> {
        if let Some(fault) = settings.faults().into_iter().next() {
            return Err(fault);
        }
        let mut motion = SplitMix::new(settings.seed);
        // A generator of its own: frames that nobody renders must not change the motion.
        let mut sensor = SplitMix::new(motion.next_u64());
        let noise = NoiseTable::new(&mut sensor);
        let (x_end, y_end) = field_end(&settings);
        let place = |_| BeadPosition { x_px: x_end * motion.uniform(), y_px: y_end * motion.uniform() };
        let beads = (0..settings.bead_count).map(place).collect();
        let light = vec![1.0; settings.width_px as usize * settings.height_px as usize];
        Ok(Self { settings, beads, motion, sensor, noise, light, profile: Vec::new() })
    }

    /// Lets the beads diffuse for `dt_seconds`, 0 to 3600.
    ///
    /// # Errors
    /// [`SceneError::OutOfRange`]: the time is out of bounds; no bead has moved.
    pub fn step(&mut self, dt_seconds: f64) -> Result<(), SceneError> {
        check("dt_seconds", dt_seconds, 0.0, LONGEST_STEP_SECONDS)?;
        let variance_um2 = 2.0 * self.settings.diffusion_um2_per_s * dt_seconds;
        let deviation_px = variance_um2.sqrt() / self.settings.um_per_px;
        let (x_end, y_end) = field_end(&self.settings);
        for bead in &mut self.beads {
            let (right, down) = self.motion.gaussian_pair();
            bead.x_px = reflect(bead.x_px + deviation_px * right, x_end);
            bead.y_px = reflect(bead.y_px + deviation_px * down, y_end);
        }
        Ok(())
    }

    /// Where the beads are now, in pixels.
    pub fn truth(&self) -> &[BeadPosition] {
        &self.beads
    }

    /// The settings the scene was built from.
    pub fn settings(&self) -> &SceneSettings {
        &self.settings
    }

    /// Fills an 8-bit frame whose rows begin `stride` bytes apart; bytes between rows keep what
    /// they hold. Exposure is 0 to 600 000 ms; `height_um` is that of the objective, within
    /// ±1 000 000 µm. The noise differs from call to call.
    ///
    /// # Errors
    /// - [`SceneError::OutOfRange`]: exposure or height is out of bounds.
    /// - [`SceneError::StrideTooSmall`], [`SceneError::BufferTooSmall`]: the frame does not fit.
    ///
    /// In each case the frame is untouched.
    pub fn render(
        &mut self,
        frame: &mut [u8],
        stride: usize,
        exposure_ms: f64,
        height_um: f64,
    ) -> Result<(), SceneError> {
        check("exposure_ms", exposure_ms, 0.0, LONGEST_EXPOSURE_MS)?;
        check("height_um", height_um, -LARGEST_HEIGHT_UM, LARGEST_HEIGHT_UM)?;
        self.check_frame(frame.len(), stride)?;
        let spot = Spot::at_height(&self.settings, height_um);
        if spot.darkness >= FAINTEST {
            self.draw_beads(&spot);
        }
        let exposure = exposure_ms / self.settings.reference_exposure_ms;
        self.expose(frame, stride, (self.settings.background_level * exposure) as f32);
        Ok(())
    }

    fn check_frame(&self, actual_bytes: usize, stride_px: usize) -> Result<(), SceneError> {
        let width_px = self.settings.width_px as usize;
        if stride_px < width_px {
            return Err(SceneError::StrideTooSmall { stride_px, width_px });
        }
        let rows_above_last = self.settings.height_px as usize - 1;
        let expected_bytes = stride_px.saturating_mul(rows_above_last).saturating_add(width_px);
        if actual_bytes < expected_bytes {
            return Err(SceneError::BufferTooSmall { actual_bytes, expected_bytes });
        }
        Ok(())
    }

    fn draw_beads(&mut self, spot: &Spot) {
        let width = self.settings.width_px as usize;
        for bead in &self.beads {
            let columns = spot.pixels_around(bead.x_px, self.settings.width_px);
            let rows = spot.pixels_around(bead.y_px, self.settings.height_px);
            self.profile.clear();
            self.profile.extend(columns.clone().map(|x| spot.profile(x as f64 - bead.x_px)));
            for y in rows {
                let darkness = spot.darkness as f32 * spot.profile(y as f64 - bead.y_px);
                let light = &mut self.light[y * width..][columns.clone()];
                for (light, profile) in light.iter_mut().zip(&self.profile) {
                    *light *= 1.0 - darkness * profile;
                }
            }
        }
    }

    /// Turns light into grey levels, and all light back to one.
    fn expose(&mut self, frame: &mut [u8], stride: usize, background: f32) {
        let width = self.settings.width_px as usize;
        let noise_gain = self.settings.noise_level as f32 / f32::sqrt(255.0);
        for (row, light) in frame.chunks_mut(stride).zip(self.light.chunks_exact_mut(width)) {
            let pieces = row[..width].chunks_mut(NoiseTable::LONGEST_STRETCH);
            for (row, light) in pieces.zip(light.chunks_mut(NoiseTable::LONGEST_STRETCH)) {
                expose_piece(row, light, self.noise.stretch(&mut self.sensor), background, noise_gain);
            }
        }
    }
}

fn expose_piece(row: &mut [u8], light: &mut [f32], noise: &[f32], background: f32, noise_gain: f32) {
    for ((pixel, light), noise) in row.iter_mut().zip(light).zip(noise) {
        let level = background * std::mem::replace(light, 1.0);
        *pixel = grey_level(level + noise * noise_gain * level.sqrt());
    }
}

/// Rounds to the nearest level from 0 to 255, in a way the compiler can do for many at once.
fn grey_level(level: f32) -> u8 {
    // From 2^23 on, floats are whole numbers and their lowest bits count them.
    const WHOLE_NUMBERS_FROM: f32 = 8_388_608.0;
    (level.clamp(0.0, 255.0) + WHOLE_NUMBERS_FROM).to_bits() as u8
}

/// How a bead looks at some distance from the focus.
struct Spot {
    /// The part of the light that the centre takes away.
    darkness: f64,
    reach_px: f64,
    /// Minus one over twice the variance: the factor in the exponent of the Gaussian.
    falloff: f64,
}

impl Spot {
    fn at_height(settings: &SceneSettings, height_um: f64) -> Self {
        let defocus = (height_um - settings.focus_height_um) / settings.depth_of_field_um;
        let spread = 1.0 + defocus * defocus;
        // The radius is two standard deviations.
        let sigma_px = settings.radius_px / 2.0 * spread.sqrt().min(MOST_BLUR);
        Self {
            darkness: settings.contrast / spread,
            reach_px: REACH_SIGMAS * sigma_px,
            falloff: -0.5 / (sigma_px * sigma_px),
        }
    }

    fn profile(&self, distance_px: f64) -> f32 {
        (self.falloff * distance_px * distance_px).exp() as f32
    }

    /// The pixels from 0 up to `end` that a bead at `centre_px` reaches.
    fn pixels_around(&self, centre_px: f64, end: u32) -> std::ops::Range<usize> {
        let first = (centre_px - self.reach_px).ceil().max(0.0) as usize;
        let last = (centre_px + self.reach_px).min(f64::from(end) - 1.0) as usize;
        first..last + 1
    }
}

/// The largest coordinates of a bead.
fn field_end(settings: &SceneSettings) -> (f64, f64) {
    (f64::from(settings.width_px) - 1.0, f64::from(settings.height_px) - 1.0)
}

/// Folds a position back into 0 to `end`, as if the borders were mirrors.
fn reflect(position: f64, end: f64) -> f64 {
    if end <= 0.0 {
        return 0.0;
    }
    let unfolded = position.rem_euclid(2.0 * end);
    unfolded.min(2.0 * end - unfolded).clamp(0.0, end)
}
