//! Coordinator, manager and command line in one program.

use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;
use my_rig as _; // links the crate and its managers, also when nothing else names it
use my_rig::{Flash, LampError, SetBrightness};

fn main() -> ExitCode {
    labrig::app().default_config(include_str!("../rig.toml")).main_with(measure)
}

/// What the program does while its rig runs. The rig quits when this returns.
fn measure(scope: Scope) -> Result<(), CallError> {
    scope.send(Flash { duration_ms: 20 })?;
    for percent in [40.0, 95.0] {
        let pending = scope.request(SetBrightness { percent })?;
        match pending.wait(Duration::from_secs(5)) {
            Ok(set) => println!("the lamp shines at {} % instead of {} %", set.percent, set.was_percent),
            Err(error) => match error.downcast::<LampError>() {
                Some(LampError::TooBright { limit_percent, .. }) => {
                    println!("{limit_percent} % is its limit")
                }
                None => return Err(error),
            },
        }
    }
    Ok(())
}
