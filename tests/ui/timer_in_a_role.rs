use labrig::prelude::*;

#[role]
trait Lifts: Manager {
    #[every(milliseconds = 20)]
    fn publish(&mut self) {}
}

fn main() {}
