//! The program: coordinator, manager and command line in one. What it does while the rig runs is `session`.

use std::process::ExitCode;
use std::time::Duration;

use labrig::managers::motor::MoveTo;
use labrig::prelude::*;
use my_rig as _; // links the crate and its managers, also when nothing else names it
use my_rig::{Flash, LampError, SaveNote, SetBrightness};

const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    labrig::app().default_config(include_str!("../rig.toml")).main_with(session)
}

fn session(scope: Scope) -> Result<(), CallError> {
    let percent = brighten(&scope, 95.0)?;
    println!("the lamp shines at {percent} %");

    scope.send(Flash { duration_ms: 20 })?;

    let settled = scope.request(MoveTo { height_um: 12.0 })?.wait(PATIENCE)?;
    println!("the objective is at {} µm", settled.height_um);

    let text = format!("lamp {percent} %, objective {} µm", settled.height_um);
    let lines = scope.request(SaveNote { text })?.wait(PATIENCE)?;
    println!("the notebook has {lines} line");
    Ok(())
}

/// As bright as asked for, or as the lamp allows.
fn brighten(scope: &Scope, percent: f64) -> Result<f64, CallError> {
    let set = |percent| scope.request(SetBrightness { percent })?.wait(PATIENCE);
    match set(percent) {
        Ok(set) => Ok(set.percent),
        Err(error) => match error.downcast::<LampError>() {
            Some(LampError::TooBright { limit_percent, .. }) => {
                println!("{error}");
                Ok(set(limit_percent)?.percent)
            }
            None => Err(error),
        },
    }
}
