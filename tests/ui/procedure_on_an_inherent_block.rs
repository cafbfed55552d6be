use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Scan {}

#[procedure(kind = "scan")]
impl Scan {
    fn next(&self) {}
}

fn main() {
    Scan {}.next();
}
