//! A rig's status as people read it: a table, or a line. Made from what machines read, so that a running rig that
//! is asked from elsewhere looks as one's own does.

use std::fmt::Write;

use serde_json::Value;

/// Frames per second of each stream; nothing when that is not known.
pub(super) type Rates = Option<Vec<f64>>;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn count(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[key].as_array().into_iter().flatten()
}

/// The whole status in one line.
pub(super) fn line(status: &Value, rates: &Rates) -> String {
    let managers: Vec<_> = list(status, "managers")
        .map(|manager| format!("{} {}", text(manager, "name"), text(manager, "state")))
        .collect();
    let uptime = status["uptime_s"].as_f64().unwrap_or_default();
    let mut line = format!("{uptime:>6.1} s  {}", managers.join(", "));
    for (index, stream) in list(status, "streams").enumerate() {
        line.push_str("; ");
        line.push_str(&stream_text(stream, rate(rates, index)));
    }
    line
}

fn rate(rates: &Rates, index: usize) -> Option<f64> {
    rates.as_ref()?.get(index).copied()
}

fn stream_text(stream: &Value, rate: Option<f64>) -> String {
    let mut told = format!("{} {} frames", text(stream, "name"), count(stream, "published"));
    // Writing to a String cannot fail.
    if let Some(rate) = rate {
        let _ = write!(told, " ({rate:.0}/s)");
    }
    for reader in list(stream, "readers") {
        let _ = write!(told, ", {} {}", text(reader, "manager"), count(reader, "taken"));
    }
    told
}

/// The whole status, a row for each manager and stream.
pub(super) fn table(status: &Value, rates: &Rates, has_colours: bool) -> String {
    let uptime = status["uptime_s"].as_f64().unwrap_or_default();
    let mut table = format!("{}  {uptime:.1} s\n", painted(text(status, "rig"), "1", has_colours));
    for manager in list(status, "managers") {
        let _ = writeln!(table, "{}", row(manager, has_colours));
    }
    for (index, stream) in list(status, "streams").enumerate() {
        let _ = writeln!(table, "  {}", stream_text(stream, rate(rates, index)));
    }
    let totals = &status["totals"];
    let endings = ["done", "failed", "cancelled", "expired", "refused", "lost", "indeterminate"];
    let ended: u64 = endings.iter().map(|ending| count(totals, ending)).sum();
    let _ = write!(table, "  calls: {} accepted, {ended} ended", count(totals, "accepted"));
    table
}

fn row(manager: &Value, has_colours: bool) -> String {
    let state = text(manager, "state");
    let colour = match state {
        "ready" | "busy" | "safe" => "32",
        "failed" | "stuck" => "31",
        _ => "33",
    };
    let generation = count(manager, "generation");
    let life = if generation > 1 { format!(" life {generation}") } else { String::new() };
    let about = match manager["fault"].as_str() {
        // The rest of the table stays in its place, whatever a device has to say.
        Some(why) if state == "absent" => why.chars().take_while(|c| !c.is_control()).collect(),
        _ => format!(
            "pid {:<8} queue {:<5} commands {}{life}{}",
            count(manager, "pid"),
            count(manager, "queued"),
            count(manager, "taken"),
            values_text(&manager["values"])
        ),
    };
    let state = painted(&format!("{state:<10}"), colour, has_colours);
    format!("  {:<14} {:<14} {state} {about}", text(manager, "name"), text(manager, "kind"))
}

/// How many of a manager's values others hold, and how many of theirs it holds, when there are any.
fn values_text(values: &Value) -> String {
    match (count(values, "owned"), count(values, "held")) {
        (0, 0) => String::new(),
        (owned, held) => format!(" values {owned} held by others, {held} of others"),
    }
}

fn painted(text: &str, colour: &str, has_colours: bool) -> String {
    if has_colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_broadcast_in_flight_counts_as_one_call() {
        let totals = json!({ "accepted": 3, "done": 1, "failed": 1 });
        let status = json!({ "rig": "test", "uptime_s": 1.0, "totals": totals, "in_flight": 64 });
        let table = table(&status, &None, false);
        assert!(table.starts_with("test  1.0 s\n"), "{table}");
        assert!(table.ends_with("calls: 3 accepted, 2 ended"), "{table}");
    }

    #[test]
    fn an_absent_manager_shows_why_and_nothing_that_it_has_not() {
        let fault = "could not be set up: no device\non port 3";
        let absent = json!({ "name": "stage_z", "kind": "motor.sim", "state": "absent", "fault": fault });
        let row = row(&absent, true);
        assert!(row.ends_with(" could not be set up: no device"), "{row}");
        assert!(row.contains("absent") && !row.contains("pid"), "{row}");
    }

    #[test]
    fn what_is_not_for_a_terminal_has_no_colours() {
        let manager =
            json!({ "name": "motor", "kind": "motor.sim", "state": "ready", "pid": 7, "generation": 2 });
        let status = json!({ "rig": "test", "managers": [manager] });
        assert!(table(&status, &None, true).contains("\x1b[32mready"));
        let plain = table(&status, &None, false);
        assert!(!plain.contains('\x1b') && plain.contains("life 2"), "{plain}");
    }

    #[test]
    fn values_that_cross_processes_are_shown_where_there_are_any() {
        let manager = |owned, held| json!({ "values": { "owned": owned, "held": held } });
        assert!(row(&manager(3, 1), false).ends_with(" values 3 held by others, 1 of others"));
        assert!(!row(&manager(0, 0), false).contains("values"));
    }

    #[test]
    fn rates_are_shown_where_they_are_known() {
        let readers = json!([{ "manager": "tracker", "taken": 9 }]);
        let stream = json!({ "name": "video", "published": 10, "readers": readers });
        let status = json!({ "uptime_s": 2.0, "streams": [stream] });
        assert!(line(&status, &Some(vec![5.0])).ends_with("video 10 frames (5/s), tracker 9"));
        assert!(line(&status, &None).ends_with("video 10 frames, tracker 9"));
    }
}
