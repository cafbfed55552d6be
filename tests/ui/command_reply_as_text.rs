use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = "Settled")]
struct MoveTo {
    height_um: f64,
}

fn main() {}
