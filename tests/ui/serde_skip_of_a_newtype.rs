use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Height(#[serde(skip)] f64);

fn main() {}
