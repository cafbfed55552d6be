//! `motor.sim`: a simulated motor as a manager.

use std::time::{Duration, Instant};

use super::moves::Moves;
use super::signals::MotorSignals;
use super::simulated::Axis;
use crate::prelude::*;

/// How long it moves before it looks where it is, and whether it is still to move.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The table `[managers.<name>.config]` of a `motor.sim`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(default)]
pub struct MotorConfig {
    /// Lower end of the travel.
    #[schema(unit = "um", min = -1000000, max = 1000000)]
    pub min_um: f64,
    /// Upper end of the travel.
    #[schema(unit = "um", min = -1000000, max = 1000000)]
    pub max_um: f64,
    /// Where it is when it is switched on.
    #[schema(unit = "um", min = -1000000, max = 1000000)]
    pub start_um: f64,
    /// How fast it moves.
    #[schema(unit = "um/s", min = 0.001, max = 1000000)]
    pub speed_um_per_s: f64,
    /// What it does with a height beyond its travel.
    pub limits: LimitPolicy,
}

impl Default for MotorConfig {
    fn default() -> Self {
        Self { min_um: 0.0, max_um: 200.0, start_um: 0.0, speed_um_per_s: 500.0, limits: LimitPolicy::Refuse }
    }
}

/// What a motor does with a height beyond its travel.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LimitPolicy {
    /// Goes to the nearest end, and says so in the reply.
    Clip,
    /// Does not move, and says why.
    Refuse,
}

/// Why a motor did not do what it was told.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum MotorError {
    /// The height lies outside the travel; the motor has not moved.
    #[error("height {height_um} µm is outside the travel of {min_um} to {max_um} µm")]
    OutOfTravel {
        /// What was asked for.
        height_um: f64,
        /// Lower end of the travel.
        min_um: f64,
        /// Upper end of the travel.
        max_um: f64,
    },
    /// The height is not a number; the motor has not moved.
    #[error("height is {height_um}, expected a number")]
    NotANumber {
        /// What was asked for.
        height_um: f64,
    },
    /// The device did not do it, or does not answer; where it is must be asked.
    #[error("the device failed: {text}")]
    Device {
        /// What it said.
        text: String,
    },
    /// The device has settled elsewhere than it was sent.
    #[error("settled at {height_um:.1} µm, expected {expected_um:.1} µm")]
    NotThere {
        /// Where it is.
        height_um: f64,
        /// Where it was sent.
        expected_um: f64,
    },
    /// The travel of the config is empty.
    #[error("the travel is empty: min_um is {min_um}, max_um is {max_um}")]
    EmptyTravel {
        /// Lower end of the travel.
        min_um: f64,
        /// Upper end of the travel.
        max_um: f64,
    },
    /// The move was taken back on its way; the motor stays where it is.
    #[error("stopped at {height_um:.1} µm")]
    Stopped {
        /// Where it is.
        height_um: f64,
    },
}

/// A simulated motor.
pub struct MotorSim {
    config: MotorConfig,
    axis: Axis,
    signals: Publisher<MotorSignals>,
}

impl Manager for MotorSim {
    type Config = MotorConfig;

    fn setup(config: MotorConfig, context: &mut Context) -> Result<Self, SetupError> {
        let (min_um, max_um) = (config.min_um, config.max_um);
        if min_um >= max_um {
            return Err(MotorError::EmptyTravel { min_um, max_um }.into());
        }
        if !(min_um..=max_um).contains(&config.start_um) {
            return Err(MotorError::OutOfTravel { height_um: config.start_um, min_um, max_um }.into());
        }
        let axis = Axis::at(config.start_um, config.speed_um_per_s, Instant::now());
        let signals = context.signals(MotorSignals { height_um: config.start_um, is_moving: false })?;
        Ok(Self { config, axis, signals })
    }

    /// An axis at rest can be left alone: it stays where it is, wherever it was on its way to.
    fn enter_safe_state(&mut self, _: SafeReason) {
        self.axis.stop(Instant::now());
        self.tell(false);
    }
}

impl Moves for MotorSim {
    fn travel_um(&self) -> (f64, f64) {
        (self.config.min_um, self.config.max_um)
    }

    fn clips(&self) -> bool {
        self.config.limits == LimitPolicy::Clip
    }

    fn drive_to(&mut self, height_um: f64, context: &Context) -> Result<f64, MotorError> {
        let (from_um, begun) = (self.height_um()?, Instant::now());
        let (way_um, duration) = ((height_um - from_um).abs(), self.axis.drive_to(height_um, begun));
        loop {
            let at_um = self.tell(true);
            context.progress((at_um - from_um).abs(), way_um, &format!("at {at_um:.1} µm"));
            let left = duration.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(self.tell(false));
            }
            if context.sleep(left.min(BETWEEN_LOOKS)).is_err() {
                self.axis.stop(Instant::now());
                return Err(MotorError::Stopped { height_um: self.tell(false) });
            }
        }
    }

    fn height_um(&mut self) -> Result<f64, MotorError> {
        Ok(self.axis.height_um(Instant::now()))
    }
}

#[manager(kind = "motor.sim", roles(Moves), signals(MotorSignals))]
impl MotorSim {
    /// Publishes where it is, and says it.
    fn tell(&mut self, is_moving: bool) -> f64 {
        let height_um = self.axis.height_um(Instant::now());
        self.signals.publish(MotorSignals { height_um, is_moving });
        height_um
    }

    /// The axis says where it is, and that lies within its travel.
    #[self_check]
    fn height_is_within_travel(&mut self) -> Result<(), MotorError> {
        let (height_um, (min_um, max_um)) = (self.height_um()?, self.travel_um());
        match (min_um..=max_um).contains(&height_um) {
            true => Ok(()),
            false => Err(MotorError::OutOfTravel { height_um, min_um, max_um }),
        }
    }

    /// The axis moves by a hundredth of its travel, at most 10 µm, towards the farther end, and comes back.
    #[self_check]
    fn moves_and_comes_back(&mut self, context: &mut Context) -> Result<(), MotorError> {
        let (before_um, (min_um, max_um)) = (self.height_um()?, self.travel_um());
        let step_um = ((max_um - min_um) / 100.0).min(10.0);
        let is_lower_half = before_um < f64::midpoint(min_um, max_um);
        let goal_um = if is_lower_half { before_um + step_um } else { before_um - step_um };
        for expected_um in [goal_um, before_um] {
            let height_um = self.drive_to(expected_um, context)?;
            if (height_um - expected_um).abs() > step_um / 10.0 {
                return Err(MotorError::NotThere { height_um, expected_um });
            }
        }
        Ok(())
    }
}
