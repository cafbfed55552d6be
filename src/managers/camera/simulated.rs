//! `camera.sim`: beads in Brownian motion before a simulated camera.

use std::time::Duration;

use super::acquisition::{Acquires, Acquisition, Exposes, FrameSource, NoFrame, Taken};
use super::bead_settings::SceneSettings;
use super::beads::BeadScene;
use super::signals::CameraSignals;
use crate::prelude::*;
use crate::registry::FrameProducer;
use crate::shm::{Capture, LoanError};

/// The table `[managers.<name>.config]` of a `camera.sim`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(default)]
pub struct SimConfig {
    /// Width of a frame.
    #[schema(unit = "px", min = 1, max = 8192)]
    pub width_px: u32,
    /// Height of a frame.
    #[schema(unit = "px", min = 1, max = 8192)]
    pub height_px: u32,
    /// Frames in a second; a lossless reader that needs longer slows them down.
    #[schema(unit = "Hz", min = 0.01, max = 10000)]
    pub rate_hz: f64,
    /// Exposure at the start.
    #[schema(unit = "ms", min = 0.001, max = 60000.0)]
    pub exposure_ms: f64,
    /// Number of beads.
    #[schema(min = 0, max = 10000)]
    pub beads: u32,
    /// Radius at which the darkness of a bead in focus has fallen to e⁻².
    #[schema(unit = "px", min = 0.5, max = 100)]
    pub bead_radius_px: f64,
    /// Diffusion coefficient of a bead.
    #[schema(unit = "um2/s", min = 0, max = 1000)]
    pub diffusion_um2_per_s: f64,
    /// Size of a pixel in the sample.
    #[schema(unit = "um", min = 0.001, max = 1000)]
    pub um_per_px: f64,
    /// Height of the objective at which the beads are sharp.
    #[schema(unit = "um", min = -1000000, max = 1000000)]
    pub focus_height_um: f64,
    /// The signal that says at which height the objective is, such as `motor.height_um`; without one it is at that height.
    pub objective: Option<String>,
    /// How far the objective is out of focus, besides.
    #[schema(unit = "um", min = -1000, max = 1000)]
    pub defocus_um: f64,
    /// Standard deviation of the noise at full brightness.
    #[schema(unit = "grey levels", min = 0, max = 64)]
    pub noise: f64,
    /// Where all random numbers come from.
    pub seed: u64,
    /// Whether frames are taken from the start.
    pub acquire_at_start: bool,
}

impl Default for SimConfig {
    fn default() -> Self {
        let scene = SceneSettings::default();
        Self {
            width_px: scene.width_px,
            height_px: scene.height_px,
            rate_hz: 50.0,
            exposure_ms: scene.reference_exposure_ms,
            beads: scene.bead_count,
            bead_radius_px: scene.radius_px,
            diffusion_um2_per_s: scene.diffusion_um2_per_s,
            um_per_px: scene.um_per_px,
            focus_height_um: scene.focus_height_um,
            objective: None,
            defocus_um: 0.0,
            noise: scene.noise_level,
            seed: scene.seed,
            acquire_at_start: true,
        }
    }
}

impl SimConfig {
    fn scene(&self) -> SceneSettings {
        SceneSettings {
            width_px: self.width_px,
            height_px: self.height_px,
            bead_count: self.beads,
            radius_px: self.bead_radius_px,
            diffusion_um2_per_s: self.diffusion_um2_per_s,
            um_per_px: self.um_per_px,
            focus_height_um: self.focus_height_um,
            noise_level: self.noise,
            seed: self.seed,
            ..SceneSettings::default()
        }
    }
}

/// A simulated camera.
pub struct CameraSim {
    acquisition: Acquisition,
}

impl Manager for CameraSim {
    type Config = SimConfig;

    fn setup(config: SimConfig, context: &mut Context) -> Result<Self, SetupError> {
        let scene = BeadScene::new(config.scene())?;
        let objective =
            config.objective.as_deref().map(|signal| context.scope().signal(signal)).transpose()?;
        let (height_um, defocus_um) = (scene.settings().focus_height_um, config.defocus_um);
        let format = FrameFormat::packed(config.width_px, config.height_px, PixelType::Gray8);
        let stream = context.produced_stream("video");
        let producer = context.producer(&stream, format)?;
        let period = Duration::from_secs_f64(1.0 / config.rate_hz);
        let period_s = period.as_secs_f64();
        let source = SimulatedFrames { scene, objective, height_um, defocus_um, period_s, index: 0 };
        let out = (producer, context.signals(CameraSignals::default())?);
        let acquisition =
            Acquisition::start(source, out, Some(period), config.acquire_at_start, config.exposure_ms)?;
        Ok(Self { acquisition })
    }

    fn enter_safe_state(&mut self, _: SafeReason) {
        self.acquisition.set_on(false);
    }
}

impl Acquires for CameraSim {
    fn acquisition(&mut self) -> &mut Acquisition {
        &mut self.acquisition
    }
}

impl Exposes for CameraSim {}

#[manager(kind = "camera.sim", roles(Acquires, Exposes), signals(CameraSignals))]
impl CameraSim {
    /// A frame is taken when acquisition is on; it is as before afterwards.
    #[self_check]
    fn takes_a_frame(&mut self, context: &mut Context) -> Result<(), NoFrame> {
        self.acquisition.wait_for_a_frame(context)
    }
}

struct SimulatedFrames {
    scene: BeadScene,
    objective: Option<SignalReader<f64>>,
    /// Where the objective was last.
    height_um: f64,
    defocus_um: f64,
    period_s: f64,
    index: u64,
}

impl FrameSource for SimulatedFrames {
    fn take(&mut self, producer: &mut FrameProducer, exposure_ms: f64) -> Taken {
        let mut slot = match producer.loan() {
            Ok(slot) => slot,
            Err(LoanError::Interrupted) => return Taken::End,
            Err(error) => {
                log::error!("no more frames: {error}");
                return Taken::End;
            }
        };
        let stride = slot.format().stride_bytes as usize;
        // A motor that has not said yet where it is, or is gone, leaves the objective where it is.
        if let Some(Ok(reading)) = self.objective.as_mut().map(SignalReader::read) {
            self.height_um = reading.value;
        }
        let height_um = self.height_um + self.defocus_um;
        let moved = self.scene.step(self.period_s);
        let drawn = moved.and_then(|()| self.scene.render(slot.pixels_mut(), stride, exposure_ms, height_um));
        if let Err(error) = drawn {
            log::error!("frame {} cannot be drawn: {error}", self.index);
            return Taken::End;
        }
        slot.publish(Capture {
            exposure_us: exposure_ms * 1e3,
            source_index: self.index,
            ..Capture::default()
        });
        self.index += 1;
        Taken::Frame
    }
}
