use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
struct MoveTo {
    height_um: f64,
}

struct Motor;

impl Manager for Motor {
    type Config = ();
    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

struct Camera;

#[manager(kind = "camera")]
impl Manager for Camera {
    type Config = ();
    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

fn main() {}
