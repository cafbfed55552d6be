use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(idempotent = true)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
