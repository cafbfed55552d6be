use labrig::prelude::*;

#[role]
struct Lifts;

fn main() {}
