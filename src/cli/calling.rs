//! Commands for a running rig, by name: called, sent, or broadcast.
//!
//! Fields go to the rig as they were typed: there they are read by the command's own types, and checked.

use std::io::IsTerminal;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::client::connect;
use super::exit;
use super::rig_args::{BroadcastArgs, CallArgs, CommandArgs, RigArgs};
use super::saying::{event, print, say};
use crate::wire::{Ordered, Request};

/// `call`: prints the reply.
pub(super) fn call(arguments: CallArgs) -> ExitCode {
    let CallArgs { command, to, rig } = arguments;
    let ordered = match ordered(command, to) {
        Ok(ordered) => ordered,
        Err(code) => return code,
    };
    let in_words = |told: &Value| match &told["reply"] {
        Value::Null => (format!("done by {}", told["manager"].as_str().unwrap_or("the rig")), exit::CLEAN),
        reply => (format!("{reply:#}"), exit::CLEAN),
    };
    ask(&rig, &Request::Call(ordered), in_words)
}

/// `send`: says only that it was accepted.
pub(super) fn send(arguments: CallArgs) -> ExitCode {
    let CallArgs { command, to, rig } = arguments;
    let ordered = match ordered(command, to) {
        Ok(ordered) => ordered,
        Err(code) => return code,
    };
    ask(&rig, &Request::Send(ordered), |_| ("sent".to_owned(), exit::CLEAN))
}

/// `broadcast`: a line for each manager that serves it.
pub(super) fn broadcast(arguments: BroadcastArgs) -> ExitCode {
    let BroadcastArgs { command, rig } = arguments;
    let ordered = match ordered(command, None) {
        Ok(ordered) => ordered,
        Err(code) => return code,
    };
    ask(&rig, &Request::Broadcast(ordered), |told| {
        let outcomes = told["outcomes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let code = if told["is_all_done"] == true { exit::CLEAN } else { exit::FAILED };
        (outcomes.iter().map(outcome).collect::<Vec<_>>().join("\n"), code)
    })
}

fn outcome(one: &Value) -> String {
    let manager = one["manager"].as_str().unwrap_or_default();
    let text = match (one.get("error"), &one["reply"]) {
        (Some(error), _) => error["text"].as_str().unwrap_or_default().to_owned(),
        (None, Value::Null) => "done".to_owned(),
        (None, reply) => format!("done: {reply}"),
    };
    format!("{manager:<14} {text}")
}

fn ordered(command: CommandArgs, to: Option<String>) -> Result<Ordered, ExitCode> {
    let CommandArgs { command, fields, deadline } = command;
    // Paths in the fields are relative to where they are typed.
    let folder = std::env::current_dir().ok().and_then(|folder| folder.into_os_string().into_string().ok());
    // Less than a millisecond is not for ever.
    let deadline_ms =
        deadline.map(|limit| u64::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
    let ordered = Ordered { command, folder, to, deadline_ms, ..Ordered::default() };
    match fields.as_slice() {
        [json] if json.trim_start().starts_with('{') => match serde_json::from_str(json) {
            Ok(args) => Ok(Ordered { args: Some(args), ..ordered }),
            Err(error) => {
                Err(exit::complain(&format!("the fields are no JSON object: {error}"), exit::USAGE))
            }
        },
        _ => Ok(Ordered { words: Some(fields), ..ordered }),
    }
}

/// Asks, and shows on the way how far it is.
fn ask(rig: &RigArgs, request: &Request, in_words: impl FnOnce(&Value) -> (String, u8)) -> ExitCode {
    let mut way = Way::new(rig.json);
    let asked = connect(rig).and_then(|mut connection| connection.ask(request, &mut |event| way.show(event)));
    way.end();
    say(asked, rig.json, in_words)
}

/// How far a call is: a bar on a terminal, lines for machines.
pub(super) struct Way {
    is_json: bool,
    bar: Option<ProgressBar>,
}

/// How finely a bar is drawn.
const STEPS: u64 = 1000;

impl Way {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, bar: None }
    }

    pub(super) fn show(&mut self, told: &Value) {
        if told["event"] != "progress" {
            return;
        }
        if self.is_json {
            // Whoever reads no longer still wants the exit code.
            return drop(print(&event("progress", told.clone())));
        }
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}");
            ProgressBar::new(STEPS).with_style(style.expect("the template is well formed"))
        });
        let (done, total) = (told["done"].as_f64().unwrap_or(0.0), told["total"].as_f64().unwrap_or(0.0));
        let part = if total > 0.0 { (done / total).clamp(0.0, 1.0) } else { 0.0 };
        bar.set_position((part * STEPS as f64) as u64);
        let note = told["note"].as_str().unwrap_or_default();
        bar.set_message(note.chars().filter(|c| !c.is_control()).collect::<String>());
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
