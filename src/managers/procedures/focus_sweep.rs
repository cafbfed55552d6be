//! `focus_sweep`: moves the objective through a range of heights, and finds the one at which particles are sharpest.
//!
//! Light that a particle takes away is spread over an area that grows with the square of the distance from the focus: so one
//! over the contrast is a parabola of the height, whose vertex is the focus.

use std::time::Duration;

use super::parabola::vertex;
use crate::managers::camera::CameraSignals;
use crate::managers::motor::MoveTo;
use crate::managers::tracker::TrackerSignals;
use crate::prelude::*;

/// How long frames may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Heights at which particles have less than this part of the best contrast say little about the focus.
const LEAST_PART: f64 = 0.6;

/// Where to look for the focus.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(default)]
pub struct SweepInputs {
    /// The lowest height.
    #[schema(unit = "um", min = -1000000, max = 1000000)]
    pub from_um: f64,
    /// The greatest height.
    #[schema(unit = "um", min = -1000000, max = 1000000)]
    pub to_um: f64,
    /// How far to move from height to height.
    #[schema(unit = "um", min = 0.001, max = 1000)]
    pub step_um: f64,
    /// How many frames are looked at, at each height.
    #[schema(min = 1, max = 10000)]
    pub frames: u32,
    /// The manager that moves the objective.
    pub motor: String,
    /// The manager that takes the frames.
    pub camera: String,
    /// The manager that finds the particles.
    pub tracker: String,
}

impl Default for SweepInputs {
    fn default() -> Self {
        let name = str::to_owned;
        let (motor, camera, tracker) = (name("motor"), name("camera"), name("tracker"));
        Self { from_um: 12.0, to_um: 28.0, step_um: 0.5, frames: 5, motor, camera, tracker }
    }
}

/// Where the focus is.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct SweepReport {
    /// The height at which particles are sharpest; the objective is there now.
    #[schema(unit = "um")]
    pub best_um: f64,
    /// The standard deviation of that height.
    #[schema(unit = "um")]
    pub uncertainty_um: f64,
    /// What was measured.
    pub points: Vec<FocusPoint>,
}

/// What was measured at one height.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq)]
pub struct FocusPoint {
    /// The height.
    #[schema(unit = "um")]
    pub height_um: f64,
    /// How far particles stand out there, on average; 0 when there are none to be seen.
    #[schema(unit = "grey levels")]
    pub contrast: f64,
}

/// Finds the height of best focus.
#[derive(Serialize, Deserialize, Schema, Debug)]
pub struct FocusSweep {
    points: Vec<FocusPoint>,
}

/// Why there is no focus to be found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// There is no height between the bounds.
    #[error("the range is empty: from {from_um} µm to {to_um} µm")]
    EmptyRange {
        /// The lowest height.
        from_um: f64,
        /// The greatest height.
        to_um: f64,
    },
    /// At no height, or at too few, were there particles to be seen; or they are nowhere sharper than elsewhere.
    #[error(
        "no focus between {from_um} µm and {to_um} µm: particles were seen at {seen} of {heights} heights"
    )]
    NoFocus {
        /// The lowest height.
        from_um: f64,
        /// The greatest height.
        to_um: f64,
        /// At how many heights particles were seen.
        seen: usize,
        /// How many there are.
        heights: usize,
    },
}

impl SweepInputs {
    fn height_um(&self, index: usize) -> Option<f64> {
        let height_um = self.from_um + index as f64 * self.step_um;
        // The last height counts in spite of rounding.
        (height_um <= self.to_um + self.step_um * 1e-6).then_some(height_um)
    }

    fn count(&self) -> usize {
        (((self.to_um - self.from_um) / self.step_um + 1e-6).floor().max(0.0) as usize).saturating_add(1)
    }
}

#[procedure(kind = "focus_sweep")]
impl Procedure for FocusSweep {
    type Inputs = SweepInputs;
    type Output = SweepReport;

    fn begin(inputs: &SweepInputs, _: &mut StepContext) -> Result<Self, StepError> {
        let SweepInputs { from_um, to_um, .. } = *inputs;
        if from_um >= to_um {
            return Err(SweepError::EmptyRange { from_um, to_um }.into());
        }
        Ok(Self { points: Vec::new() })
    }

    /// One height; behind the last one, the answer.
    fn step(
        &mut self,
        inputs: &SweepInputs,
        context: &mut StepContext,
    ) -> Result<Step<SweepReport>, StepError> {
        let Some(height_um) = inputs.height_um(self.points.len()) else {
            return self.report(inputs, context);
        };
        context.to(&inputs.motor).call(MoveTo { height_um })?;
        let contrast = contrast(inputs, context)?;
        self.points.push(FocusPoint { height_um, contrast });
        let note = format!("{contrast:.1} grey levels at {height_um:.2} µm");
        context.progress(self.points.len() as f64, inputs.count() as f64, &note);
        Ok(Step::Next(note))
    }
}

impl FocusSweep {
    fn report(&self, inputs: &SweepInputs, context: &StepContext) -> Result<Step<SweepReport>, StepError> {
        let best = self.points.iter().map(|point| point.contrast).fold(0.0, f64::max);
        let telling = self.points.iter().filter(|it| it.contrast > 0.0 && it.contrast >= LEAST_PART * best);
        let telling: Vec<_> = telling.map(|it| (it.height_um, 1.0 / it.contrast)).collect();
        let SweepInputs { from_um, to_um, .. } = *inputs;
        let no_focus = || {
            let seen = self.points.iter().filter(|it| it.contrast > 0.0).count();
            SweepError::NoFocus { from_um, to_um, seen, heights: self.points.len() }
        };
        let found = vertex(&telling).filter(|it| (from_um..=to_um).contains(&it.at)).ok_or_else(no_focus)?;
        context.to(&inputs.motor).call(MoveTo { height_um: found.at })?;
        let (best_um, uncertainty_um) = (found.at, found.deviation);
        Ok(Step::Done(SweepReport { best_um, uncertainty_um, points: self.points.clone() }))
    }
}

/// How far particles stand out, in frames that were begun after the objective has settled.
fn contrast(inputs: &SweepInputs, context: &StepContext) -> Result<f64, StepError> {
    let mut camera = context.signals::<CameraSignals>(&inputs.camera)?;
    let mut tracker = context.signals::<TrackerSignals>(&inputs.tracker)?;
    // The one that is being taken now may have been begun before.
    let first = camera.read()?.value.frames_taken + 1;
    let mut seen = tracker.wait_until(|signals| signals.source_index >= first, PATIENCE)?;
    let (mut sum, mut frames) = (0.0, 0);
    loop {
        sum += seen.value.contrast;
        frames += 1;
        if frames == inputs.frames {
            return Ok(sum / f64::from(frames));
        }
        context.check()?;
        seen = tracker.wait_for_next(PATIENCE)?;
    }
}
