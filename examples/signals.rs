//! Values that a manager publishes, read and waited for elsewhere: no command, no lock, no system call.
//!
//! `cargo run --example signals`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"bakery\"
[managers.oven]
kind = \"oven\"
[managers.door]
kind = \"door\"
";

/// What the oven tells, every 10 ms.
#[derive(Signals, Schema, Debug, Clone, Copy)]
struct OvenSignals {
    /// In the middle of the oven.
    #[schema(unit = "degC", min = -10, max = 300)]
    temperature_c: f64,
    is_heating: bool,
}

/// Heats the oven up to a temperature; replies at once.
#[derive(Command, Serialize, Deserialize, Schema)]
struct HeatTo {
    #[schema(unit = "degC", min = 0, max = 250)]
    goal_c: f64,
}

struct Oven {
    goal_c: f64,
    signals: Publisher<OvenSignals>,
}

impl Manager for Oven {
    type Config = ();

    fn setup(_: (), context: &mut Context) -> Result<Self, SetupError> {
        let signals = context.signals(OvenSignals { temperature_c: 20.0, is_heating: false })?;
        Ok(Self { goal_c: 20.0, signals })
    }

    fn enter_safe_state(&mut self, _: SafeReason) {
        self.goal_c = 20.0;
        self.signals.update(|now| now.is_heating = false);
    }
}

#[manager(kind = "oven", signals(OvenSignals))]
impl Oven {
    #[ipc_command]
    fn heat_to(&mut self, command: HeatTo) {
        self.goal_c = command.goal_c;
    }

    #[every(milliseconds = 10)]
    fn heat(&mut self) {
        let last_c = self.signals.last().temperature_c;
        let temperature_c = (last_c + 5.0).min(self.goal_c);
        // Both at once: no reader ever sees one without the other.
        self.signals.publish(OvenSignals { temperature_c, is_heating: temperature_c < self.goal_c });
    }
}

/// Opens the door of an oven that is cool enough, and says whether it did.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = bool)]
struct OpenDoor {}

/// The door, in a process of its own.
struct Door;

impl Manager for Door {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "door")]
impl Door {
    #[ipc_command]
    fn open_door(&mut self, _: OpenDoor, context: &mut Context) -> Result<bool, SignalError> {
        let inside = context.scope().signal::<f64>("oven.temperature_c")?.read()?;
        // What an oven said that has ended since is no reason to open it.
        Ok(!inside.is_stale && inside.value < 60.0)
    }
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| bake(&scope))
}

fn bake(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let patience = Duration::from_secs(10);
    let mut temperature = scope.signal::<f64>("oven.temperature_c")?;
    println!("it begins at {} °C", temperature.read()?.value);
    println!("the door opens: {}", scope.request(OpenDoor {})?.wait(patience)?);

    scope.request(HeatTo { goal_c: 180.0 })?.wait(patience)?;
    temperature.wait_until(|inside_c| *inside_c >= 180.0, patience)?;
    let whole = scope.signals::<OvenSignals>("oven")?.read()?;
    println!("it is at {} °C, heating: {}", whole.value.temperature_c, whole.value.is_heating);
    println!("the door opens: {}", scope.request(OpenDoor {})?.wait(patience)?);

    if let Err(error) = scope.signal::<f64>("oven.temprature_c") {
        println!("{error}");
    }
    Ok(())
}
