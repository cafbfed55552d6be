use labrig::prelude::*;

#[derive(Settings, Serialize, Deserialize, Schema, Default)]
#[serde(default)]
struct CameraSettings {
    exposure_ms: f64,
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
    #[on_settings]
    fn apply(&mut self, _settings: CameraSettings) {}
}

fn main() {}
