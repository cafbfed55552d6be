//! A method whose name is how callers begin another one.

use labrig::remote;

struct LookupTable;

#[remote]
impl LookupTable {
    fn height(&self) -> f64 {
        0.0
    }

    fn start_height(&self) -> f64 {
        0.0
    }
}

fn main() {}
