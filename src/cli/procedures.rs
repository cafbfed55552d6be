//! `procedure`: long jobs in a running rig, launched, steered and watched through its socket.
//!
//! To the rig these are commands like any other, which its manager of the kind `labrig.procedures` serves.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::calling::Way;
use super::client::{Connection, Trouble, connect};
use super::exit;
use super::procedure_args::{Level, OfferArgs, OneArgs, ProcedureDeed, RunnerArgs, SteerArgs};
use super::saying::{event, give_up, print, say};
use crate::config::arguments;
use crate::registry::routes::in_columns;
use crate::wire::Ordered;

/// Does what is asked for.
pub(super) fn procedure(deed: ProcedureDeed) -> ExitCode {
    match deed {
        ProcedureDeed::Launch { kind, inputs, held, wait, deadline, step_deadline, offer, runner } => {
            let inputs = match inputs_of(&inputs) {
                Ok(inputs) => inputs,
                Err(text) => return exit::complain(&text, exit::USAGE),
            };
            let mut fields = json!({
                "kind": kind, "inputs": inputs.to_string(), "folder": folder(), "by": by(),
                "deadline_ms": in_ms(deadline), "step_deadline_ms": in_ms(step_deadline),
            });
            if offer.any || offer.all || offer.task.is_some() {
                return place(runner, offer, fields, wait);
            }
            fields["is_held"] = held.into();
            launch(&runner, "LaunchProcedure", fields, wait)
        }
        ProcedureDeed::Continue { id, from, runner } => {
            let fields = json!({ "id": id, "checkpoint": from, "by": by() });
            launch(&runner, "ContinueProcedure", fields, false)
        }
        ProcedureDeed::List { active, parent, runner } => {
            let fields = json!({ "is_active": active, "parent": parent.unwrap_or_default() });
            ask(&runner, "ListProcedures", fields, |reply| (listed(reply), exit::CLEAN))
        }
        ProcedureDeed::Status(OneArgs { id, runner }) => {
            ask(&runner, "ProcedureStatus", json!({ "id": id }), |reply| (shown(reply), exit::CLEAN))
        }
        ProcedureDeed::Wait(OneArgs { id, runner }) => {
            let ended = connect(&runner.rig).and_then(|mut rig| until_ended(&mut rig, &runner, &id));
            say(ended, runner.rig.json, end_in_words)
        }
        ProcedureDeed::Pause(whom) => steer("PauseProcedure", "pause", whom, None),
        ProcedureDeed::Play(whom) => steer("PlayProcedure", "play", whom, None),
        ProcedureDeed::Kill { level, whom } => steer("KillProcedure", "kill", whom, Some(level)),
        ProcedureDeed::Checkpoints { id, delete: None, runner } => {
            ask(&runner, "ProcedureCheckpoints", json!({ "id": id }), |reply| {
                (checkpoints(reply), exit::CLEAN)
            })
        }
        ProcedureDeed::Checkpoints { id, delete: Some(tag), runner } => {
            ask(&runner, "DeleteCheckpoint", json!({ "id": id, "tag": tag }), |reply| match *reply == true {
                true => ("removed".to_owned(), exit::CLEAN),
                false => ("there is none with that tag".to_owned(), exit::FAILED),
            })
        }
        ProcedureDeed::Watch { id, runner } => match watch(&runner, id) {
            Ok(()) => ExitCode::from(exit::CLEAN),
            Err(trouble) => give_up(&trouble, runner.rig.json),
        },
    }
}

// --- asking ---

fn ordered(runner: &RunnerArgs, command: &str, fields: Value, deadline_ms: Option<u64>) -> Ordered {
    let (command, to) = (command.to_owned(), runner.to.clone());
    Ordered { command, args: Some(fields), to, deadline_ms, ..Ordered::default() }
}

fn ask(
    runner: &RunnerArgs,
    command: &str,
    fields: Value,
    in_words: impl FnOnce(&Value) -> (String, u8),
) -> ExitCode {
    let ordered = ordered(runner, command, fields, None);
    let asked = connect(&runner.rig).and_then(|mut rig| rig.call(ordered, &mut |_| ()));
    say(asked.map(|reply| json!({ "reply": reply })), runner.rig.json, |told| in_words(&told["reply"]))
}

