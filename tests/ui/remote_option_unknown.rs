//! An option that `#[remote]` does not know.

use labrig::remote;

struct LookupTable;

#[remote]
impl LookupTable {
    #[remote(writes)]
    fn height(&self) -> f64 {
        0.0
    }
}

fn main() {}
