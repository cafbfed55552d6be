use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
#[serde(tag = "kind")]
enum Light {
    Off,
    On { power_mw: f64 },
}

fn main() {}
