use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = Settled)]
struct MoveTo {
    height_um: f64,
}

#[derive(Serialize, Deserialize, Schema)]
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

#[manager(kind = "motor")]
impl Motor {
    #[ipc_command]
    fn move_to(&mut self, command: MoveTo) -> Result<f64, std::io::Error> {
        Ok(command.height_um)
    }
}

fn main() {}
