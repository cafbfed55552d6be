use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[schema(units = "um")]
    height_um: f64,
}

fn main() {}
