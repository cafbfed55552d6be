use labrig::prelude::*;

struct Motor;

impl Motor {
    #[self_check]
    fn shutter_closes(&mut self) {}
}

fn main() {}
