use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(idempotent)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
