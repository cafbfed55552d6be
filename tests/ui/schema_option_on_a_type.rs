use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
#[schema(unit = "um")]
struct Height(f64);

fn main() {}