/// Launches or continues a procedure, and waits for its end if that is wanted.
fn launch(runner: &RunnerArgs, command: &str, fields: Value, waits: bool) -> ExitCode {
    let launched = connect(&runner.rig).and_then(|mut rig| {
        let id = rig.call(ordered(runner, command, fields, None), &mut |_| ())?;
        if !waits {
            return Ok(json!({ "id": id }));
        }
        let id = id.as_str().unwrap_or_default().to_owned();
        if !runner.rig.json {
            eprintln!("{id}");
        }
        until_ended(&mut rig, runner, &id)
    });
    say(launched, runner.rig.json, |told| match told.get("reply") {
        None => (told["id"].as_str().unwrap_or_default().to_owned(), exit::CLEAN),
        Some(_) => end_in_words(told),
    })
}

/// Offers a task, and waits for its end with whoever has taken it if that is wanted.
fn place(mut runner: RunnerArgs, offer: OfferArgs, mut task: Value, waits: bool) -> ExitCode {
    task["name"] = offer.task.unwrap_or_default().into();
    let whom = match runner.to.take() {
        _ if offer.all => json!("all"),
        Some(one) => json!({ "one": one }),
        None => json!("any"),
    };
    let fields = json!({ "task": task, "whom": whom });
    let placed = connect(&runner.rig).and_then(|mut rig| {
        let placed = rig.call(ordered(&runner, "PlaceTask", fields, None), &mut |_| ())?;
        if !waits {
            return Ok(placed);
        }
        let taken = &placed["taken"][0];
        if !runner.rig.json {
            eprintln!("{}", placement_in_words(&placed));
        }
        runner.to = taken["runner"].as_str().map(str::to_owned);
        until_ended(&mut rig, &runner, taken["id"].as_str().unwrap_or_default())
    });
    say(placed, runner.rig.json, |told| match told.get("reply") {
        None => (placement_in_words(told), exit::CLEAN),
        Some(_) => end_in_words(told),
    })
}

/// Waits with a bar.
fn until_ended(rig: &mut Connection, runner: &RunnerArgs, id: &str) -> Result<Value, Trouble> {
    let mut way = Way::new(runner.rig.json);
    let ordered = ordered(runner, "AwaitProcedure", json!({ "id": id }), Some(0));
    let ended = rig.call(ordered, &mut |told| way.show(told));
    way.end();
    Ok(json!({ "reply": ended? }))
}

fn end_in_words(told: &Value) -> (String, u8) {
    let record = &told["reply"];
    let output = record["output"].as_str().map(|output| match serde_json::from_str::<Value>(output) {
        Ok(output) => format!("{output:#}"),
        Err(_) => output.to_owned(),
    });
    match output {
        Some(output) => (output, exit::CLEAN),
        None => {
            let text = |key: &str| record[key].as_str().unwrap_or_default();
            (format!("{} is {}: {}", text("id"), text("state"), text("text")), exit::FAILED)
        }
    }
}

fn steer(command: &str, deed: &str, whom: SteerArgs, level: Option<Level>) -> ExitCode {
    let SteerArgs { id, all, text, deadline, runner } = whom;
    let mut fields = json!({ "text": text, "by": by() });
    let command = if all { "SteerAllProcedures" } else { command };
    match all {
        true => fields["deed"] = deed.into(),
        false => fields["id"] = id.into(),
    }
    if let Some(level) = level.filter(|_| !all) {
        fields["level"] = match level {
            Level::NextStep => "next-step",
            Level::NextYield => "next-yield",
            Level::Force => "force",
        }
        .into();
    }
    let ordered = ordered(&runner, command, fields, Some(in_ms(deadline)));
    let asked = connect(&runner.rig).and_then(|mut rig| rig.call(ordered, &mut |_| ()));
    say(asked.map(|reply| json!({ "reply": reply })), runner.rig.json, |told| {
        let answers = match &told["reply"] {
            Value::Array(answers) => answers.iter().collect(),
            answer => vec![answer],
        };
        let is_so = |answer: &&Value| matches!(answer["outcome"].as_str(), Some("done" | "already"));
        let code = if answers.iter().all(is_so) { exit::CLEAN } else { exit::FAILED };
        let lines: Vec<_> = answers.into_iter().map(answer_in_words).collect();
        (if lines.is_empty() { "there is none".to_owned() } else { lines.join("\n") }, code)
    })
}

