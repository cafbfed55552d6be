use labrig::prelude::*;

#[derive(Command, Deserialize, Schema)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
