use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Height(#[schema(unit = "um")] f64);

fn main() {}
