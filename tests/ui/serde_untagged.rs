use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
#[serde(untagged)]
enum Light {
    Off,
    On { power_mw: f64 },
}

fn main() {}
