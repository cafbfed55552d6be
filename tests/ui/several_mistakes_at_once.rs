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

#[manager(kind = "Motor", roles(Lifts, Lifts))]
impl Motor {
    #[ipc_command]
    async fn move_to(&mut self, _: &MoveTo) {}
    #[every(milliseconds = 0)]
    fn publish(&self, _: &Context) -> f64 {
        0.0
    }
}

fn main() {}
