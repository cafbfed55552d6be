//! Endings in the words of the protocol: replies as JSON, and why there is none.

use serde_json::{Map, Value, json};

use crate::remote::{Answer, Armed, CallError, CallFacts, Restarted, StopReport};
use crate::wire::{
    BroadcastOutcome, DecodeError, Ending, Failure, NotDone, Refusal, Schema, TypeSchema, codec,
};
use crate::wire::{Generation, Problem};

/// What a call is answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// The JSON of a handler.
    Json,
    /// Nothing that matters: that it came does.
    Pong,
    /// What became of a stop.
    Stop,
    /// That a manager is armed.
    Armed,
    /// That a manager was started again.
    Restarted,
}

/// What a client is told of the end of its call.
///
/// # Errors
/// [`Problem`], when the command was not done, or its answer cannot be read.
pub(super) fn tell(reply: Reply, command: &str, answer: &Answer) -> Result<Value, Problem> {
    match answer {
        Answer::Many(outcomes) => Ok(report(command, outcomes)),
        Answer::One { ending, by, generation, .. } => {
            let facts = || facts(command, by, *generation);
            match ending {
                Ending::NotDone(why) => Err(not_done(why.clone(), facts())),
                Ending::Done(bytes) => read(reply, bytes, facts()),
            }
        }
    }
}

fn facts(command: &str, manager: &str, generation: Generation) -> CallFacts {
    let (command, manager) = (command.to_owned(), manager.to_owned());
    CallFacts { command, manager, generation: generation.0, chain: Vec::new() }
}

fn read(reply: Reply, bytes: &[u8], facts: CallFacts) -> Result<Value, Problem> {
    let (manager, generation) = (facts.manager.clone(), facts.generation);
    let value = match reply {
        Reply::Json => json_of(bytes)
            .map(|reply| json!({ "reply": reply, "manager": manager, "generation": generation })),
        Reply::Pong => Ok(json!({})),
        Reply::Stop => order_of::<StopReport>(bytes).map(|report| {
            let is_safe = report.is_safe();
            with(&report, "is_safe", is_safe.into())
        }),
        Reply::Armed => order_of::<Armed>(bytes).map(|armed| plain(&armed)),
        Reply::Restarted => order_of::<Restarted>(bytes).map(|restarted| plain(&restarted)),
    };
    value.map_err(|source| {
        let error = CallError::UnreadableAnswer { facts, source: Box::new(source) };
        let text = error.to_string();
        about(Problem::new(error.kind().to_string(), text), &error)
    })
}

/// What a handler has written is not believed before it is read. A reply of nothing at all is `null`.
fn json_of(bytes: &[u8]) -> Result<Value, DecodeError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes)
        .map_err(|error| DecodeError::Malformed { expected: "JSON".to_owned(), reason: error.to_string() })
}

fn order_of<R: serde::de::DeserializeOwned + Schema + 'static>(bytes: &[u8]) -> Result<R, DecodeError> {
    codec::from_postcard(bytes, TypeSchema::known::<R>())
}

fn plain(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("an order's reply holds only plain values")
}

fn with(value: &impl serde::Serialize, name: &str, fact: Value) -> Value {
    let mut value = plain(value);
    value[name] = fact;
    value
}

fn report(command: &str, outcomes: &[BroadcastOutcome]) -> Value {
    let one = |one: &BroadcastOutcome| {
        let facts = facts(command, &one.manager, Generation(one.generation));
        let mut told = json!({ "manager": one.manager, "generation": one.generation });
        let outcome = match &one.outcome {
            Ok(bytes) => read(Reply::Json, bytes, facts).map(|mut it| it["reply"].take()),
            Err(why) => Err(not_done(why.clone(), facts)),
        };
        match outcome {
            Ok(reply) => told["reply"] = reply,
            Err(problem) => told["error"] = plain(&problem),
        }
        told
    };
    let outcomes: Vec<_> = outcomes.iter().map(one).collect();
    let is_all_done = outcomes.iter().all(|one| one.get("error").is_none());
    json!({ "outcomes": outcomes, "is_all_done": is_all_done })
}

