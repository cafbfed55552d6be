use labrig::prelude::*;

struct Motor;

impl Manager for Motor {
    type Config = ();
    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "motor")]
impl Motor {
    #[self_check(name = "shutter")]
    fn shutter_closes(&mut self) {}
}

fn main() {}
