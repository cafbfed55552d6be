//! A constructor among the methods that are called by a handle.

use labrig::remote;

struct LookupTable;

#[remote]
impl LookupTable {
    fn new() -> Self {
        Self
    }
}

fn main() {}
