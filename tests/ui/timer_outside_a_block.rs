use labrig::prelude::*;

struct Motor;

impl Motor {
    #[every(milliseconds = 20)]
    fn publish(&mut self) {}
}

fn main() {}
