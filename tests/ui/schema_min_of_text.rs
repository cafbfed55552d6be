use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[schema(min = 0)]
    height_um: String,
}

fn main() {}
