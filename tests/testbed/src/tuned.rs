//! `tuned`: has settings, and says which it was given.

use labrig::prelude::*;

use crate::commands::TestError;

/// How it is to be.
#[derive(Settings, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(default)]
pub struct Tuning {
    /// How long light is gathered.
    #[schema(unit = "ms", min = 0.5, max = 100)]
    pub exposure_ms: f64,
    /// Which part of the image.
    pub region: Region,
    /// What is written beside each image.
    pub note: Option<String>,
}

/// A part of an image.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Region {
    /// How wide.
    #[schema(unit = "px", min = 1, max = 4096)]
    pub width: u32,
    /// How high.
    #[schema(unit = "px", min = 1, max = 4096)]
    pub height: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { exposure_ms: 5.0, region: Region { width: 640, height: 480 }, note: None }
    }
}

/// What has been given to a tuned manager in this life, from the first on: the exposure times.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<f64>)]
pub struct WhatWasGiven {}

/// See the module's words.
#[derive(Default)]
pub struct Tuned {
    given: Vec<f64>,
}

impl Manager for Tuned {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self::default())
    }
}

#[manager(kind = "tuned")]
impl Tuned {
    /// Nothing that is 13 ms long.
    #[on_settings]
    fn take(&mut self, settings: &Tuning) -> Result<(), TestError> {
        if settings.exposure_ms == 13.0 {
            return Err(TestError::Told { code: 13 });
        }
        self.given.push(settings.exposure_ms);
        Ok(())
    }

    #[ipc_command]
    fn what_was_given(&mut self, _: WhatWasGiven) -> Vec<f64> {
        self.given.clone()
    }
}
