//! Signals are asked for by name.

use labrig::prelude::*;

#[derive(Signals, Schema, Clone, Copy)]
struct Height(f64);

#[derive(Signals, Schema, Clone, Copy)]
struct Nothing {}

fn main() {}
