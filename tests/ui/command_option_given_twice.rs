use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(script, script)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
