use labrig::prelude::*;

#[procedure(kind = "scan")]
#[derive(Serialize, Deserialize, Schema)]
struct Scan {}

fn main() {}
