use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(hazardous)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
