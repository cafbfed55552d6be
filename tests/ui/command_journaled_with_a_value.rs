use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(journaled = true)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
