//! `trace.csv`: one line for every call that has ended, when the rig asks for it.

use std::fs;
use std::time::Duration;

use crate::support::{PATIENCE, end_cleanly, topology, until_busy};
use labrig::Rig;
use labrig_testbed::commands::*;
use labrig_testbed::patient::{Mark, Relay, Toil, ToilTogether, Way};

const MANAGERS: &str = "default_deadline_ms = 600000\n[managers.left]\nkind = \"patient\"\n\
                        [managers.right]\nkind = \"patient\"\n[managers.worker]\nkind = \"worker\"";

/// One line of the trace.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    time_s: f64,
    who: [String; 3],
    generation: u32,
    call: u64,
    queue_us: u64,
    handler_us: Option<u64>,
    ending: String,
}

impl Line {
    fn read(text: &str) -> Self {
        let cells: Vec<_> = text.split(',').collect();
        let [time_s, sender, target, generation, command, call, queue_us, handler_us, ending] = cells[..]
        else {
            panic!("{text}");
        };
        let number = |cell: &str| cell.parse().unwrap_or_else(|_| panic!("{text}"));
        Self {
            time_s: time_s.parse().unwrap_or_else(|_| panic!("{text}")),
            who: [sender, target, command].map(str::to_owned),
            generation: u32::try_from(number(generation)).expect("a small number"),
            call: number(call),
            queue_us: number(queue_us),
            handler_us: Some(handler_us).filter(|cell| !cell.is_empty()).map(number),
            ending: ending.to_owned(),
        }
    }
}

/// What is traced of a run; nothing when there is no trace.
fn trace_of(is_traced: bool, act: impl FnOnce(&Rig)) -> Option<Vec<Line>> {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = if is_traced { "trace = true\n" } else { "" };
    let topology = topology(&format!("{trace}{MANAGERS}")).run_dir(folder.path());
    let rig = Rig::launch(topology).expect("it starts");
    act(&rig);
    end_cleanly(rig);
    let text = fs::read_to_string(folder.path().join("trace.csv")).ok()?;
    let mut lines = text.lines();
    let header = "time_s,sender,target,generation,command,call,queue_us,handler_us,ending";
    assert_eq!(lines.next(), Some(header));
    Some(lines.map(Line::read).collect())
}

fn line<'a>(lines: &'a [Line], who: [&str; 3]) -> &'a Line {
    let found: Vec<_> = lines.iter().filter(|line| line.who == who).collect();
    match found[..] {
        [one] => one,
        _ => panic!("not one line for {who:?}: {lines:#?}"),
    }
}

fn check_line(lines: &[Line], who: [&str; 3], ending: &str) {
    assert_eq!(line(lines, who).ending, ending);
}

#[test]
fn without_being_asked_for_nothing_is_traced() {
    assert_eq!(trace_of(false, |rig| assert_eq!(rig.scope().call(Add { a: 1, b: 2 }), Ok(3))), None);
}

#[test]
fn every_call_has_a_line_with_who_asked_whom_and_how_it_ended() {
    let lines = trace_of(true, |rig| {
        let scope = rig.scope();
        let row = vec!["right".to_owned()];
        scope.to("left").call(Relay { row, duration_ms: 1, way: Way::Call }).expect("done");
        scope.call(Fail { code: 1 }).expect_err("it fails");
        let brief = scope.with_deadline(Duration::from_millis(20));
        brief.to("left").call(Toil { duration_ms: 60_000, nap_ms: 60_000 }).expect_err("it expires");
        let running =
            scope.to("right").request(Toil { duration_ms: 60_000, nap_ms: 60_000 }).expect("accepted");
        until_busy(rig, &["right"]);
        running.cancel();
        running.wait(PATIENCE).expect_err("it is cancelled");
        scope.send(Note { number: 1 }).expect("accepted");
        scope.call(KeepNote { text: String::new() }).expect("done");
    });
    let lines = lines.expect("it is traced");
    check_line(&lines, ["scope", "left", "Relay"], "done");
    check_line(&lines, ["left", "right", "Relay"], "done");
    check_line(&lines, ["scope", "worker", "Fail"], "failed");
    check_line(&lines, ["scope", "left", "Toil"], "expired");
    check_line(&lines, ["scope", "right", "Toil"], "cancelled");
    check_line(&lines, ["scope", "scope", "KeepNote"], "done");
    assert_eq!(lines.len(), 6, "one-way commands have no end: {lines:#?}");
    assert!(lines.iter().all(|line| line.generation == 1));
    assert!(lines.is_sorted_by(|one, next| one.time_s <= next.time_s), "{lines:#?}");
    let mut calls: Vec<_> = lines.iter().map(|line| line.call).collect();
    calls.sort_unstable();
    calls.dedup();
    assert_eq!(calls.len(), 6, "each has a number of its own");
}

