//! `camera.replay`: recorded images instead of a camera.
//!
//! It waits for its lossless readers and passes nothing over, so that every image is seen exactly once. An
//! image that cannot be read is named, counted as lost, and skipped or the end, by policy.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use super::acquisition::{Acquires, Acquisition, Exposes, FrameSource, Taken};
use super::grey::{FrameShape, PixelDepth};
use super::image_error::ImageError;
use super::sequence::{ImageSequence, PendingImage};
use super::signals::CameraSignals;
use crate::prelude::*;
use crate::registry::FrameProducer;
use crate::shm::{Capture, LoanError};

/// The table `[managers.<name>.config]` of a `camera.replay`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct ReplayConfig {
    /// A folder of PNG and TIFF files, or one such file; each page of a TIFF is a frame.
    pub path: PathBuf,
    /// Frames in a second; without it, as fast as the readers take them.
    #[schema(unit = "Hz", min = 0.01, max = 10000)]
    #[serde(default)]
    pub rate_hz: Option<f64>,
    /// Whether it begins again after the last image.
    #[serde(default)]
    pub repeat: bool,
    /// What to do about an image that cannot be read.
    #[serde(default)]
    pub on_unreadable: UnreadablePolicy,
    /// Whether the rig quits after the last image.
    #[serde(default = "yes")]
    pub quit_when_done: bool,
    /// Exposure that the frames are said to have.
    #[schema(unit = "ms", min = 0.001, max = 60000.0)]
    #[serde(default = "ten")]
    pub exposure_ms: f64,
    /// Whether images are played from the start.
    #[serde(default = "yes")]
    pub acquire_at_start: bool,
}

/// What to do about an image that cannot be read.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum UnreadablePolicy {
    /// Count it as lost and go on with the next.
    #[default]
    Skip,
    /// Count it as lost and end the stream.
    Stop,
}

fn yes() -> bool {
    true
}

fn ten() -> f64 {
    10.0
}

/// Recorded images as a camera.
pub struct CameraReplay {
    path: PathBuf,
    limit_bytes: usize,
    acquisition: Acquisition,
}

impl Manager for CameraReplay {
    type Config = ReplayConfig;

    fn setup(config: ReplayConfig, context: &mut Context) -> Result<Self, SetupError> {
        // The true format comes with each image; this one only opens the stream.
        let stream = context.produced_stream("video");
        let producer = context.producer(&stream, FrameFormat::packed(1, 1, PixelType::Gray8))?;
        let limit_bytes = usize::try_from(producer.max_frame_bytes()).unwrap_or(usize::MAX);
        let images = ImageSequence::open(&config.path, limit_bytes)?;
        log::info!("replaying `{}` ({} files)", config.path.display(), images.file_count());
        let period = config.rate_hz.map(|rate_hz| Duration::from_secs_f64(1.0 / rate_hz));
        let (is_on, exposure_ms) = (config.acquire_at_start, config.exposure_ms);
        let path = config.path.clone();
        let source = RecordedFrames { images, config, scope: context.scope(), index: 0, read_in_round: 0 };
        let out = (producer, context.signals(CameraSignals::default())?);
        let acquisition = Acquisition::start(source, out, period, is_on, exposure_ms)?;
        Ok(Self { path, limit_bytes, acquisition })
    }

    fn enter_safe_state(&mut self, _: SafeReason) {
        self.acquisition.set_on(false);
    }
}

impl Acquires for CameraReplay {
    fn acquisition(&mut self) -> &mut Acquisition {
        &mut self.acquisition
    }
}

impl Exposes for CameraReplay {}

#[manager(kind = "camera.replay", roles(Acquires, Exposes), signals(CameraSignals))]
impl CameraReplay {
    /// The first image of the recording can be read and fits a frame of the stream; no image is played by this.
    #[self_check]
    fn first_image_is_readable(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut images = ImageSequence::open(&self.path, self.limit_bytes)?;
        let image = images.next_image().ok_or("the recording has no image")??;
        let mut pixels = vec![0; image.frame_bytes()];
        Ok(image.decode_into(&mut pixels)?)
    }
}

struct RecordedFrames {
    images: ImageSequence,
    config: ReplayConfig,
    scope: Scope,
    /// The number of the next image, unreadable ones and earlier rounds counted.
    index: u64,
    read_in_round: u64,
}

impl FrameSource for RecordedFrames {
    fn take(&mut self, producer: &mut FrameProducer, exposure_ms: f64) -> Taken {
        let capture =
            Capture { exposure_us: exposure_ms * 1e3, source_index: self.index, ..Capture::default() };
        let played = match self.images.next_image() {
            None => return self.end_of_round(),
            Some(Err(error)) => Err(error),
            Some(Ok(image)) => match play(image, producer, capture) {
                Ok(()) => Ok(()),
                Err(NotPlayed::Image(error)) => Err(error),
                Err(NotPlayed::Stream(LoanError::Interrupted)) => return Taken::End,
                Err(NotPlayed::Stream(error)) => return self.stream_failed(&error),
            },
        };
        self.index += 1;
        match played {
            Ok(()) => {
                self.read_in_round += 1;
                Taken::Frame
            }
            Err(error) => self.unreadable(&error),
        }
    }
}

/// Why an image is not in the stream.
enum NotPlayed {
    Image(ImageError),
    Stream(LoanError),
}

/// Decodes an image straight into a slot of the stream.
fn play(image: PendingImage<'_>, producer: &mut FrameProducer, capture: Capture) -> Result<(), NotPlayed> {
    producer.set_format(format_of(image.shape()));
    let mut slot = producer.loan().map_err(NotPlayed::Stream)?;
    image.decode_into(slot.pixels_mut()).map_err(NotPlayed::Image)?;
    slot.publish(capture);
    Ok(())
}

fn format_of(shape: FrameShape) -> FrameFormat {
    let pixel = match shape.depth {
        PixelDepth::Eight => PixelType::Gray8,
        PixelDepth::Sixteen => PixelType::Gray16,
    };
    FrameFormat::packed(shape.width_px, shape.height_px, pixel)
}

impl RecordedFrames {
    fn unreadable(&mut self, error: &ImageError) -> Taken {
        self.scope.report_loss("unreadable image", &error.to_string());
        match self.config.on_unreadable {
            UnreadablePolicy::Skip => Taken::Frame,
            UnreadablePolicy::Stop => self.done("an image cannot be read"),
        }
    }

    fn stream_failed(&self, error: &LoanError) -> Taken {
        self.scope.report_loss("stream", &error.to_string());
        self.done("the stream takes no more frames")
    }

    /// After the last image: again from the first, or the end. A round without a readable image is the last.
    fn end_of_round(&mut self) -> Taken {
        if !self.config.repeat || self.read_in_round == 0 {
            return self.done("every image was played");
        }
        self.read_in_round = 0;
        self.images.rewind();
        Taken::Frame
    }

    fn done(&self, why: &str) -> Taken {
        log::info!("{why}: {} images", self.index);
        if self.config.quit_when_done {
            self.scope.quit();
        }
        Taken::End
    }
}
