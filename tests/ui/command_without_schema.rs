use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
