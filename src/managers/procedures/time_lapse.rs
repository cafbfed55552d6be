//! `time_lapse`: keeps one image after the other, at an interval.
//!
//! The time between images is waited for as a step's end, so that it is no longer after a pause or a crash than it would
//! have been: an image that is overdue then is taken at once. Each image has a file of its own, by its number, so that one
//! that a crash has interrupted is written again over itself.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::managers::tracker::SaveFrame;
use crate::prelude::*;

/// Which images.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct LapseInputs {
    /// How many.
    #[schema(min = 1, max = 1000000)]
    pub images: u32,
    /// How long from one to the next.
    #[schema(unit = "ms", min = 1, max = 86400000)]
    pub interval_ms: u64,
    /// The folder in which they are kept, as `00000.png` and so on; it is made if need be.
    pub folder: PathBuf,
    /// The manager that keeps them.
    #[serde(default = "tracker")]
    pub tracker: String,
}

fn tracker() -> String {
    "tracker".to_owned()
}

/// What was kept.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct LapseReport {
    /// How many images.
    pub images: u32,
    /// The frame of the stream that each of them shows.
    pub source_indices: Vec<u64>,
}

/// Keeps images at an interval.
#[derive(Serialize, Deserialize, Schema, Debug)]
pub struct TimeLapse {
    /// When the first was due, in ms since 1970.
    begun_ms: u64,
    source_indices: Vec<u64>,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[procedure(kind = "time_lapse")]
impl Procedure for TimeLapse {
    type Inputs = LapseInputs;
    type Output = LapseReport;

    fn begin(inputs: &LapseInputs, _: &mut StepContext) -> Result<Self, StepError> {
        std::fs::create_dir_all(&inputs.folder)?;
        Ok(Self { begun_ms: now_ms(), source_indices: Vec::new() })
    }

    /// One image.
    fn step(
        &mut self,
        inputs: &LapseInputs,
        context: &mut StepContext,
    ) -> Result<Step<LapseReport>, StepError> {
        let file = inputs.folder.join(format!("{:05}.png", self.source_indices.len()));
        let saved = context.to(&inputs.tracker).call(SaveFrame { file })?;
        self.source_indices.push(saved.source_index);
        let taken = self.source_indices.len();
        context.progress(taken as f64, inputs.images.into(), &format!("{taken} of {} images", inputs.images));
        if taken >= inputs.images as usize {
            let source_indices = self.source_indices.clone();
            return Ok(Step::Done(LapseReport { images: inputs.images, source_indices }));
        }
        let due_ms = self.begun_ms.saturating_add(inputs.interval_ms.saturating_mul(taken as u64));
        Ok(Step::Sleep(Duration::from_millis(due_ms.saturating_sub(now_ms()))))
    }
}
