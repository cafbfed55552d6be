//! Settings of managers: read and changed from any process of the rig, each change checked by the manager that owns them.
//!
//! The commands are answered by the manager's worker, in the order in which they come. Whoever wants to know of
//! changes waits for the signal `manager.settings_version`, and nobody else is woken by them.

use serde::{Deserialize, Serialize};

use super::call_error::CallError;
use super::scope::Scope;
use crate::macros::{Command, Schema, Signals};
use crate::wire::{self, DecodeError, Settings, TypeSchema, codec};

/// What the settings of the addressed manager are.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = SettingsTold, name = "ReadSettings", idempotent)]
pub struct ReadSettings {}

/// Some settings of the addressed manager are to be others.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = SettingsTold, name = "ChangeSettings")]
pub struct ChangeSettings {
    /// Those that change, as a JSON object; tables in it are taken field by field.
    pub values: String,
    /// Only if this is still the version in force.
    #[serde(default)]
    pub if_version: Option<u64>,
    /// Whether it is only asked if they fit.
    #[serde(default)]
    pub is_trial: bool,
}

/// The settings in force.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct SettingsTold {
    /// How often they have changed in this run.
    pub version: u64,
    /// All of them, as a JSON object.
    pub values: String,
    /// What each is: type, unit, bounds, doc text.
    pub schema: TypeSchema,
}

/// Why settings were not changed. Those in force are as before.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsRefusal {
    /// They do not fit their types or bounds; each misfit is named.
    #[error("{}", .faults.join("\n"))]
    Unfit {
        /// What is wrong, and what would be right.
        faults: Vec<String>,
    },
    /// Somebody else has changed them meanwhile.
    #[error("the settings are at version {version} by now, not at {expected}")]
    Outdated {
        /// The version that was expected.
        expected: u64,
        /// The one in force.
        version: u64,
    },
    /// What was given is no JSON object.
    #[error("settings are given as a JSON object: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// They could not be written into the run's folder, from where the manager's next life takes them.
    #[error("the settings cannot be kept: {reason}")]
    NotKept {
        /// Why not.
        reason: String,
    },
}

/// What a manager with settings publishes of them.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsSignals {
    /// How often the settings have changed in this run.
    pub settings_version: u64,
}

/// Settings as they were in force when their owner answered.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsInForce<S> {
    /// How often they have changed in this run.
    pub version: u64,
    /// The settings.
    pub settings: S,
}

/// Why settings could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Their owner could not be asked, or has refused; [`CallError::downcast`] tells the owner's own error, or a
    /// [`SettingsRefusal`].
    #[error(transparent)]
    Call(#[from] CallError),
    /// The manager's settings are of another type.
    #[error("the settings of `{manager}` are `{found}`, expected `{expected}`")]
    WrongType {
        /// The manager.
        manager: String,
        /// Their type.
        found: String,
        /// The type that was asked for.
        expected: String,
    },
    /// What the manager has told is not what its schema says.
    #[error("the settings of `{manager}` cannot be read: {source}")]
    Unreadable {
        /// The manager.
        manager: String,
        /// What is wrong.
        source: DecodeError,
    },
    /// The new settings cannot be written as JSON.
    #[error(transparent)]
    Unwritable(#[from] wire::EncodeError),
}

impl Scope {
    /// The settings of a manager. Waits for its answer.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use labrig::prelude::*;
    /// # #[derive(Settings, Serialize, Deserialize, Schema, Default)]
    /// # #[serde(default)]
    /// # struct CameraSettings { exposure_ms: f64 }
    /// # fn example(scope: &Scope) -> Result<(), Box<dyn std::error::Error>> {
    /// let now = scope.settings::<CameraSettings>("camera")?;
    /// println!("{} ms, version {}", now.settings.exposure_ms, now.version);
    /// scope.change_settings("camera", |camera: &mut CameraSettings| camera.exposure_ms *= 2.0)?;
    /// let mut version = scope.signal::<u64>("camera.settings_version")?;
    /// version.wait_for_next(Duration::from_secs(60))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SettingsError`]; a manager without settings refuses as an unknown command is refused.
    pub fn settings<S: Settings>(&self, manager: &str) -> Result<SettingsInForce<S>, SettingsError> {
        read(manager, self.to(manager).call(ReadSettings {})?)
    }

    /// Changes settings of a manager: reads them, has them changed, and asks their owner to take them. When somebody
    /// else has changed them meanwhile it begins again, so `change` may run more than once. Waits for the answers.
    ///
    /// # Errors
    /// [`SettingsError`]; what was in force stays then.
    pub fn change_settings<S: Settings>(
        &self,
        manager: &str,
        mut change: impl FnMut(&mut S),
    ) -> Result<SettingsInForce<S>, SettingsError> {
        loop {
            let SettingsInForce { version, mut settings } = self.settings::<S>(manager)?;
            change(&mut settings);
            let values = String::from_utf8_lossy(&codec::to_json(&settings)?).into_owned();
            let wanted = ChangeSettings { values, if_version: Some(version), is_trial: false };
            match self.to(manager).call(wanted) {
                Ok(told) => return read(manager, told),
                Err(error) if matches!(error.downcast(), Some(SettingsRefusal::Outdated { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn read<S: Settings>(manager: &str, told: SettingsTold) -> Result<SettingsInForce<S>, SettingsError> {
    let (schema, manager) = (TypeSchema::known::<S>(), manager.to_owned());
    if told.schema.fingerprint() != schema.fingerprint() {
        let (found, expected) = (told.schema.root.identity(), schema.root.identity());
        return Err(SettingsError::WrongType { manager, found, expected });
    }
    let settings = codec::from_json(told.values.as_bytes(), schema);
    let settings = settings.map_err(|source| SettingsError::Unreadable { manager, source })?;
    Ok(SettingsInForce { version: told.version, settings })
}
