//! `watch`: what happens in a running rig, line by line, until it ends.

use std::process::ExitCode;

use serde_json::Value;

use super::client::{Trouble, connect};
use super::exit;
use super::rig_args::WatchArgs;
use super::saying::{give_up, print};
use crate::wire::Request;

/// Prints each event as it comes.
pub(super) fn watch(arguments: &WatchArgs) -> ExitCode {
    match follow(arguments) {
        Ok(()) => ExitCode::from(exit::CLEAN),
        Err(trouble) => give_up(&trouble, arguments.rig.json),
    }
}

fn follow(arguments: &WatchArgs) -> Result<(), Trouble> {
    let mut rig = connect(&arguments.rig)?;
    let is_json = arguments.rig.json;
    let events = (!arguments.only.is_empty()).then(|| arguments.only.clone());
    let mut is_read = true;
    let mut show = |event: &Value| {
        let line = if is_json { event.to_string() } else { in_words(event) };
        // Whoever closes standard output, as `head` does, has seen enough.
        is_read = is_read && print(&line).is_ok();
        is_read
    };
    let mut on_the_way = Vec::new();
    rig.ask(&Request::Watch { events }, &mut |event| on_the_way.push(event.clone()))?;
    if !on_the_way.iter().all(&mut show) {
        return Ok(());
    }
    while let Some(event) = rig.next_event()? {
        if !show(&event) {
            break;
        }
    }
    Ok(())
}

/// An event as people read it: when, who, what.
fn in_words(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let seconds = event["at_ns"].as_f64().unwrap_or_default() / 1e9;
    let told = match text("event") {
        "state" => format!("{}: {} → {}", text("manager"), text("from"), text("to")),
        "death" => {
            let at = event["command"]
                .as_str()
                .map(|command| format!(", while at `{command}`"))
                .unwrap_or_default();
            format!("{}: died (pid {}): {}{at}", text("manager"), event["pid"], text("how"))
        }
        "safe" => {
            let took_ms = event["took_us"].as_f64().unwrap_or_default() / 1e3;
            format!("{}: safe in {took_ms:.1} ms ({})", text("manager"), text("reason"))
        }
        "fault" => match event["manager"].as_str() {
            Some(manager) => format!("{manager}: {}", text("text")),
            None => text("text").to_owned(),
        },
        "loss" => format!("{}: lost: {}: {}", text("manager"), text("what"), text("detail")),
        "ending" => format!("{}: {} {}", text("manager"), text("command"), text("ending")),
        "undelivered" => {
            format!("{}: {} was not delivered: {}", text("to"), text("command"), text("reason"))
        }
        "quit" if event["has_ended"] == true => format!("the rig has ended: {}", text("reason")),
        "quit" => format!("the rig quits: {}", text("reason")),
        "missed" => return format!("{:>14}  {} events were missed", "", event["count"]),
        _ => event.to_string(),
    };
    // What a device says stays on its line.
    let told: String = told.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{seconds:>12.3} s  {told}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_words(event: Value, expected: &str) {
        assert!(in_words(&event).ends_with(expected), "{}", in_words(&event));
    }

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let state = json!({ "event": "state", "at_ns": 1_500_000_000u64, "manager": "motor", "from": "ready", "to": "failed" });
        assert_eq!(in_words(&state), "       1.500 s  motor: ready → failed");
        let death = json!({ "event": "death", "manager": "motor", "pid": 7, "how": "signal 9 (SIGKILL)", "command": "MoveTo" });
        check_words(death, "motor: died (pid 7): signal 9 (SIGKILL), while at `MoveTo`");
        check_words(json!({ "event": "fault", "manager": null, "text": "on\nfire\x07" }), "on fire ");
        check_words(json!({ "event": "missed", "count": 3 }), "3 events were missed");
        check_words(json!({ "event": "news", "x": 1 }), r#"{"event":"news","x":1}"#);
    }
}
