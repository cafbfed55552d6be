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

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = f64)]
struct AskHeight;

#[manager(kind = "motor")]
impl Motor {
    #[ipc_command]
    fn ask_height(&mut self, _: AskHeight) {}
    #[ipc_command]
    fn move_to(&mut self, _: MoveTo) {}
}

fn main() {}
