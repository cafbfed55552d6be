use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
enum Light {
    #[serde(skip)]
    Off,
    On,
}

fn main() {}