fn answer_in_words(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    match answer["state"].as_str() {
        None => format!("{}: {}", text("id"), text("outcome").replace('-', " ")),
        Some(state) => format!("{}: {}, it is {state}", text("id"), text("outcome").replace('-', " ")),
    }
}

/// Prints changes until the procedure has ended, or for ever.
fn watch(runner: &RunnerArgs, id: Option<String>) -> Result<(), Trouble> {
    let mut rig = connect(&runner.rig)?;
    let mut after = id.as_ref().map_or(Value::Null, |_| json!(0));
    loop {
        let fields = json!({ "after": after, "id": id.clone().unwrap_or_default() });
        let changes = rig.call(ordered(runner, "ProcedureChanges", fields, Some(0)), &mut |_| ())?;
        for change in changes.as_array().into_iter().flatten() {
            let is_end = matches!(change["to"].as_str(), Some("finished" | "excepted" | "killed"));
            let line =
                if runner.rig.json { event("change", change.clone()) } else { change_in_words(change) };
            // Whoever closes standard output, as `head` does, has seen enough.
            if print(&line).is_err() || (is_end && id.is_some()) {
                return Ok(());
            }
            after = change["sequence"].clone();
        }
    }
}

// --- words ---

/// Each procedure that the task has become, and whoever has not taken it.
fn placement_in_words(placed: &Value) -> String {
    let each = |key: &str| placed[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let taken = each("taken").into_iter().map(|it| format!("{} at {}", text(&it, "id"), text(&it, "runner")));
    let declined = each("declined").into_iter().map(|it| format!("declined by {}", text(&it, "runner")));
    let in_doubt = each("in_doubt").into_iter();
    let in_doubt = in_doubt.map(|it| format!("not known at {}: {}", text(&it, "runner"), text(&it, "why")));
    taken.chain(declined).chain(in_doubt).collect::<Vec<_>>().join("\n")
}

fn change_in_words(change: &Value) -> String {
    let text = |key: &str| change[key].as_str().unwrap_or_default();
    let from = change["from"].as_str().map_or_else(String::new, |from| format!("{from} → "));
    let by = if text("sender").is_empty() { String::new() } else { format!(" (by {})", text("sender")) };
    let why = if text("text").is_empty() { String::new() } else { format!(": {}", text("text")) };
    let sequence = change["sequence"].as_u64().unwrap_or_default();
    one_line(&format!("{sequence:>8}  {}  {from}{}{by}{why}", text("id"), text("to")))
}

/// What somebody has written stays on its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn listed(records: &Value) -> String {
    let headings = ["PROCEDURE", "STATE", "STEP", "DONE", "TEXT"].map(str::to_owned);
    let rows = records.as_array().into_iter().flatten().map(|record| {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let state =
            if record["is_queued"] == true { format!("{}, queued", text("state")) } else { text("state") };
        let step = record["step"].as_u64().map_or_else(|| "-".to_owned(), |step| step.to_string());
        [text("id"), state, step, part_done(record), one_line(&text("text"))]
    });
    let rows: Vec<_> = std::iter::once(headings).chain(rows).collect();
    if rows.len() == 1 {
        return "there are no procedures".to_owned();
    }
    in_columns(&rows, |_| false)
}

fn part_done(record: &Value) -> String {
    let number = |key: &str| record["progress"][key].as_f64().unwrap_or_default();
    match number("total") {
        total if total > 0.0 => format!("{:.0} %", 100.0 * (number("done") / total).clamp(0.0, 1.0)),
        _ => "-".to_owned(),
    }
}

