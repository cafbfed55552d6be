//! A method that is marked in an ordinary block.

use labrig::remote;

struct LookupTable;

impl LookupTable {
    #[remote(write)]
    fn append(&mut self, _height: f64) {}
}

fn main() {}
