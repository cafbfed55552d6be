use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(audience = "all")]
struct MoveTo {
    height_um: f64,
}

fn main() {}
