use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[schema(unit = "um", max = 1.0)]
    height_um: Vec<f64>,
}

fn main() {}
