use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
struct MoveTo<T> {
    height_um: T,
}

fn main() {}
