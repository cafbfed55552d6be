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
    #[self_check]
    fn shutter_closes(&mut self) -> bool {
        true
    }
}

fn main() {}
