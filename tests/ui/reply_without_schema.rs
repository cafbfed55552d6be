use labrig::prelude::*;

#[derive(Serialize, Deserialize)]
struct Settled;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = Settled)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