fn checkpoints(records: &Value) -> String {
    let headings = ["STEP", "TAG", "BYTES", "FAULT"].map(str::to_owned);
    let rows = records.as_array().into_iter().flatten().map(|record| {
        let text = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
        [record["step"].to_string(), text("tag"), record["bytes"].to_string(), one_line(&text("fault"))]
    });
    in_columns(&std::iter::once(headings).chain(rows).collect::<Vec<_>>(), |_| false)
}

/// All that is known of one, a line for each fact.
fn shown(record: &Value) -> String {
    let facts = record.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let rows: Vec<_> = facts
        .map(|(key, value)| match value {
            Value::String(text) => [key.clone(), one_line(text)],
            other => [key.clone(), other.to_string()],
        })
        .collect();
    in_columns(&rows, |_| false)
}

// --- fields ---

/// Inputs as they are typed.
fn inputs_of(words: &[String]) -> Result<Value, String> {
    if let [json] = words
        && json.trim_start().starts_with('{')
    {
        return serde_json::from_str(json).map_err(|error| format!("the inputs are no JSON object: {error}"));
    }
    let mut faults = Vec::new();
    let tree = arguments::from_words(words, Path::new("."), &mut faults);
    let texts: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
    match tree.to_json() {
        Some(inputs) if texts.is_empty() => Ok(inputs),
        _ => Err(texts.join("\n")),
    }
}

/// Where paths in the inputs start from: they are relative to where they are typed.
fn folder() -> String {
    let folder = std::env::current_dir().ok().and_then(|folder| folder.into_os_string().into_string().ok());
    folder.unwrap_or_default()
}

/// Who asks, for the record.
fn by() -> String {
    std::env::var("USER").unwrap_or_else(|_| "command line".to_owned())
}

/// A time in ms, of which less than one is not for ever; 0 for none.
fn in_ms(limit: Option<Duration>) -> u64 {
    limit.map_or(0, |limit| u64::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_typed_as_words_or_as_json() {
        let words =
            |words: &[&str]| inputs_of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["steps=3", "name=a"]), Ok(json!({ "steps": 3, "name": "a" })));
        assert_eq!(words(&[r#"{"steps": 3}"#]), Ok(json!({ "steps": 3 })));
        assert_eq!(words(&[]), Ok(json!({})));
        assert!(words(&["steps"]).is_err_and(|text| text.contains("`steps` gives no field its value")));
        assert!(words(&["{steps"]).is_err_and(|text| text.contains("no JSON object")));
    }

    #[test]
    fn records_are_listed_with_how_far_they_are() {
        let records = json!([
            { "id": "sweep-2", "state": "created", "is_queued": true, "step": null, "progress": null, "text": "" },
            { "id": "sweep-1", "state": "running", "is_queued": false, "step": 12,
              "progress": { "done": 3.0, "total": 4.0, "note": "" }, "text": "at\n12 µm" },
        ]);
        let expected = [
            "PROCEDURE  STATE            STEP  DONE  TEXT",
            "sweep-2    created, queued  -     -",
            "sweep-1    running          12    75 %  at 12 µm",
        ];
        assert_eq!(listed(&records).lines().collect::<Vec<_>>(), expected);
        assert_eq!(listed(&json!([])), "there are no procedures");
    }

    #[test]
    fn answers_and_changes_are_said_in_words() {
        let answer = json!({ "id": "sweep-1", "outcome": "too-late", "state": "finished" });
        assert_eq!(answer_in_words(&answer), "sweep-1: too late, it is finished");
        let change = json!({ "sequence": 3, "id": "sweep-1", "from": "running", "to": "paused", "sender": "ada",
            "text": "lunch", "at_ms": 1 });
        assert_eq!(change_in_words(&change), "       3  sweep-1  running → paused (by ada): lunch");
        let ended =
            json!({ "reply": { "id": "sweep-1", "state": "killed", "text": "enough", "output": null } });
        assert_eq!(end_in_words(&ended), ("sweep-1 is killed: enough".to_owned(), exit::FAILED));
    }
}
