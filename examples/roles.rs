//! Handlers that several kinds share: a role, and one kind that overrides it.
//!
//! A shutter and a filter wheel can both be parked. Parking is written once, in the role; the wheel does
//! more than the role says. Since several managers serve the command, it needs an address.
//!
//! `cargo run --example roles`

use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;

const CONFIG: &str = r#"
schema = 1
[rig]
name = "roles"
[managers.shutter]
kind = "shutter"
[managers.wheel]
kind = "filter-wheel"
"#;

/// Brings a device to where it can be left alone, and replies where that is.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = String)]
struct Park {}

/// Kinds that can be parked.
#[role]
trait Parks: Manager {
    fn position(&mut self) -> &mut String;

    #[ipc_command]
    fn park(&mut self, _command: Park) -> String {
        *self.position() = "closed".to_owned();
        self.position().clone()
    }
}

struct Shutter {
    position: String,
}

impl Manager for Shutter {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { position: "open".to_owned() })
    }
}

impl Parks for Shutter {
    fn position(&mut self) -> &mut String {
        &mut self.position
    }
}

#[manager(kind = "shutter", roles(Parks))]
impl Shutter {}

struct FilterWheel {
    position: String,
}

impl Manager for FilterWheel {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { position: "filter 3".to_owned() })
    }
}

impl Parks for FilterWheel {
    fn position(&mut self) -> &mut String {
        &mut self.position
    }

    // Overriding is ordinary Rust, and needs no attribute.
    fn park(&mut self, _command: Park) -> String {
        let left = std::mem::replace(&mut self.position, "the dark filter".to_owned());
        format!("{} (it left {left})", self.position)
    }
}

#[manager(kind = "filter-wheel", roles(Parks))]
impl FilterWheel {}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| park_all(&scope))
}

fn park_all(scope: &Scope) -> Result<(), CallError> {
    if let Err(refusal) = scope.request(Park {}) {
        println!("without address: {refusal}");
    }
    for manager in ["shutter", "wheel"] {
        let position = scope.to(manager).request(Park {})?.wait(Duration::from_secs(5))?;
        println!("{manager}: parked at {position}");
    }
    Ok(())
}
