use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(replicated)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
