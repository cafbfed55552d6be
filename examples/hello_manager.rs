//! A whole rig in one file: one manager, two commands.
//!
//! `cargo run --example hello_manager`

use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;

/// Turns a lamp to a brightness and replies what it was before.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = f64)]
struct Dim {
    #[schema(unit = "%", min = 0, max = 100)]
    brightness: f64,
}

/// Lets a lamp blink. Nobody waits for it.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
struct Blink {}

struct Lamp {
    brightness: f64,
}

impl Manager for Lamp {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Lamp { brightness: 20.0 })
    }
}

#[manager(kind = "lamp")]
impl Lamp {
    #[ipc_command]
    fn dim(&mut self, command: Dim) -> f64 {
        std::mem::replace(&mut self.brightness, command.brightness)
    }

    #[ipc_command]
    fn blink(&mut self, _command: Blink, context: &mut Context) {
        println!("{} blinks at {} %", context.manager(), self.brightness);
    }
}

fn main() -> ExitCode {
    let config = "schema = 1\n[rig]\nname = \"hello\"\n[managers.lamp]\nkind = \"lamp\"";
    labrig::app().default_config(config).main_with(|scope| -> Result<(), CallError> {
        scope.send(Blink {})?;
        let before = scope.request(Dim { brightness: 40.0 })?.wait(Duration::from_secs(5))?;
        println!("the lamp was at {before} %, now it is at 40 %");
        Ok(())
    })
}