#[test]
fn a_broadcast_has_a_line_for_each_manager() {
    let lines = trace_of(true, |rig| {
        let all = rig.scope().broadcast(ToilTogether { duration_ms: 1 }).expect("accepted");
        assert!(all.wait(PATIENCE).expect("a report").is_all_done());
    });
    let lines = lines.expect("it is traced");
    check_line(&lines, ["scope", "left", "ToilTogether"], "done");
    check_line(&lines, ["scope", "right", "ToilTogether"], "done");
}

#[test]
fn a_call_that_nobody_waits_for_any_longer_has_a_line_too() {
    let lines = trace_of(true, |rig| {
        let slow = rig.scope().to("left").request(Toil { duration_ms: 50, nap_ms: 50 }).expect("accepted");
        slow.wait(Duration::ZERO).expect_err("it is not done yet");
        rig.scope().to("left").call(Mark { number: 1 }).expect("done");
    });
    let lines = lines.expect("it is traced");
    check_line(&lines, ["scope", "left", "Toil"], "abandoned");
}

#[test]
fn the_times_are_those_of_the_queue_and_of_the_handler() {
    let lines = trace_of(true, |rig| {
        let sleep = rig.scope().request(Sleep { duration_ms: 50 }).expect("accepted");
        let behind = rig.scope().request(Add { a: 1, b: 2 }).expect("accepted");
        assert_eq!((sleep.wait(PATIENCE), behind.wait(PATIENCE)), (Ok(()), Ok(3)));
        rig.scope().to("left").call(Mark { number: 1 }).expect("done");
    });
    let lines = lines.expect("it is traced");
    let [sleep, behind] = ["Sleep", "Add"].map(|command| line(&lines, ["scope", "worker", command]));
    let slept_us = sleep.handler_us.expect("the worker says it");
    assert!(slept_us >= 50_000, "{sleep:?}");
    let added_us = behind.handler_us.expect("the worker says it");
    // The one that came behind waited as long as the other slept, but for the moment until it was asked.
    assert!(behind.queue_us + 40_000 >= slept_us && behind.queue_us > 5_000, "{behind:?} behind {sleep:?}");
    assert!(added_us < slept_us, "{behind:?}");
    let whole_us = (behind.time_s * 1e6) as u64;
    assert!(behind.queue_us + added_us <= whole_us, "it ended {whole_us} us after the rig had begun");
    assert!(sleep.time_s <= behind.time_s && behind.time_s - sleep.time_s < 60.0);
}

#[test]
fn a_thousand_calls_have_a_thousand_lines() {
    let lines = trace_of(true, |rig| {
        let calls: Vec<_> =
            (0..1_000).map(|a| rig.scope().request(Add { a, b: 0 }).expect("accepted")).collect();
        calls.into_iter().for_each(|call| assert!(call.wait(PATIENCE).is_ok()));
    });
    let lines = lines.expect("it is traced");
    assert_eq!(lines.len(), 1_000);
    assert!(lines.iter().all(|line| line.ending == "done" && line.handler_us.is_some()), "{lines:?}");
}
