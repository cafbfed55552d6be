//! A method whose reply cannot travel.

use labrig::remote;

struct Plain;

struct LookupTable;

#[remote]
impl LookupTable {
    fn plain(&self) -> Plain {
        Plain
    }
}

fn main() {}
