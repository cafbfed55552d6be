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

#[role]
trait Lifts: Manager {
    #[ipc_command]
    fn move_to(&mut self, command: MoveTo);
}

#[manager(kind = "motor", roles(Lifts))]
impl Motor {}

fn main() {}
