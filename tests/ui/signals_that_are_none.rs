//! A kind publishes sets of signals, each once.

use labrig::prelude::*;

#[derive(Signals, Schema, Clone, Copy)]
struct MotorSignals {
    height_um: f64,
}

#[derive(Schema, Clone, Copy)]
struct Settled {
    height_um: f64,
}

struct Motor;

impl Manager for Motor {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "motor", signals(MotorSignals, MotorSignals))]
impl Motor {
    #[every(seconds = 1)]
    fn look(&mut self) {}
}

struct Camera;

impl Manager for Camera {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "camera", signals(Settled))]
impl Camera {
    #[every(seconds = 1)]
    fn look(&mut self) {}
}

fn main() {}
