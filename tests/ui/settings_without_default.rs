use labrig::prelude::*;

#[derive(Settings, Serialize, Deserialize, Schema)]
struct CameraSettings {
    #[serde(default)]
    is_cooled: bool,
    exposure_ms: f64,
}

fn main() {}
