use labrig::prelude::*;

struct Motor<T>(T);

#[manager(kind = "motor")]
impl<T> Motor<T> {}

fn main() {}
