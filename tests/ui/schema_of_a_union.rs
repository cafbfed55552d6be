use labrig::prelude::*;

#[derive(Schema)]
union Height {
    um: f64,
}

fn main() {}
