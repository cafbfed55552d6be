//! A method that changes its value, and does not say so.

use labrig::remote;

struct LookupTable {
    heights: Vec<f64>,
}

#[remote]
impl LookupTable {
    fn append(&mut self, height: f64) {
        self.heights.push(height);
    }
}

fn main() {}
