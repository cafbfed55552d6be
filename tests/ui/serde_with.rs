use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[serde(with = "float")]
    height_um: f64,
}

fn main() {}

mod float {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        f64::deserialize(deserializer)
    }
}
