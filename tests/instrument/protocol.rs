//! What docs/PROTOCOL.md shows is what a rig says.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use labrig::wire::{Inbox, message};
use labrig::{Rig, Topology};
use serde_json::Value;

use crate::support::{LONG_LEASE_MS, PATIENCE, end_cleanly, program, project};

/// Stands for whatever there is.
const ANYTHING: &str = "…";

/// The blocks of the document that are marked so.
fn examples(mark: &str) -> Vec<String> {
    let document = fs::read_to_string(project("docs/PROTOCOL.md")).expect("the document");
    let begin = format!("<!--{mark}-->\n```\n");
    let marked = document.split(&begin).skip(1);
    marked.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

/// Whether a message is as the document shows it.
fn is_as(shown: &Value, heard: &Value) -> bool {
    match (shown, heard) {
        (Value::String(text), _) if text == ANYTHING => true,
        (Value::Object(shown), Value::Object(heard)) => {
            let may_have_more = shown.contains_key(ANYTHING);
            let named = shown.iter().filter(|(key, _)| *key != ANYTHING);
            let all = named.clone().all(|(key, value)| heard.get(key).is_some_and(|it| is_as(value, it)));
            all && (may_have_more || named.count() == heard.len())
        }
        (Value::Array(shown), Value::Array(heard)) => {
            shown.len() == heard.len() && shown.iter().zip(heard).all(|(shown, heard)| is_as(shown, heard))
        }
        _ => shown == heard,
    }
}

struct Client {
    stream: UnixStream,
    inbox: Inbox,
    /// What was heard and not yet looked for.
    heard: Vec<Value>,
}

impl Client {
    fn of(rig: &Rig) -> Self {
        let stream = UnixStream::connect(rig.socket()).expect("the rig listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        Self { stream, inbox: Inbox::default(), heard: Vec::new() }
    }

    fn say(&mut self, line: &str) {
        let request: Value = serde_json::from_str(line).expect("the document shows JSON");
        self.stream.write_all(&message::seal(&request).expect("it is short")).expect("the rig listens");
    }

    fn check_hears(&mut self, line: &str) {
        let shown: Value = serde_json::from_str(line).expect("the document shows JSON");
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = self.heard.iter().position(|heard| is_as(&shown, heard)) {
                self.heard.remove(at);
                return;
            }
            match self.inbox.next_message().expect("the rig speaks well") {
                Some(message) => self.heard.push(message),
                None => match self.stream.read(&mut buffer) {
                    Ok(count @ 1..) => self.inbox.push(&buffer[..count]),
                    // A process that was stopped and goes on waits anew.
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    end => panic!("nothing is as {line}, then {end:?}; heard: {:#?}", self.heard),
                },
            }
        }
    }
}

/// Plays the blocks, each on a connection of its own.
fn check_examples(mark: &str, at_least: usize) {
    let topology = Topology::from_file(project("config/microscope.toml")).expect("a config");
    let topology = topology.program(program()).set("rig.lease_ms", LONG_LEASE_MS);
    let rig = Rig::launch(topology).unwrap_or_else(|error| panic!("{error}"));
    let examples = examples(mark);
    assert!(examples.len() >= at_least, "only {} examples", examples.len());
    for example in examples {
        let mut client = Client::of(&rig);
        for line in example.lines() {
            match line.split_once(' ') {
                Some((">", request)) => client.say(request),
                Some(("<", answer)) => client.check_hears(answer),
                _ => panic!("`{line}` is neither said nor heard"),
            }
        }
    }
    end_cleanly(rig);
}

#[test]
fn the_examples_of_the_protocol_are_what_a_rig_says() {
    check_examples("example", 8);
}

#[test]
fn the_orders_of_the_protocol_are_obeyed_as_it_shows() {
    check_examples("example of orders", 1);
}

#[test]
fn what_is_not_as_shown_is_not_taken_for_it() {
    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let heard = value(r#"{"id": 1, "ok": {"a": [1, 2], "b": null}}"#);
    assert!(is_as(&value(r#"{"id": 1, "ok": {"a": [1, "…"], "b": null}}"#), &heard));
    assert!(is_as(&value(r#"{"id": 1, "ok": {"b": null, "…": "…"}}"#), &heard));
    assert!(!is_as(&value(r#"{"id": 1, "ok": {"b": null}}"#), &heard));
    assert!(!is_as(&value(r#"{"id": 1, "ok": {"a": ["…"], "b": null}}"#), &heard));
}
