//! The program of the testbed: it plays every manager that the tests need.

use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use labrig_testbed as _;

/// What to do, instead of playing a manager: nothing at all (`mute`), or `exit`.
const INSTEAD: &str = "TESTBED_INSTEAD";

fn main() -> ExitCode {
    let is_manager = env::var("LABRIG_ROLE").is_ok_and(|role| role.starts_with("manager:"));
    match env::var(INSTEAD).as_deref() {
        Ok("mute") if is_manager => thread::sleep(Duration::from_secs(3600)),
        Ok("exit") if is_manager => return ExitCode::from(7),
        _ => {}
    }
    labrig::main()
}
