use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = f64, drop_oldest)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
