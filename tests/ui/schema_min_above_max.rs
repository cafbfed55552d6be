use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[schema(min = 200, max = -5)]
    height_um: f64,
}

fn main() {}
