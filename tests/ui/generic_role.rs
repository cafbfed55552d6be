use labrig::prelude::*;

#[role]
trait Lifts<T>: Manager {}

fn main() {}
