//! What is shared is declared by a type that writes it.

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

#[manager(kind = "tracker", shares(tracks = 4096))]
impl Tracker {}

fn main() {}
