use labrig::prelude::*;

#[manager(kind = "motor")]
struct Motor;

fn main() {}
