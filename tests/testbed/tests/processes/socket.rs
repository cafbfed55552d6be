//! The rig's socket: each verb, and clients that are slow, malicious or killed.

use std::fs::DirBuilder;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;

use labrig::wire::MAX_MESSAGE_BYTES;
use labrig::{LaunchError, Rig};
use labrig_testbed::commands::{Add, Note, Notes};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::speaking::Client;
use crate::support::{
    PATIENCE, check_gave_up, end_cleanly, eventually, launch, pid_of, topology, until_busy,
};

const CONFIG: &str = "[managers.left]\nkind = \"worker\"\n[managers.right]\nkind = \"worker\"\n\
                      [managers.sitter]\nkind = \"patient\"";
const LISTENERS: &str = "[managers.a]\nkind = \"listener\"\n[managers.b]\nkind = \"listener\"";

fn toil(duration_ms: u64, nap_ms: u64) -> Value {
    json!({ "verb": "call", "command": "Toil", "args": { "duration_ms": duration_ms, "nap_ms": nap_ms } })
}

/// Every thread of the rig goes on as if nothing had happened.
fn check_unharmed(rig: &Rig) {
    let sum = rig.scope().to("left").request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE);
    assert_eq!(sum.expect("done"), 3);
    assert_eq!(Client::of(rig.socket()).done(json!({ "verb": "ping" })), json!({}));
}

fn check_problem(problem: &Value, kind: &str, part: &str) {
    assert_eq!(problem["kind"], kind, "{problem}");
    assert!(problem.to_string().contains(part), "{problem} does not say {part}");
}

#[test]
fn a_socket_is_for_its_user_alone_and_goes_with_its_rig() {
    let rig = launch(CONFIG);
    let socket = rig.socket().to_owned();
    let (file, folder) = (socket.metadata().expect("it exists"), socket.parent().expect("a folder"));
    assert_eq!(file.mode() & 0o777, 0o600);
    assert_eq!(folder.metadata().expect("it exists").mode() & 0o777, 0o700);
    let mut client = Client::of(&socket);
    end_cleanly(rig);
    assert!(!folder.exists());
    assert_eq!(client.try_hear(), None);
}

#[test]
fn a_call_is_accepted_and_answered_with_who_did_it() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let id = client
        .ask(json!({ "verb": "call", "command": "Add", "args": { "a": 1, "b": 41 }, "to": "left", "deadline_ms": 9000 }));
    let accepted = client.hear_of(id);
    assert_eq!(accepted["event"], json!({ "event": "accepted", "deadline_ms": 9000 }));
    let expected = json!({ "id": id, "ok": { "reply": 42, "manager": "left", "generation": 1 } });
    assert_eq!(client.answer(id), expected);
    end_cleanly(rig);
}

#[test]
fn fields_are_checked_as_those_of_start_up_commands_are() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let mut ask = |command: &str, args: Value| {
        client.problem(json!({ "verb": "call", "command": command, "args": args, "to": "left" }))
    };
    check_problem(&ask("Add", json!({ "a": 1, "c": 2 })), "bad-arguments", "unknown key `c` in `Add`");
    check_problem(&ask("Add", json!({ "a": 1 })), "bad-arguments", "`Add` lacks the key `b`");
    check_problem(&ask("Add", json!({ "a": 1.5, "b": 2 })), "bad-arguments", "must be a whole number");
    check_problem(&ask("Ad", json!({})), "unknown-command", "did you mean `Add`?");
    let words = ["a=1", "b=2"];
    let sum = json!({ "verb": "call", "command": "Add", "words": words, "to": "left" });
    assert_eq!(client.done(sum)["reply"], 3);
    let nobody = client.problem(json!({ "verb": "call", "command": "Add", "words": words }));
    check_problem(&nobody, "refused", "address-needed");
    let twice = json!({ "verb": "call", "command": "Add", "words": words, "args": {} });
    check_problem(&client.problem(twice), "bad-arguments", "given twice");
    end_cleanly(rig);
}

#[test]
fn what_a_handler_says_of_its_failure_reaches_the_client() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let fail = json!({ "verb": "call", "command": "Fail", "args": { "code": 7 }, "to": "left" });
    let problem = client.problem(fail);
    check_problem(&problem, "failed", "told to fail with code 7");
    assert_eq!((&problem["error_type"], &problem["manager"]), (&json!("TestError"), &json!("left")));
    let panic = json!({ "verb": "call", "command": "Panic", "args": { "words": "no!" }, "to": "left" });
    check_problem(&client.problem(panic), "failed", "worker.rs:");
    let slow = json!({ "verb": "call", "command": "Sleep", "args": { "duration_ms": 500 }, "to": "right", "deadline_ms": 20 });
    check_problem(&client.problem(slow), "expired", "deadline");
    end_cleanly(rig);
}

