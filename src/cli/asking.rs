//! What a running rig is, and whether it answers.

use std::process::ExitCode;

use serde_json::Value;

use super::args::CommandsArgs;
use super::client::connect;
use super::rig_args::{PingArgs, RigArgs, RowsArgs};
use super::saying::{has_colours, say};
use super::{exit, following, rows, saying, signals, table};
use crate::registry::routes::in_columns;
use crate::wire::Request;

/// `status`: the table that `run` shows, once.
pub(super) fn status(arguments: &RigArgs) -> ExitCode {
    let asked = connect(arguments).and_then(|mut rig| rig.ask_plainly(&Request::Status {}));
    let asked = asked.map(|status| {
        // As the lines of `run --json`.
        serde_json::json!({ "status": status })
    });
    match asked {
        Ok(told) if arguments.json => match saying::print(&saying::event("status", told)) {
            Ok(()) => ExitCode::from(exit::CLEAN),
            Err(error) => exit::complain(&format!("cannot write to standard output: {error}"), exit::FAILED),
        },
        asked => say(asked, false, |told| (table::table(&told["status"], &None, has_colours()), exit::CLEAN)),
    }
}

/// `ping`: how long a round trip takes.
pub(super) fn ping(arguments: PingArgs) -> ExitCode {
    let PingArgs { manager, rig } = arguments;
    let who = manager.clone().unwrap_or_else(|| "the coordinator".to_owned());
    let asked = connect(&rig).and_then(|mut connection| {
        let begun = std::time::Instant::now();
        let mut told = connection.ask_plainly(&Request::Ping { manager })?;
        if told["round_trip_us"].is_null() {
            told["round_trip_us"] = (begun.elapsed().as_micros() as u64).into();
        }
        Ok(told)
    });
    say(asked, rig.json, |told| (format!("{who} answered in {} µs", told["round_trip_us"]), exit::CLEAN))
}

/// `signals`: what managers publish.
pub(super) fn signals(arguments: &RigArgs) -> ExitCode {
    let asked = connect(arguments).and_then(|mut rig| rig.ask_plainly(&Request::Signals {}));
    say(asked, arguments.json, |told| (signals::listed(told), exit::CLEAN))
}

/// `rows`: the latest rows of a ring.
pub(super) fn rows(arguments: RowsArgs) -> ExitCode {
    if arguments.follow {
        return following::rows(&arguments);
    }
    let RowsArgs { name, latest, follow: _, rig } = arguments;
    let asked =
        connect(&rig).and_then(|mut connection| connection.ask_plainly(&Request::Rows { name, latest }));
    say(asked, rig.json, |told| (rows::listed(told), exit::CLEAN))
}

/// `commands --rig`: what a running rig can be asked for.
pub(super) fn commands(arguments: CommandsArgs) -> ExitCode {
    let CommandsArgs { check, rig, runtime_dir, signals: _, shared: _ } = arguments;
    let rig = RigArgs { rig, runtime_dir, json: check.json };
    let asked = connect(&rig).and_then(|mut connection| connection.ask_plainly(&Request::Commands {}));
    say(asked, rig.json, |told| (listed(told), exit::CLEAN))
}

/// One line for each command: its name, how it is delivered, who serves it, and its fields.
fn listed(told: &Value) -> String {
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let row = |command: &Value| {
        let fields = command["fields"].as_array().into_iter().flatten().map(field);
        let managers = match command["scope"] == true {
            true => "(coordinator)".to_owned(),
            false => texts(&command["managers"]).join(", "),
        };
        let text = |key: &str| command[key].as_str().unwrap_or_default().to_owned();
        [text("command"), text("delivery"), managers, fields.collect::<Vec<_>>().join(" ")]
    };
    let headings = ["COMMAND", "DELIVERY", "MANAGERS", "FIELDS"].map(str::to_owned);
    let rows: Vec<_> =
        std::iter::once(headings).chain(told["commands"].as_array().into_iter().flatten().map(row)).collect();
    in_columns(&rows, |_| false)
}

fn field(field: &Value) -> String {
    let text = |key: &str| field[key].as_str().unwrap_or_default();
    let optional = if field["optional"] == true { "?" } else { "" };
    format!("{}{optional}: {}", text("name"), text("type"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_are_listed_with_who_serves_them_and_their_fields() {
        let fields = json!([
            { "name": "height_um", "type": "f64", "optional": false },
            { "name": "speed", "type": "f64", "optional": true },
        ]);
        let told = json!({ "commands": [
            { "command": "MoveTo", "delivery": "direct", "managers": ["x", "y"], "fields": fields, "scope": false },
            { "command": "SaveNote", "delivery": "scope", "managers": [], "fields": [], "scope": true },
        ] });
        let lines: Vec<_> = listed(&told).lines().map(str::to_owned).collect();
        assert_eq!(lines[1], "MoveTo    direct    x, y           height_um: f64 speed?: f64");
        assert_eq!(lines[2], "SaveNote  scope     (coordinator)");
    }
}
