use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast, scope)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
