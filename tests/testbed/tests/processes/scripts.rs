//! Scripts: checked as a whole, played step by step, and continued after the process that played them has died.

use labrig::procedure::*;
use labrig::remote::CheckScript;
use labrig::{PendingReply, Rig, Scope};
use labrig_testbed::commands::Notes;

use crate::restarts::kill;
use crate::support::{PATIENCE, end_cleanly, eventually, launch};

const RIG: &str = "[managers.runner]\nkind = \"labrig.procedures\"\nrestart_policy = \"on-failure\"\n\
                   max_restarts = 1000\nwatchdog_ms = 0\n[managers.left]\nkind = \"worker\"\n\
                   [managers.right]\nkind = \"worker\"\n[managers.gauge]\nkind = \"gauge\"\n";

fn done<R, E: std::fmt::Debug>(asked: Result<PendingReply<R>, E>) -> R {
    asked.expect("accepted").wait(PATIENCE).expect("done")
}

fn inputs(text: &str) -> ScriptInputs {
    ScriptInputs { name: "night.toml".to_owned(), text: text.to_owned(), folder: String::new() }
}

fn notes(scope: &Scope, manager: &str) -> Vec<u64> {
    done(scope.to(manager).request(Notes {}))
}

fn play(rig: &Rig, text: &str) -> ProcedureRecord {
    let id = done(rig.scope().procedures().launch("script", &inputs(text)));
    done(rig.scope().procedures().end(&id))
}

#[test]
fn a_script_does_its_steps_in_order() {
    let rig = launch(RIG);
    let text = r#"
        name = "night"
        [[step]]
        for_each = "n"
        in = [3, 5]
        steps = [
            { command = "Note", args = { number = "$n" }, to = "left" },
            { repeat = 2, steps = [ { command = "Note", args = { number = 9 }, to = "left" } ] },
        ]
        [[step]]
        for_each = "level"
        range = { from = 0, to = 1, by = 0.5 }
        steps = [ { command = "SetLevel", args = { level_mm = "$level" } } ]
        [[step]]
        wait_until = "gauge.level_mm"
        at_least = 1
        within_s = 30
        [[step]]
        wait = "left"
        [[step]]
        command = "SetMode"
        args = { mode = 4 }
        [[step]]
        sleep_s = 0.01
        [[step]]
        procedure = "tally"
        inputs = { steps = 2 }
    "#;
    let record = play(&rig, text);
    assert_eq!(record.state, ProcedureState::Finished, "{record:?}");
    let report: ScriptReport = record.output().expect("it has one").expect("it can be read");
    assert_eq!(report.steps, 6 + 3 + 5);
    assert_eq!(notes(&rig.scope(), "left"), [3, 9, 9, 5, 9, 9]);
    end_cleanly(rig);
}