/// Why a command was not done.
pub(super) fn not_done(why: NotDone, facts: CallFacts) -> Problem {
    if let NotDone::Refused(refusal) = why {
        return refused(&refusal);
    }
    let error = CallError::from_ending(why, facts);
    let mut problem = Problem::new(error.kind().to_string(), error.to_string());
    problem.hint = hint(&error).map(str::to_owned);
    about(problem, &error)
}

fn hint(error: &CallError) -> Option<&'static str> {
    match error {
        CallError::Expired(_) => Some("its handler may still be at it; give it more time with `deadline_ms`"),
        CallError::Lost(_) => Some("it did not run; it can be sent again"),
        CallError::Indeterminate(_) => Some("nobody knows whether it ran: ask the device"),
        _ => None,
    }
}

fn about(mut problem: Problem, error: &CallError) -> Problem {
    let facts = error.facts().cloned().unwrap_or_default();
    problem = problem.fact("command", facts.command);
    if !facts.manager.is_empty() {
        problem = problem.fact("manager", facts.manager).fact("generation", facts.generation);
    }
    match error {
        CallError::Failed(remote) => failure(problem, &remote.failure),
        CallError::Deadlock { cycle, .. } => problem.fact("cycle", cycle.clone()),
        _ => problem,
    }
}

fn failure(mut problem: Problem, failure: &Failure) -> Problem {
    problem = problem.fact("message", failure.text.as_str()).fact("causes", failure.causes.clone());
    if let Some(name) = failure.type_name() {
        problem = problem.fact("error_type", name);
    }
    match &failure.location {
        Some(site) => problem.fact("location", site.to_string()),
        None => problem,
    }
}

/// Why a command was not accepted.
pub(super) fn refused(refusal: &Refusal) -> Problem {
    let (reason, hint) = cure(refusal);
    let mut problem = Problem::new("refused", refusal.to_string()).fact("reason", reason);
    problem.hint = hint;
    if let Some(command) = refusal.command() {
        problem = problem.fact("command", command);
    }
    match refusal.manager() {
        Some(manager) => problem.fact("manager", manager),
        None => problem,
    }
}

/// Which refusal it is, for programs, and what to do about it.
fn cure(refusal: &Refusal) -> (&'static str, Option<String>) {
    let say = |text: &str| Some(text.to_owned());
    match refusal {
        Refusal::Busy { .. } => ("busy", say("try again when it has worked some of its queue off")),
        Refusal::Dead { manager, .. } => {
            ("dead", Some(format!("`labrig restart {manager}` starts it again")))
        }
        Refusal::NotReady { .. } => ("not-ready", say("wait until it is ready; `labrig status` shows it")),
        Refusal::Absent { manager: Some(_), .. } => ("absent", say("`labrig status` lists the managers")),
        Refusal::Absent { .. } => ("absent", say("`labrig commands` lists what this rig can be asked")),
        Refusal::AddressNeeded { candidates, .. } => {
            ("address-needed", candidates.first().map(|name| format!("name one of them: `--to {name}`")))
        }
        Refusal::NotServed { candidates, .. } => {
            ("not-served", candidates.first().map(|name| format!("name one that does: `--to {name}`")))
        }
        Refusal::Quitting { .. } => ("quitting", None),
        Refusal::Closed => ("closed", None),
        Refusal::TooLarge { .. } => ("too-large", None),
        Refusal::NotEncodable { .. } => ("not-encodable", None),
        Refusal::TooDeep { .. } => ("too-deep", None),
        Refusal::TooManyCalls { .. } => ("too-many-calls", say("wait until some have ended")),
        Refusal::UnknownCommand { .. } => ("unknown-command", say("build all programs from the same source")),
        Refusal::PipeFull { .. } => ("pipe-full", None),
        Refusal::WouldDeadlock { .. } => ("would-deadlock", None),
        Refusal::NotPresent { .. } => ("not-present", None),
        Refusal::Inactive { manager, .. } => {
            ("inactive", Some(format!("look at the hardware, then `labrig arm {manager}`")))
        }
    }
}

