use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[serde(rename(serialize = "height"))]
    height_um: f64,
}

fn main() {}
