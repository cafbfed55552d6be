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

#[manager(kind = "motor")]
impl Motor {
    #[ipc_command]
    fn move_to(&mut self, _: MoveTo) {
        let height_um = ;
    }
}

fn main() {
    let _ = <Motor as labrig::registry::Handles>::table();
}
