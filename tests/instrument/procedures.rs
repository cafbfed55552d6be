//! The procedures that labrig brings, launched and steered from the command line.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::verbs::Running;

/// At this height the simulated beads are sharp.
const TRUTH_UM: f64 = 17.3;

fn microscope(resume: &str) -> String {
    format!(
        "[managers.camera]\nkind = \"camera.sim\"\n[managers.camera.config]\nobjective = \"motor.height_um\"\n\
         focus_height_um = {TRUTH_UM}\nseed = 3\nrate_hz = 200.0\n[managers.motor]\nkind = \"motor.sim\"\n\
         [managers.motor.config]\nspeed_um_per_s = 10000.0\n\
         [managers.tracker]\nkind = \"tracker\"\ninputs = {{ video = \"video\" }}\n[managers.tracker.config]\n\
         min_mass = 20.0\noutput = \"\"\n[managers.procedures]\nkind = \"labrig.procedures\"\n\
         [managers.procedures.config]\nresume = \"{resume}\"\n[streams.video]\nproducer = \"camera\"\nslots = 16\n\
         max_frame_bytes = 4194304\nreaders = {{ tracker = \"lossless\" }}\n"
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_focus_sweep_finds_the_focus_within_its_own_uncertainty() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Running::start(folder.path(), "sweep", &microscope("auto"));
    let launch = ["procedure", "launch", "focus_sweep", "from_um=12", "to_um=22", "frames=4", "--wait"];
    let told = rig.check_json(&launch, 0);
    let output: Value = serde_json::from_str(text(&told["reply"]["output"])).expect("an output");
    let (best_um, uncertainty_um) = (output["best_um"].as_f64(), output["uncertainty_um"].as_f64());
    let (best_um, uncertainty_um) = best_um.zip(uncertainty_um).expect("numbers");
    println!("figure: focus at {best_um:.4} ± {uncertainty_um:.4} µm, truth {TRUTH_UM} µm");
    assert!(uncertainty_um > 0.0 && uncertainty_um < 0.2, "{output}");
    assert!((best_um - TRUTH_UM).abs() < 4.0 * uncertainty_um, "{output}");
    assert_eq!(output["points"].as_array().map(Vec::len), Some(21));
    let record = rig.check_json(&["procedure", "status", text(&told["reply"]["id"])], 0);
    assert_eq!(record["reply"]["state"], "finished");
    assert_eq!(record["reply"]["progress"], Value::Null);
    let words =
        rig.check_verb(&["procedure", "launch", "focus_sweep", "from_um=30", "to_um=20", "--wait"], 1);
    assert!(words.contains("the range is empty"), "{words}");
    let refused = rig.check_json(&["procedure", "launch", "focus_sweep", "steps=1"], 1);
    assert!(text(&refused["error"]["text"]).contains("steps"), "{refused}");
    rig.quit();
}

/// Each image is there, whole, and none besides.
fn check_images(folder: &Path, count: usize) {
    let mut names: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().map(|it| it.path()).collect();
    names.sort();
    let expected: Vec<_> = (0..count).map(|number| folder.join(format!("{number:05}.png"))).collect();
    assert_eq!(names, expected);
    for path in expected {
        let bytes = fs::read(path).expect("a file");
        assert!(bytes.ends_with(b"IEND\xaeB`\x82"), "it is whole");
    }
}

#[test]
fn a_time_lapse_is_paused_and_played_and_goes_on_after_the_rig_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let launch =
        ["procedure", "launch", "time_lapse", "images=12", "interval_ms=20", "folder=images", "--held"];
    let rig = Running::start(folder.path(), "lapse", &microscope("manual"));
    let id = text(&rig.check_json(&launch, 0)["id"]).to_owned();
    rig.check_verb(&["procedure", "play", &id], 0);
    let paused = rig.check_json(&["procedure", "pause", &id, "--text", "the lamp is replaced"], 0);
    assert_eq!(paused["reply"]["outcome"], "done");
    let listed = rig.check_verb(&["procedure", "list", "--active"], 0);
    assert!(listed.contains(&id) && listed.contains("the lamp is replaced"), "{listed}");
    rig.check_verb(&["procedure", "play", "--all"], 0);
    rig.signal(Signal::KILL);
    drop(rig);
    let rig = Running::start(folder.path(), "lapse", &microscope("manual"));
    let told = rig.check_json(&["procedure", "continue", &id], 0);
    assert_eq!(told["id"], id.as_str());
    let ended = rig.check_json(&["procedure", "wait", &id], 0);
    let output: Value = serde_json::from_str(text(&ended["reply"]["output"])).expect("an output");
    assert_eq!(output["images"], 12);
    check_images(&folder.path().join("images"), 12);
    let changes = rig.check_verb(&["procedure", "watch", &id], 0);
    assert!(changes.lines().last().is_some_and(|last| last.ends_with("→ finished")), "{changes}");
    let checkpoints = rig.check_verb(&["procedure", "checkpoints", &id], 0);
    assert_eq!(checkpoints.lines().count(), 1 + 4, "{checkpoints}");
    let late = rig.check_verb(&["procedure", "kill", &id, "--level", "force"], 1);
    assert_eq!(late.trim(), format!("{id}: too late, it is finished"));
    rig.check_verb(&["procedure", "status", "time_lapse-99"], 1);
    rig.quit();
}

