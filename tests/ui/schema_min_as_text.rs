use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[schema(min = "0")]
    height_um: f64,
}

fn main() {}
