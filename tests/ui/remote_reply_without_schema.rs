//! A method whose reply cannot travel.

use labrig::prelude::*;

#[derive(Serialize, Deserialize)]
struct Plain;

struct LookupTable;

#[remote]
impl LookupTable {
    fn plain(&self) -> Plain {
        Plain
    }
}

fn main() {}