/// Two runners, each with what its config says.
fn two_runners(terms: &str) -> String {
    let one =
        |name| format!("[managers.{name}]\nkind = \"labrig.procedures\"\n[managers.{name}.config]\n{terms}");
    one("left") + &one("right")
}

#[test]
fn tasks_are_offered_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Running::start(folder.path(), "shifts", &two_runners(""));
    // It ends at its first step, which is enough here: there is nothing to be moved.
    let launch = ["procedure", "launch", "focus_sweep", "from_um=30", "to_um=20"];
    let offer = |words: &[&str]| rig.check_json(&[&launch, words].concat(), 0);
    let runners = |told: &Value| {
        let taken = told["taken"].as_array().expect("a list").iter();
        taken.map(|taken| text(&taken["runner"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(runners(&offer(&["--any"])), ["left"]);
    assert_eq!(runners(&offer(&["--any"])), ["right"], "each time it begins with another");
    assert_eq!(runners(&offer(&["--all"])), ["left", "right"]);
    let first = offer(&["--task", "tonight", "--to", "right"]);
    assert_eq!(runners(&first), ["right"]);
    assert_eq!(offer(&["--task", "tonight"])["taken"], first["taken"]);
    let words = rig.check_verb(&[&launch[..], &["--any", "--wait"]].concat(), 1);
    assert!(words.contains("the range is empty"), "{words}");
    let words = rig.check_verb(&[&launch[..], &["--all"]].concat(), 0);
    assert_eq!(
        words.lines().map(|line| line.split(" at ").nth(1)).collect::<Vec<_>>(),
        [Some("left"), Some("right")]
    );
    let wrong = rig.check_json(&["procedure", "launch", "focus_sweep", "steps=1", "--any"], 1);
    assert!(text(&wrong["error"]["text"]).contains("do not fit"), "{wrong}");
    let unknown = rig.check_json(&["procedure", "launch", "nap", "--any"], 1);
    let said = text(&unknown["error"]["text"]);
    assert!(said.contains("nobody takes") && said.contains("`left`: its program knows only"), "{said}");
    let addressed = rig.check_json(&launch, 2);
    assert!(text(&addressed["error"]["text"]).contains("needs an address"), "{addressed}");
    rig.quit();
    let rig = Running::start(folder.path(), "shifts", &two_runners("kinds = [\"time_lapse\"]\n"));
    let nobody = rig.check_json(&[&launch[..], &["--any"]].concat(), 1);
    assert!(text(&nobody["error"]["text"]).contains("`right`: it takes only [\"time_lapse\"]"), "{nobody}");
    rig.quit();
}
