//! `tracker`: looks at every frame of its input and writes down the particles.

use std::time::{Duration, Instant};

use super::commands::{FrameSaved, SaveFrame, Tracked, WhatIsTracked};
use super::image::{GrayImage, GrayImageError, GrayPixels};
use super::locate::{Feature, Locator};
use super::saving::{SaveError, Wanted};
use super::settings::LocateSettings;
use super::signals::TrackerSignals;
use super::table::Table;
use crate::prelude::*;

/// The table `[managers.<name>.config]` of a `tracker`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(default)]
pub struct TrackerConfig {
    /// Diameter of a particle, an odd number; rather a little too large than too small.
    #[schema(unit = "px", min = 3, max = 255)]
    pub diameter_px: u32,
    /// The least brightness, added up over a particle, that counts as one.
    #[schema(min = 0)]
    pub min_mass: f64,
    /// Whether particles are darker than their surroundings.
    pub is_dark: bool,
    /// Width of the noise that is smoothed away.
    #[schema(unit = "px", min = 0, max = 100)]
    pub noise_size_px: f64,
    /// The least distance between two particles; without it, one more than the diameter.
    #[schema(unit = "px", min = 1, max = 1024)]
    pub separation_px: Option<u32>,
    /// Particles must be brighter than this part of the picture.
    #[schema(unit = "%", min = 0, max = 100)]
    pub percentile: f64,
    /// What is less bright than this after the band-pass is set to nothing.
    #[schema(unit = "grey levels", min = 0, max = 65535)]
    pub threshold: f64,
    /// How often a centroid is moved at most.
    #[schema(min = 1, max = 1000)]
    pub max_iterations: u32,
    /// The table's name in the run's folder; empty for none.
    pub output: String,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        let settings = LocateSettings::new(11);
        Self {
            diameter_px: settings.diameter_px,
            min_mass: settings.min_mass,
            is_dark: true,
            noise_size_px: settings.noise_size_px,
            separation_px: None,
            percentile: settings.percentile,
            threshold: settings.threshold,
            max_iterations: settings.max_iterations,
            output: "tracks.csv".to_owned(),
        }
    }
}

impl TrackerConfig {
    fn settings(&self) -> LocateSettings {
        let default = LocateSettings::new(self.diameter_px);
        LocateSettings {
            min_mass: self.min_mass,
            dark: self.is_dark,
            noise_size_px: self.noise_size_px,
            separation_px: self.separation_px.unwrap_or(default.separation_px),
            percentile: self.percentile,
            threshold: self.threshold,
            max_iterations: self.max_iterations,
            ..default
        }
    }
}

/// A particle tracker.
pub struct Tracker {
    locator: Locator,
    features: Vec<Feature>,
    table: Option<Table>,
    tracked: Tracked,
    spent: Duration,
    signals: Publisher<TrackerSignals>,
    wanted: Wanted,
}

impl Manager for Tracker {
    type Config = TrackerConfig;

    fn setup(config: TrackerConfig, context: &mut Context) -> Result<Self, SetupError> {
        let locator = Locator::new(config.settings())?;
        let path = context.run_dir().join(&config.output);
        let table = if config.output.is_empty() {
            None
        } else {
            let create = |error| SetupError::new(format!("cannot create `{}`: {error}", path.display()));
            Some(Table::create(&path).map_err(create)?)
        };
        let signals = context.signals(TrackerSignals::default())?;
        let (features, tracked, spent) = (Vec::new(), Tracked::default(), Duration::ZERO);
        Ok(Self { locator, features, table, tracked, spent, signals, wanted: Wanted::default() })
    }
}

#[manager(kind = "tracker", signals(TrackerSignals))]
impl Tracker {
    #[ipc_command]
    fn what_is_tracked(&mut self, _command: WhatIsTracked) -> Tracked {
        let mean_ms = self.spent.as_secs_f64() * 1e3 / self.tracked.frames.max(1) as f64;
        Tracked { mean_ms, ..self.tracked.clone() }
    }

    /// The answer comes when there is a frame to keep.
    #[ipc_command]
    fn save_frame(&mut self, command: SaveFrame, context: &mut Context) -> Result<FrameSaved, SaveError> {
        let answer = context.answer_later();
        self.wanted.add(command, answer);
        Ok(FrameSaved { source_index: 0 })
    }

    #[on_frame(input = "video")]
    fn look(&mut self, frame: &Frame, context: &mut Context) -> Result<(), GrayImageError> {
        let image = image_of(frame)?;
        let begin = Instant::now();
        self.locator.locate(&image, &mut self.features);
        let took = begin.elapsed();
        self.spent += took;
        self.tracked.frames += 1;
        self.tracked.in_last_frame = self.features.len() as u64;
        self.tracked.particles += self.tracked.in_last_frame;
        self.signals.publish(TrackerSignals {
            frames_seen: self.tracked.frames,
            particle_count: self.tracked.in_last_frame,
            source_index: frame.meta().source_index,
            contrast: mean_signal(&self.features),
            frame_ms: took.as_secs_f64() * 1e3,
        });
        self.wanted.save(frame);
        self.write_down(frame.meta().source_index, context);
        Ok(())
    }

    fn write_down(&mut self, frame: u64, context: &Context) {
        let Some(table) = &mut self.table else { return };
        if let Err(error) = table.append(frame, &self.features) {
            self.tracked.frames_not_written += 1;
            let detail = format!("frame {frame} into `{}`: {error}", table.path().display());
            context.scope().report_loss("particles not written", &detail);
        }
    }
}

fn mean_signal(features: &[Feature]) -> f64 {
    let sum: f64 = features.iter().map(|feature| feature.signal).sum();
    sum / features.len().max(1) as f64
}

/// A frame as the locator takes it.
fn image_of<'a>(frame: &'a Frame<'_>) -> Result<GrayImage<'a>, GrayImageError> {
    let format = frame.meta().format;
    let stride_px = (format.stride_bytes / format.pixel.bytes()) as usize;
    let pixels = match frame.pixels_u16() {
        Some(pixels) => GrayPixels::Sixteen(pixels),
        None => GrayPixels::Eight(frame.bytes()),
    };
    GrayImage::new(pixels, format.width as usize, format.height as usize, stride_px)
}
