use labrig::prelude::*;

struct Lab;

#[scope]
impl Lab {
    #[every(milliseconds = 20)]
    fn publish(&mut self) {}
}

fn main() {}
