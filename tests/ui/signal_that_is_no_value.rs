//! Signals are numbers, truth values, arrays and types that derive `Signals`.

use labrig::prelude::*;

#[derive(Signals, Schema, Clone, Copy)]
struct MotorSignals {
    height_um: f64,
    limit_um: Option<f64>,
}

fn main() {}
