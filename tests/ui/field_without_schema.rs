use labrig::prelude::*;

#[derive(Serialize, Deserialize)]
struct Height(f64);

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    height: Height,
}

fn main() {}
