use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(deadline_ms)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