/// How far a call has come.
pub(super) fn progress(progress: &crate::wire::Progress) -> Value {
    let mut told = Map::new();
    told.insert("event".to_owned(), "progress".into());
    told.insert("done".to_owned(), progress.done.into());
    told.insert("total".to_owned(), progress.total.into());
    told.insert("note".to_owned(), progress.note.as_str().into());
    Value::Object(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ManagerName;

    fn check_told(reply: Reply, ending: Ending, expected: Result<Value, (&str, &str)>) {
        let answer = Answer::One {
            ending,
            by: "motor".into(),
            generation: Generation(2),
            chain: crate::wire::Hops::new(),
        };
        match (tell(reply, "MoveTo", &answer), expected) {
            (Ok(told), Ok(expected)) => assert_eq!(told, expected),
            (Err(problem), Err((kind, part))) => {
                assert_eq!(problem.kind, kind, "{problem:?}");
                assert!(plain(&problem).to_string().contains(part), "{problem:?}");
            }
            (told, expected) => panic!("{told:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_reply_is_told_with_who_gave_it() {
        let expected = json!({ "reply": { "height_um": 3.5 }, "manager": "motor", "generation": 2 });
        check_told(Reply::Json, Ending::Done(br#"{"height_um":3.5}"#.to_vec().into()), Ok(expected));
        let nothing = json!({ "reply": null, "manager": "motor", "generation": 2 });
        check_told(Reply::Json, Ending::Done(Vec::new().into()), Ok(nothing));
    }

    #[test]
    fn a_reply_that_is_no_json_is_not_handed_on() {
        check_told(Reply::Json, Ending::Done(b"{".to_vec().into()), Err(("unreadable-answer", "EOF")));
        let deep = "[".repeat(5_000).into_bytes();
        check_told(Reply::Json, Ending::Done(deep.into()), Err(("unreadable-answer", "recursion limit")));
        check_told(Reply::Stop, Ending::Done(vec![0xff].into()), Err(("unreadable-answer", "StopReport")));
    }

    #[test]
    fn what_is_not_done_is_told_with_its_kind_and_its_facts() {
        let failure = Failure { causes: vec!["no power".into()], ..Failure::text("jammed") };
        check_told(Reply::Json, Ending::NotDone(NotDone::Failed(failure)), Err(("failed", "no power")));
        check_told(
            Reply::Json,
            Ending::NotDone(NotDone::Indeterminate),
            Err(("indeterminate", "ask the device")),
        );
        let manager = ManagerName::new("motor").expect("a valid name");
        let refusal = Refusal::Inactive { manager, command: "MoveTo".into() };
        check_told(
            Reply::Json,
            Ending::NotDone(NotDone::Refused(refusal)),
            Err(("refused", "labrig arm motor")),
        );
    }

    #[test]
    fn a_broadcast_is_told_manager_by_manager() {
        let outcome =
            |manager: &str, outcome| BroadcastOutcome { manager: manager.into(), generation: 1, outcome };
        let all = vec![outcome("a", Ok(b"1".to_vec().into())), outcome("b", Err(NotDone::Lost))];
        let told = tell(Reply::Json, "Acquire", &Answer::Many(all)).expect("a report");
        assert_eq!(told["is_all_done"], false);
        assert_eq!(told["outcomes"][0], json!({ "manager": "a", "generation": 1, "reply": 1 }));
        assert_eq!(told["outcomes"][1]["error"]["kind"], "lost");
    }
}
