//! A method whose name every handle has for itself.

use labrig::remote;

struct LookupTable;

#[remote]
impl LookupTable {
    fn clone(&self) -> u32 {
        0
    }
}

fn main() {}
