use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(brodcast)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
