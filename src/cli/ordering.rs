//! What the coordinator of a running rig is told: to stop everything, to arm and restart managers, to quit.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::{Connection, Trouble, connect};
use super::exit;
use super::rig_args::{ManagerArgs, QuitArgs, RigArgs};
use super::saying::say;
use crate::wire::{EventKind, Request};

/// `stop`: a line for each manager.
pub(super) fn stop(arguments: &RigArgs) -> ExitCode {
    let asked = connect(arguments).and_then(|mut rig| rig.ask_plainly(&Request::Stop {}));
    let code = |told: &Value| if told["is_safe"] == true { exit::CLEAN } else { exit::MANAGER_FAILED };
    let told_code = asked.as_ref().map_or(exit::FAILED, code);
    say(asked, arguments.json, |told| {
        let managers = told["managers"].as_array().map(Vec::as_slice).unwrap_or_default();
        (managers.iter().map(stopped).collect::<Vec<_>>().join("\n"), told_code)
    })
}

fn stopped(one: &Value) -> String {
    let took_ms = one["took_us"].as_f64().unwrap_or_default() / 1e3;
    let how = match one["is_safe"] == true {
        true => format!("safe in {took_ms:.1} ms"),
        false => format!("NOT safe: it has not said so within {took_ms:.0} ms"),
    };
    format!("{:<14} {how}", one["manager"].as_str().unwrap_or_default())
}

/// `arm`: says whether it was needed.
pub(super) fn arm(arguments: ManagerArgs) -> ExitCode {
    let ManagerArgs { manager, rig } = arguments;
    let request = Request::Arm { manager: manager.clone() };
    let asked = connect(&rig).and_then(|mut connection| connection.ask_plainly(&request));
    say(asked, rig.json, |told| {
        let before = if told["was_inactive"] == true { "" } else { "; it was not inactive" };
        (format!("{manager} is armed{before}"), exit::CLEAN)
    })
}

/// `restart`: says which life has begun.
pub(super) fn restart(arguments: ManagerArgs) -> ExitCode {
    let ManagerArgs { manager, rig } = arguments;
    let request = Request::Restart { manager: manager.clone() };
    let asked = connect(&rig).and_then(|mut connection| connection.ask_plainly(&request));
    say(asked, rig.json, |told| {
        (format!("{manager} is ready again: life {}", told["generation"]), exit::CLEAN)
    })
}

/// `quit`: waits until the rig has ended, and says how.
pub(super) fn quit(arguments: &QuitArgs) -> ExitCode {
    let asked = connect(&arguments.rig).and_then(|mut rig| {
        if arguments.no_wait {
            return rig.ask_plainly(&Request::Quit {}).map(|_| json!({ "is_clean": null }));
        }
        quit_and_wait(&mut rig)
    });
    say(asked, arguments.rig.json, |told| match told["is_clean"].as_bool() {
        None => ("the rig quits".to_owned(), exit::CLEAN),
        Some(true) => ("the rig has ended cleanly".to_owned(), exit::CLEAN),
        Some(false) => {
            ("the rig has ended, but not cleanly: its summary says why".to_owned(), exit::MANAGER_FAILED)
        }
    })
}

fn quit_and_wait(rig: &mut Connection) -> Result<Value, Trouble> {
    let mut ended = None;
    let mut note = |event: &Value| {
        if event["has_ended"] == true {
            ended = Some(json!({ "is_clean": event["is_clean"] }));
        }
    };
    rig.ask(&Request::Watch { events: Some(vec![EventKind::Quit]) }, &mut note)?;
    rig.ask(&Request::Quit {}, &mut note)?;
    while ended.is_none() {
        match rig.next_event()? {
            Some(event) if event["has_ended"] == true => {
                ended = Some(json!({ "is_clean": event["is_clean"] }));
            }
            Some(_) => {}
            None => return Err(Trouble::Ended),
        }
    }
    Ok(ended.unwrap_or_default())
}
