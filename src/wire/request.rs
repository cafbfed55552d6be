//! What the clients of the rig's socket ask for, and what they are told when it cannot be.
//!
//! `docs/PROTOCOL.md` says it in words. Fields that are not known are refused, so that nothing which a client asks
//! for is passed over in silence.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Whether somebody is there: the coordinator, or a manager's worker.
    Ping {
        /// Which manager; the coordinator itself when none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manager: Option<String>,
    },
    /// How the rig is doing.
    Status {},
    /// Which commands there are, and who serves them.
    Commands {},
    /// What managers publish, and how old it is.
    Signals {},
    /// The latest rows that a manager shares.
    Rows {
        /// Which: `manager.object`.
        name: String,
        /// How many at most; at most a thousand.
        #[serde(default = "ten")]
        latest: u64,
    },
    /// The rows that a manager shares, as they come, until the connection ends.
    FollowRows {
        /// Which: `manager.object`.
        name: String,
        /// How many of those that are there come first, at most.
        #[serde(default = "ten")]
        latest: u64,
    },
    /// Which managers have settings; `call` their `ReadSettings` and `ChangeSettings`.
    Settings {},
    /// To be told of what happens, until the connection ends.
    Watch {
        /// Only of these; of everything when not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        events: Option<Vec<EventKind>>,
    },
    /// A command whose reply is wanted.
    Call(Ordered),
    /// A command whose outcome does not matter.
    Send(Ordered),
    /// A command for all who serve it.
    Broadcast(Ordered),
    /// A call of this connection is taken back.
    Cancel {
        /// The id of its request.
        call: u64,
    },
    /// Everything to its safe state now.
    Stop {},
    /// An inactive manager may move again.
    Arm {
        /// Which manager.
        manager: String,
    },
    /// A manager is ended in good order and started again.
    Restart {
        /// Which manager.
        manager: String,
    },
    /// The rig is to quit.
    Quit {},
}

fn ten() -> u64 {
    10
}

/// A command as a client gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ordered {
    /// Its name.
    pub command: String,
    /// Its fields as a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Its fields as `key=value` words, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<String>>,
    /// Where relative paths in its fields start from; the coordinator's working folder when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Which manager is to take it, when several serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How long it may take, in ms; 0 for ever. The command's own limit, or the rig's, when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// What happens in a rig, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A manager's state has changed.
    State,
    /// A manager has died.
    Death,
    /// A manager is in its safe state.
    Safe,
    /// Something went wrong.
    Fault,
    /// Something is lost.
    Loss,
    /// A call has ended.
    Ending,
    /// A one-way command does not run.
    Undelivered,
    /// The rig quits, or has ended.
    Quit,
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem, for programs.
    pub kind: String,
    /// What is wrong, for people.
    pub text: String,
    /// What to do about it, when there is something.
    pub hint: Option<String>,
    /// What else is known: the command, the manager, its generation, the error's type …
    #[serde(flatten)]
    pub facts: Map<String, Value>,
}

impl Problem {
    /// A problem without more to it.
    pub fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind: kind.into(), text: text.into(), hint: None, facts: Map::new() }
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a fact.
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// Reads a message of a client: its id, and what it asks for.
///
/// # Errors
/// The id as far as there is one, and why the request cannot be read.
pub fn read_request(message: Value) -> Result<(u64, Request), (Option<u64>, Problem)> {
    let bad =
        |text: String| Problem::new("bad-request", text).hint("docs/PROTOCOL.md says what can be asked");
    let Value::Object(mut fields) = message else {
        return Err((None, bad("a request is a JSON object".to_owned())));
    };
    let Some(id) = fields.remove("id").and_then(|id| id.as_u64()) else {
        return Err((None, bad("a request has an `id`, a whole number from 0".to_owned())));
    };
    let request = serde_json::from_value(Value::Object(fields));
    request.map(|request| (id, request)).map_err(|error| (Some(id), bad(error.to_string())))
}

/// A request as a client sends it.
pub fn write_request(id: u64, request: &Request) -> Value {
    let mut message = serde_json::to_value(request).expect("a request holds only plain values");
    message["id"] = id.into();
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_bad(message: Value, id: Option<u64>, part: &str) {
        let (found, problem) = read_request(message).expect_err("it is no request");
        assert_eq!((found, problem.kind.as_str()), (id, "bad-request"));
        assert!(problem.text.contains(part), "{}", problem.text);
    }

    #[test]
    fn requests_are_read_as_they_are_written() {
        let order = Ordered { command: "MoveTo".into(), args: Some(json!({})), ..Ordered::default() };
        let watch = Request::Watch { events: Some(vec![EventKind::State, EventKind::Death]) };
        let arm = Request::Arm { manager: "motor".into() };
        let follow = Request::FollowRows { name: "tracker.tracks".into(), latest: 3 };
        for request in
            [Request::Status {}, Request::Call(order), watch, arm, follow, Request::Cancel { call: 3 }]
        {
            assert_eq!(read_request(write_request(7, &request)), Ok((7, request)));
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        check_bad(json!([]), None, "a JSON object");
        check_bad(json!({ "verb": "status" }), None, "an `id`");
        check_bad(json!({ "verb": "status", "id": -1 }), None, "an `id`");
        check_bad(json!({ "id": 1 }), Some(1), "missing field `verb`");
        check_bad(json!({ "id": 1, "verb": "explode" }), Some(1), "unknown variant `explode`");
        check_bad(json!({ "id": 1, "verb": "status", "fast": true }), Some(1), "unknown field `fast`");
        let call = json!({ "id": 2, "verb": "call", "command": "MoveTo", "arguments": {} });
        check_bad(call, Some(2), "unknown field `arguments`");
        check_bad(json!({ "id": 2, "verb": "watch", "events": ["weather"] }), Some(2), "`weather`");
    }
}
