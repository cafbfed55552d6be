use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema, Clone)]
#[serde(into = "f64")]
struct Height {
    um: f64,
}

impl From<Height> for f64 {
    fn from(height: Height) -> f64 {
        height.um
    }
}

fn main() {}
