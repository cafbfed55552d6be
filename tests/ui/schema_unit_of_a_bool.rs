use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[schema(unit = "um")]
    height_um: bool,
}

fn main() {}
