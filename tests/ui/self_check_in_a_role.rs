use labrig::prelude::*;

#[role]
trait Shuts: Manager {
    #[self_check]
    fn shutter_closes(&mut self) {}
}

fn main() {}