#[test]
fn a_send_is_delivered_and_a_broadcast_tells_the_outcome_of_each() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    for number in [3, 4] {
        let args = json!({ "number": number });
        let send = json!({ "verb": "send", "command": "Note", "args": args, "to": "left" });
        assert_eq!(client.done(send), json!({}));
    }
    let notes = client.done(json!({ "verb": "call", "command": "Notes", "to": "left" }));
    assert_eq!(notes["reply"], json!([3, 4]));
    end_cleanly(rig);
    let rig = launch(LISTENERS);
    let mut client = Client::of(rig.socket());
    let report = client.done(json!({ "verb": "broadcast", "command": "SetMode", "args": { "mode": 4 } }));
    assert_eq!(report["is_all_done"], true);
    assert_eq!(
        report["outcomes"][1],
        json!({ "manager": "b", "generation": 1, "reply": report["outcomes"][1]["reply"] })
    );
    let report = client.done(json!({ "verb": "broadcast", "command": "SetMode", "args": { "mode": 13 } }));
    assert_eq!(report["is_all_done"], false);
    check_problem(&report["outcomes"][0]["error"], "failed", "mode 13 is not known");
    let call = client.problem(json!({ "verb": "call", "command": "SetMode", "args": { "mode": 4 } }));
    check_problem(&call, "wrong-delivery", "use `broadcast`");
    end_cleanly(rig);
}

#[test]
fn progress_is_told_while_a_call_is_under_way_and_it_can_be_taken_back() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let id = client.ask(toil(60_000, 10));
    let progress = client.event(id, "progress");
    assert_eq!((&progress["note"], &progress["total"]), (&json!("toiling"), &json!(6000.0)));
    assert_eq!(client.done(json!({ "verb": "cancel", "call": id + 7 }))["was_under_way"], false);
    let mut other = Client::of(rig.socket());
    assert_eq!(other.done(json!({ "verb": "cancel", "call": id }))["was_under_way"], false);
    client.ask(json!({ "verb": "cancel", "call": id }));
    check_problem(&client.answer(id)["error"], "cancelled", "Toil");
    end_cleanly(rig);
}

#[test]
fn a_client_that_is_killed_takes_its_calls_back() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let id = client.ask(toil(60_000, 60_000));
    client.event(id, "progress");
    until_busy(&rig, &["sitter"]);
    drop(client);
    check_gave_up(&rig, "sitter");
    check_unharmed(&rig);
    end_cleanly(rig);
}

#[test]
fn status_ping_and_commands_say_what_the_rig_is() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let status = client.done(json!({ "verb": "status" }));
    let names: Vec<_> = status["managers"].as_array().expect("a list").iter().map(|it| &it["name"]).collect();
    assert_eq!((&status["rig"], json!(names)), (&json!("test"), json!(["left", "right", "sitter"])));
    assert_eq!(status["managers"][0]["pid"], pid_of(&rig, "left").as_raw_nonzero().get());
    assert!(client.done(json!({ "verb": "ping", "manager": "left" }))["round_trip_us"].is_u64());
    check_problem(&client.problem(json!({ "verb": "ping", "manager": "lift" })), "refused", "absent");
    let commands = client.done(json!({ "verb": "commands" }));
    let commands = commands["commands"].as_array().expect("a list");
    let add = commands.iter().find(|it| it["command"] == "Add").expect("it is served");
    assert_eq!((&add["managers"], &add["fields"][0]["name"]), (&json!(["left", "right"]), &json!("a")));
    // Many at once are answered in order, each once.
    let ids: Vec<_> = (0..100).map(|_| client.ask(json!({ "verb": "status" }))).collect();
    assert!(ids.iter().all(|id| client.hear()["id"] == *id));
    end_cleanly(rig);
}

