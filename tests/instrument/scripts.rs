//! A script on the instrument: checked against a config, played, paused, and continued after its whole rig was killed.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{program, project, stderr, stdout};
use crate::verbs::Running;

const RIG: &str = "[managers.motor]\nkind = \"motor.sim\"\n[managers.camera]\nkind = \"camera.sim\"\n\
                   [managers.procedures]\nkind = \"labrig.procedures\"\nconfig = { resume = \"auto\" }\n\
                   [streams.video]\nproducer = \"camera\"\n";

fn time_lapse() -> String {
    project("examples/time_lapse.toml").to_str().expect("text").to_owned()
}

fn record(rig: &Running) -> Value {
    rig.check_json(&["call", "ProcedureStatus", "id=script-1"], 0)["reply"].take()
}

fn until(rig: &Running, is_so: impl Fn(&Value) -> bool) {
    while !is_so(&record(rig)) {
        assert_ne!(record(rig)["state"], "excepted", "{}", record(rig));
        std::thread::yield_now();
    }
}

#[test]
fn a_time_lapse_is_checked_played_paused_and_continued_after_a_crash_of_the_whole_rig() {
    let work = tempfile::tempdir().expect("a folder");
    let rig = Running::start(work.path(), "lab", RIG);
    let check = Command::new(program())
        .args(["script", "check", &time_lapse(), "lab.toml"])
        .current_dir(work.path())
        .output()
        .expect("it runs");
    assert_eq!(stdout(&check).trim(), "time lapse: no faults; 27 steps", "{}", stderr(&check));
    let launched = rig.check_json(&["script", "run", &time_lapse(), "--no-wait"], 0);
    assert_eq!(launched["id"], "script-1");
    until(&rig, |record| record["step"].as_u64() >= Some(7));
    rig.signal(Signal::KILL);
    drop(rig);
    let rig = Running::start(work.path(), "lab", RIG);
    rig.check_json(&["call", "PauseProcedure", r#"{"id": "script-1", "text": "a look", "by": "me"}"#], 0);
    until(&rig, |record| record["state"] == "paused" || record["state"] == "finished");
    rig.check_json(&["call", "PlayProcedure", r#"{"id": "script-1", "text": "", "by": "me"}"#], 0);
    let ended = rig.check_json(&["call", "AwaitProcedure", "id=script-1", "--deadline", "0"], 0);
    assert_eq!(ended["reply"]["state"], "finished", "{ended}");
    assert!(ended["reply"]["lives"].as_u64() >= Some(2), "{ended}");
    assert_eq!(ended["reply"]["output"], "{\"steps\":27}");
    rig.quit();
}

#[test]
fn a_script_that_does_not_fit_is_refused_by_the_running_rig_too() {
    let work = tempfile::tempdir().expect("a folder");
    let rig = Running::start(work.path(), "lab", RIG);
    let script = work.path().join("wrong.script");
    std::fs::write(&script, "[[step]]\ncommand = \"MoveTo\"\nargs = { height_um = \"high\" }\n")
        .expect("written");
    let told = rig.check_json(&["script", "run", script.to_str().expect("text")], 2);
    let text = told["error"]["text"].as_str().expect("a text");
    assert!(text.contains("error[L005]") && text.contains("wrong.script:3"), "{told}");
    rig.quit();
}
