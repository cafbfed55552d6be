use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[schema(unit = "")]
    height_um: f64,
}

fn main() {}
