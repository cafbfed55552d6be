//! A set of signals has one type.

use labrig::prelude::*;

#[derive(Signals, Schema, Clone, Copy)]
struct Axis<T> {
    height: T,
}

fn main() {}