#[test]
fn whoever_watches_is_told_of_endings_deaths_and_states_in_order() {
    let rig = launch(CONFIG);
    let (mut client, mut other) = (Client::of(rig.socket()), Client::of(rig.socket()));
    let watch = client.ask(json!({ "verb": "watch" }));
    assert_eq!(client.answer(watch)["ok"], json!({ "next_seq": 0 }));
    let deaths = other.ask(json!({ "verb": "watch", "events": ["death", "quit"] }));
    other.answer(deaths);
    let sum = json!({ "verb": "call", "command": "Add", "args": { "a": 1, "b": 2 }, "to": "left" });
    client.ask(sum);
    let ending = client.event(watch, "ending");
    let expected = ["Add", "scope", "left", "done"];
    assert_eq!(["command", "from", "manager", "ending"].map(|name| &ending[name]), expected);
    let pid = pid_of(&rig, "right");
    kill_process(pid, Signal::KILL).expect("it lives");
    let death = client.event(watch, "death");
    assert_eq!((&death["manager"], &death["pid"]), (&json!("right"), &json!(pid.as_raw_nonzero().get())));
    assert!(death["how"].to_string().contains("SIGKILL"), "{death}");
    let state = client.event(watch, "state");
    assert_eq!((&state["manager"], &state["from"]), (&json!("right"), &json!("ready")));
    for (before, after) in [(&ending, &death), (&death, &state)] {
        assert!(before["seq"].as_u64() < after["seq"].as_u64(), "{before} {after}");
        assert!(before["at_ns"].as_u64() <= after["at_ns"].as_u64(), "{before} {after}");
    }
    rig.shutdown();
    assert_eq!(other.event(deaths, "death")["manager"], "right");
    let quit = other.event(deaths, "quit");
    assert_eq!(quit["has_ended"], false);
    let ended = other.event(deaths, "quit");
    assert_eq!((&ended["has_ended"], &ended["is_clean"]), (&json!(true), &json!(false)));
    assert_eq!(other.try_hear(), None);
}

#[test]
fn a_rig_that_nobody_watches_any_longer_tells_nothing() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let watch = client.ask(json!({ "verb": "watch" }));
    client.answer(watch);
    drop(client);
    let mut client = Client::of(rig.socket());
    // Once the one who watched is gone, numbers stand still.
    let next = || {
        rig.scope().to("left").request(Notes {}).expect("accepted").wait(PATIENCE).expect("done");
        let mut watcher = Client::of(rig.socket());
        let watch = watcher.ask(json!({ "verb": "watch", "events": ["loss"] }));
        watcher.answer(watch)["ok"]["next_seq"].as_u64()
    };
    eventually("the end of the telling", || next() == next());
    client.done(json!({ "verb": "ping" }));
    end_cleanly(rig);
}

