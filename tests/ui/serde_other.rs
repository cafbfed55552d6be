use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
enum Light {
    Off,
    #[serde(other)]
    Unknown,
}

fn main() {}
