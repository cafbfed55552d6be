//! The program that people start: the coordinator, and a lamp of its own.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use labrig::prelude::*;
use two_programs::{Expose, Exposed, SetShutter, this_program};

struct Lamp;

impl Manager for Lamp {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "lamp")]
impl Lamp {
    /// Calls the other program from within a handler, as it would call any manager.
    #[ipc_command]
    fn expose(&mut self, command: Expose, context: &mut Context) -> Result<Exposed, CallError> {
        let opened = context.call(SetShutter { open: true })?;
        thread::sleep(Duration::from_millis(command.duration_ms));
        context.call(SetShutter { open: false })?;
        Ok(Exposed { lamp: this_program(), shutter: opened.program })
    }
}

fn main() -> ExitCode {
    labrig::app().main_with(|scope| -> Result<(), CallError> {
        let exposed = scope.request(Expose { duration_ms: 50 })?.wait(Duration::from_secs(5))?;
        println!("lit by `{}`, behind a shutter moved by `{}`", exposed.lamp, exposed.shutter);
        Ok(())
    })
}