#[test]
fn a_watcher_that_does_not_read_misses_events_and_is_told_how_many() {
    let rig = launch(CONFIG);
    let mut watcher = Client::of(rig.socket());
    let watch = watcher.ask(json!({ "verb": "watch", "events": ["ending"] }));
    watcher.answer(watch);
    let scope = rig.scope();
    let calls = 20_000;
    for _ in 0..calls / 100 {
        let pending: Vec<_> =
            (0..100).map(|_| scope.to("left").request(Add { a: 1, b: 2 }).expect("room")).collect();
        pending.into_iter().for_each(|call| drop(call.wait(PATIENCE).expect("done")));
    }
    let (mut told, mut missed) = (0, 0);
    while told + missed < calls {
        let message = watcher.hear_of(watch);
        match message["event"]["event"].as_str() {
            Some("ending") => told += 1,
            Some("missed") => missed += message["event"]["count"].as_u64().expect("a count"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told + missed, calls);
    assert!(told > 0 && missed > 0, "{told} told, {missed} missed");
    end_cleanly(rig);
}

#[test]
fn a_client_that_reads_no_answers_loses_its_connection_alone() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    let request = labrig::wire::message::seal(&json!({ "id": 1, "verb": "commands" })).expect("short");
    client.stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
    // Sooner or later nothing is taken any more, or the connection has ended.
    let refused = (0..1_000_000).find_map(|_| client.stream.write_all(&request).err());
    let refused = refused.expect("the rig does not keep what nobody reads").kind();
    assert!(matches!(refused, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{refused}");
    check_unharmed(&rig);
    end_cleanly(rig);
}

#[test]
fn garbage_ends_its_own_connection_with_a_reason() {
    let rig = launch(CONFIG);
    let deep = format!("{{\"id\":1,\"verb\":\"call\",\"command\":\"Add\",\"args\":{}", "[".repeat(100_000));
    let deep = [&(deep.len() as u32).to_le_bytes(), deep.as_bytes()].concat();
    let (long, above) = (u32::MAX.to_le_bytes(), (MAX_MESSAGE_BYTES as u32 + 1).to_le_bytes());
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "announced"),
        (&long, "4294967295 bytes was announced"),
        (&above, "1048576 is the limit"),
        (&[3, 0, 0, 0, b'{', b'}', b'}'], "not JSON"),
        (&deep, "recursion limit"),
    ] {
        let mut client = Client::of(rig.socket());
        client.stream.write_all(bytes).expect("the rig listens");
        let message = client.hear();
        assert_eq!(message["id"], Value::Null);
        check_problem(&message["error"], "bad-message", reason);
        assert_eq!(client.try_hear(), None);
    }
    // What is JSON but no request is answered, and the connection goes on.
    let mut client = Client::of(rig.socket());
    check_problem(&client.problem(json!({ "verb": "explode" })), "bad-request", "explode");
    assert_eq!(client.done(json!({ "verb": "ping" })), json!({}));
    // Values may nest as deep as the reader follows; no command's fields do.
    let mut args = json!(1);
    (0..100).for_each(|_| args = json!([args]));
    let nested = json!({ "verb": "call", "command": "Add", "args": { "a": args, "b": 1 }, "to": "left" });
    assert_eq!(client.problem(nested)["kind"], "bad-arguments");
    check_unharmed(&rig);
    end_cleanly(rig);
}

#[test]
fn two_hundred_clients_are_served_and_too_many_are_told() {
    let rig = launch(CONFIG);
    let mut clients: Vec<_> = (0..200).map(|_| Client::of(rig.socket())).collect();
    let asked: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            client.ask(json!({ "verb": "call", "command": "Add", "args": { "a": 2, "b": 2 }, "to": "left" }))
        })
        .collect();
    for (client, id) in clients.iter_mut().zip(asked) {
        assert_eq!(client.answer(id)["ok"]["reply"], 4);
    }
    let refused = (0..100).find_map(|_| {
        let mut client = Client::silent(rig.socket());
        let message = client.hear();
        let problem = message.get("error").cloned();
        clients.push(client);
        problem
    });
    check_problem(&refused.expect("there is a limit"), "too-many-clients", "256");
    drop(clients);
    eventually("room for a client", || Client::silent(rig.socket()).hear().get("greeting").is_some());
    check_unharmed(&rig);
    end_cleanly(rig);
}

#[test]
fn calls_of_one_client_are_bounded() {
    let rig = launch(&format!("{CONFIG}\nqueue = {{ depth = 2000 }}"));
    let mut client = Client::of(rig.socket());
    let linger = json!({ "verb": "call", "command": "Linger", "args": { "number": 1, "then": "Reply" } });
    let ids: Vec<_> = (0..300).map(|_| client.ask(linger.clone())).collect();
    let bounded = client.answer(ids[256]);
    check_problem(&bounded["error"], "too-many-calls", "256");
    rig.scope().to("left").send(Note { number: 1 }).expect("room");
    drop(client);
    check_unharmed(&rig);
    rig.shutdown();
}

#[test]
fn a_client_can_have_the_rig_quit() {
    let rig = launch(CONFIG);
    let mut client = Client::of(rig.socket());
    assert_eq!(client.done(json!({ "verb": "quit" })), json!({}));
    assert!(rig.wait(Some(PATIENCE)));
    let summary = end_cleanly(rig);
    assert_eq!(summary.reason, "asked by a client of its socket");
}

#[test]
fn a_socket_that_a_crash_left_is_taken_over_and_one_that_answers_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, runtime) = (folder.path().join("state"), folder.path().join("run time"));
    let topology = || topology(CONFIG).state_dir(&state).runtime_dir(&runtime);
    let rig = Rig::launch(topology()).expect("it starts");
    let socket = rig.socket().to_owned();
    assert!(socket.starts_with(&runtime), "{}", socket.display());
    end_cleanly(rig);
    DirBuilder::new().mode(0o700).create(socket.parent().expect("a folder")).expect("it is gone");
    let other = UnixListener::bind(&socket).expect("nobody has it");
    let expected = format!("another rig answers at the socket `{}`", socket.display());
    match Rig::launch(topology()) {
        Err(LaunchError::Socket(error)) => assert!(error.to_string().contains(&expected), "{error}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it has taken another rig's socket"),
    }
    // The file stays when nobody listens any more: as after a crash.
    drop(other);
    let rig = Rig::launch(topology()).expect("a stale socket is taken over");
    check_unharmed(&rig);
    end_cleanly(rig);
}
