use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[serde(skip_serializing)]
    height_um: f64,
}

fn main() {}
