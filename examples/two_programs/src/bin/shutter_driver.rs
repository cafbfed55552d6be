//! The program that has the shutter's library, and nothing else.

use std::process::ExitCode;

use labrig::prelude::*;
use two_programs::{SetShutter, ShutterSet, this_program};

struct Shutter {
    is_open: bool,
}

impl Manager for Shutter {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        let port = std::env::var("SHUTTER_PORT")?;
        println!("opening the shutter at {port}");
        Ok(Self { is_open: false })
    }

    fn enter_safe_state(&mut self, _: SafeReason) {
        self.is_open = false;
    }
}

#[manager(kind = "shutter")]
impl Shutter {
    #[ipc_command]
    fn set_shutter(&mut self, command: SetShutter) -> ShutterSet {
        self.is_open = command.open;
        ShutterSet { open: self.is_open, program: this_program() }
    }
}

fn main() -> ExitCode {
    labrig::main()
}