#[test]
fn every_fault_of_a_script_is_told_with_its_line_before_its_first_step() {
    let rig = launch(RIG);
    let text = r#"[[step]]
command = "Note"
args = { number = 1 }
[[step]]
command = "Nota"
[[step]]
command = "Fail"
args = { code = 1 }
to = "left"
[[step]]
comand = "Note"
[[step]]
wait_until = "gauge.levle_mm"
at_least = 1
[[step]]
for_each = "level"
range = { from = 50, to = 150, by = 10 }
steps = [
    { command = "SetLevel", args = { level_mm = "$level" } },
    { command = "SetLevel", args = { level_mm = "$hight" } },
    { command = "SetLevel", args = { level = 3 } },
]
[[step]]
repeat = 3
[[step]]
procedure = "tallly"
[[step]]
sleep_s = 1
wait = "left"
[[step]]
command = "Note"
args = { number = "x" }
to = "lefd"
"#;
    let (name, text) = ("night.toml".to_owned(), text.to_owned());
    let asked = CheckScript { name, text: text.clone(), folder: String::new() };
    let checked = rig.scope().call(asked).expect("checked");
    assert_eq!(checked.score, "");
    let told = checked.faults.join("\n");
    for part in [
        "error[L304]: several managers serve `Note`, and none is named\n  --> night.toml:1",
        "error[L302]: no manager of this rig serves a command `Nota`\n  --> night.toml:5",
        "did you mean `Note`?",
        "error[L303]: scripts may not use `Fail`\n",
        "error[L003]: unknown key `comand` in `step 4`\n",
        "did you mean `command`?",
        "error[L301]: step 4 says nothing",
        "error[L305]: no signal is called `gauge.levle_mm`\n  --> night.toml:13",
        "did you mean `gauge.level_mm`?",
        "error[L006]: `SetLevel.level_mm` is 150 mm, above its maximum of 100 mm, when `level` is 150\n  --> night.toml:19",
        "error[L307]: there is no variable `hight` here\n  --> night.toml:20",
        "unknown key `level` in `SetLevel`\n  --> night.toml:21",
        "error[L308]: step 7 has no steps of its own\n  --> night.toml:23",
        "error[L306]: no procedure is called `tallly`\n  --> night.toml:26",
        "did you mean `tally`?",
        "error[L301]: step 9 says `sleep_s` and `wait`",
        "error[L304]: `Note` is for `lefd`, which does not serve it\n",
        "did you mean `left`?",
        "error[L005]: `Note.number` must be",
    ] {
        assert!(told.contains(part), "`{part}` is not told:\n{told}");
    }
    let record = play(&rig, &text);
    assert_eq!(record.state, ProcedureState::Excepted);
    assert!(record.text.contains("L304") && record.text.contains("L308"), "{record:?}");
    assert!(notes(&rig.scope(), "left").is_empty());
    end_cleanly(rig);
}

#[test]
fn a_script_of_json_is_read_too() {
    let rig = launch(RIG);
    let record =
        play(&rig, r#"{ "step": [ { "command": "Note", "args": { "number": 7 }, "to": "right" } ] }"#);
    assert_eq!(record.state, ProcedureState::Finished, "{record:?}");
    assert_eq!(notes(&rig.scope(), "right"), [7]);
    let record = play(&rig, "{ \"step\":\n [ { \"command\": } ] }");
    assert!(record.text.contains("L001") && record.text.contains("night.toml:2"), "{record:?}");
    end_cleanly(rig);
}

/// The numbers that a script was to note, each at least once and in order.
fn check_notes(noted: &[u64], count: u64) {
    let mut next = 0;
    for number in noted {
        assert!(*number == next || *number + 1 == next, "{number} came when {next} was next: {noted:?}");
        next = next.max(number + 1);
    }
    assert_eq!(next, count);
}

const COUNTING: &str = r#"
    [[step]]
    for_each = "n"
    range = { from = 0, to = 59, by = 1 }
    steps = [ { command = "Note", args = { number = "$n" }, to = "left" } ]
"#;

#[test]
fn a_script_goes_on_with_the_step_that_a_crash_has_interrupted() {
    let rig = launch(&format!("{RIG}[managers.runner.config]\nresume = \"auto\"\n"));
    let procedures = rig.scope().procedures();
    let id = done(procedures.launch("script", &inputs(COUNTING)));
    let at = |step: u64| {
        eventually("progress", || {
            let status = procedures.status(&id).ok().and_then(|pending| pending.wait(PATIENCE).ok());
            status.is_some_and(|record| record.step >= Some(step) || record.state.is_final())
        });
    };
    at(5);
    kill(&rig, "runner");
    at(20);
    done(procedures.pause(&id, "for a look"));
    let paused = done(procedures.status(&id));
    assert!(paused.state == ProcedureState::Paused || paused.state.is_final(), "{paused:?}");
    done(procedures.play(&id, ""));
    at(30);
    kill(&rig, "runner");
    // Between two lives nobody takes the question.
    let mut asked = None;
    eventually("a next life", || {
        asked = procedures.end(&id).ok();
        asked.is_some()
    });
    let record = asked.expect("it was accepted").wait(PATIENCE).expect("done");
    assert_eq!(record.state, ProcedureState::Finished, "{record:?}");
    check_notes(&notes(&rig.scope(), "left"), 60);
    rig.shutdown();
}
