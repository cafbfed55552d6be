//! A rig of one's own: a lamp with two commands, and a notebook in the coordinator.

mod notebook;

use std::fmt;

use labrig::prelude::*;

pub use notebook::{Notebook, SaveNote};

/// Sets how bright the lamp shines.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = BrightnessSet)]
pub struct SetBrightness {
    /// Part of its full power.
    #[schema(unit = "%", min = 0, max = 100)]
    pub percent: f64,
}

/// The lamp shines that bright.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct BrightnessSet {
    pub percent: f64,
    pub was_percent: f64,
}

/// Flashes once. There is no reply to wait for.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Flash {
    #[schema(unit = "ms", min = 1, max = 1000)]
    pub duration_ms: u64,
}

/// Why the lamp did not do what it was told. It shines as before.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub enum LampError {
    TooBright { percent: f64, limit_percent: f64 },
}

impl fmt::Display for LampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::TooBright { percent, limit_percent } = self;
        write!(f, "{percent} % is more than the {limit_percent} % allowed")
    }
}

/// The table `[managers.lamp.config]`.
#[derive(Serialize, Deserialize, Schema, Debug)]
pub struct LampConfig {
    /// The lamp is never brighter than this.
    #[schema(unit = "%", min = 0, max = 100)]
    pub limit_percent: f64,
}

pub struct Lamp {
    limit_percent: f64,
    percent: f64,
}

impl Manager for Lamp {
    type Config = LampConfig;

    fn setup(config: LampConfig, _: &mut Context) -> Result<Self, SetupError> {
        // A real lamp is opened here; every error converts through `?`.
        Ok(Self { limit_percent: config.limit_percent, percent: 0.0 })
    }

    fn enter_safe_state(&mut self, _: SafeReason) {
        self.percent = 0.0;
    }
}

#[manager(kind = "lamp")]
impl Lamp {
    #[ipc_command]
    fn set_brightness(&mut self, command: SetBrightness) -> Result<BrightnessSet, LampError> {
        let (percent, limit_percent) = (command.percent, self.limit_percent);
        if percent > limit_percent {
            return Err(LampError::TooBright { percent, limit_percent });
        }
        let was_percent = std::mem::replace(&mut self.percent, percent);
        Ok(BrightnessSet { percent, was_percent })
    }

    #[ipc_command]
    fn flash(&mut self, command: Flash, context: &mut Context) {
        println!("{} flashes for {} ms", context.manager(), command.duration_ms);
    }
}
