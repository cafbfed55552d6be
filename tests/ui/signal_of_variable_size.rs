//! A signal has a fixed size.

use labrig::prelude::*;

#[derive(Signals, Schema, Clone, Copy)]
enum Motion {
    Resting,
    Moving(f64),
}

fn main() {}
