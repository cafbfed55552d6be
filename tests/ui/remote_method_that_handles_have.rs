//! A method whose name every handle has for itself, and one that is how another is begun.

use labrig::remote;

struct LookupTable;

#[remote]
impl LookupTable {
    fn clone(&self) -> u32 {
        0
    }

    fn height(&self) -> f64 {
        0.0
    }

    fn start_height(&self) -> f64 {
        0.0
    }
}

fn main() {}
