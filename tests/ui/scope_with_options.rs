use labrig::prelude::*;

struct Lab;

#[scope(kind = "lab")]
impl Lab {}

fn main() {}
