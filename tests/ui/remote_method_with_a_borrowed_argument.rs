//! An argument that is borrowed, and would have to travel.

use labrig::remote;

struct LookupTable;

#[remote]
impl LookupTable {
    fn height(&self, profile: &[f32]) -> f64 {
        f64::from(profile[0])
    }
}

fn main() {}
