//! Settings of a manager: with bounds, checked before it sees them, changed while the rig runs.
//!
//! `cargo run --example settings`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"studio\"
[managers.camera]
kind = \"camera\"
";

/// How the camera takes images.
#[derive(Settings, Serialize, Deserialize, Schema, Debug, Clone)]
#[serde(default)]
struct CameraSettings {
    /// How long light is gathered.
    #[schema(unit = "ms", min = 0.1, max = 1000)]
    exposure_ms: f64,
    /// Whether the sensor is cooled; long exposures need it.
    is_cooled: bool,
}

impl Default for CameraSettings {
    fn default() -> Self {
        Self { exposure_ms: 5.0, is_cooled: false }
    }
}

struct Camera;

impl Manager for Camera {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "camera")]
impl Camera {
    /// Before the camera is ready, and at each change: all settings, within their bounds.
    #[on_settings]
    fn apply(&mut self, settings: &CameraSettings) -> Result<(), String> {
        if settings.exposure_ms > 100.0 && !settings.is_cooled {
            return Err(format!("{} ms would be noise without cooling", settings.exposure_ms));
        }
        // Here a driver would be told.
        Ok(())
    }
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| tune(&scope))
}

fn tune(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let mut version = scope.signal::<u64>("camera.settings_version")?;
    println!("{:?}", scope.settings::<CameraSettings>("camera")?);

    scope.change_settings("camera", |camera: &mut CameraSettings| camera.exposure_ms = 20.0)?;
    // Wherever somebody wants to know of changes: it sleeps until there is one.
    version.wait_until(|version| *version == 1, Duration::from_secs(10))?;
    println!("{:?}", scope.settings::<CameraSettings>("camera")?);

    let expose = |exposure_ms| {
        let changed =
            scope.change_settings("camera", |camera: &mut CameraSettings| camera.exposure_ms = exposure_ms);
        changed.err().map(|error| println!("{error}"))
    };
    expose(5000.0);
    expose(200.0);
    Ok(())
}
