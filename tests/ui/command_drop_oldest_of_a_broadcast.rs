use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast, drop_oldest)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
