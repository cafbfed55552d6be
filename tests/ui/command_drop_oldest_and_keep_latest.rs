use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(drop_oldest, keep_latest)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
