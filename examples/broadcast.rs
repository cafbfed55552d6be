//! One command for every camera at once, and what became of it at each.
//!
//! Three cameras of two kinds: two fast ones, and one that cannot follow beyond 50 Hz. A thread of the
//! coordinator's process broadcasts two rates and prints each manager's outcome. One failure stops nobody else.
//!
//! `cargo run --example broadcast`

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use labrig::prelude::*;

const CONFIG: &str = r#"
schema = 1
[rig]
name = "broadcast"
[managers.left]
kind = "fast-camera"
[managers.right]
kind = "fast-camera"
[managers.spectrum]
kind = "slow-camera"
"#;

/// Sets at which rate every camera takes its frames; each replies the time from frame to frame, in ms.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = f64)]
struct SetRate {
    #[schema(unit = "Hz", min = 0.1, max = 1000)]
    rate_hz: f64,
}

/// Why a camera keeps the rate that it had.
#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
struct TooFast {
    limit_hz: f64,
}

struct FastCamera;

impl Manager for FastCamera {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "fast-camera")]
impl FastCamera {
    #[ipc_command]
    fn set_rate(&mut self, command: SetRate) -> f64 {
        1e3 / command.rate_hz
    }
}

struct SlowCamera;

impl Manager for SlowCamera {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "slow-camera")]
impl SlowCamera {
    #[ipc_command]
    fn set_rate(&mut self, command: SetRate) -> Result<f64, TooFast> {
        let limit_hz = 50.0;
        if command.rate_hz > limit_hz { Err(TooFast { limit_hz }) } else { Ok(1e3 / command.rate_hz) }
    }
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| {
        let thread = thread::spawn(move || set_rates(&scope));
        thread.join().expect("the thread does not panic")
    })
}

fn set_rates(scope: &Scope) -> Result<(), CallError> {
    for rate_hz in [20.0, 200.0] {
        println!("everyone at {rate_hz} Hz:");
        let report = scope.broadcast(SetRate { rate_hz })?.wait(Duration::from_secs(5))?;
        for one in &report.outcomes {
            match &one.outcome {
                Ok(period_ms) => println!("  {:<10} a frame every {period_ms} ms", one.manager),
                Err(error) => println!("  {:<10} {}", one.manager, in_words(error)),
            }
        }
    }
    Ok(())
}

/// The camera's own error when it is one that this program knows, else whatever kept the command from being done.
fn in_words(error: &CallError) -> String {
    match error.downcast::<TooFast>() {
        Some(TooFast { limit_hz }) => format!("refuses: {limit_hz} Hz is its limit"),
        None => error.to_string(),
    }
}
