//! Shared objects are declared by name.

use labrig::prelude::*;

#[derive(Signals, Schema, Clone, Copy)]
struct Track {
    x_um: f64,
}

struct Tracker;

impl Manager for Tracker {
    type Config = ();

    fn setup((): (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "tracker", shares(RowRing<Track>))]
impl Tracker {}

fn main() {}
