use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(deadline_ms = 0)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
