use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(name = "move to")]
struct MoveTo {
    height_um: f64,
}

fn main() {}
