//! A hook that answers, though nobody asks it.

use labrig::remote;

struct LookupTable;

#[remote]
impl LookupTable {
    fn height(&self) -> f64 {
        0.0
    }

    #[remote(connected)]
    fn held(&mut self, holder: &str) -> bool {
        holder.is_empty()
    }
}

fn main() {}
