//! A shared object has a name of its own.

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

#[manager(kind = "tracker", shares(tracks = RowRing::<Track>::declare(8), tracks = RowRing::<Track>::declare(9)))]
impl Tracker {}

fn main() {}
