//! The command line: verbs, machines' output, exit codes.

use std::fs;

use serde_json::Value;

use crate::support::{LONG_LEASE, labrig, project, stderr, stdout};

#[test]
fn the_demo_runs_from_any_folder_and_says_where_it_wrote() {
    let work = tempfile::tempdir().expect("a folder");
    let output = labrig(work.path(), &["--duration", "700ms", "--set", LONG_LEASE]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for part in ["microscope ran", "camera.sim", "motor.sim", "tracker", "dropped 0", "run folder: "] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let run = fs::read_dir(work.path().join("runs/microscope")).expect("a folder").flatten().next();
    let run = run.expect("a run").path();
    for file in ["run.log", "summary.json", "tracks.csv"] {
        assert!(run.join(file).exists(), "{file}");
    }
    let log = stderr(&output);
    assert!(log.contains("camera ready"), "{log}");
    assert!(!log.contains(" ERROR "), "an ordinary run has nothing to complain of: {log}");
}

#[test]
fn machines_get_json_lines_and_nothing_else() {
    let work = tempfile::tempdir().expect("a folder");
    let output = labrig(work.path(), &["run", "--duration", "300ms", "--json", "--set", LONG_LEASE]);
    assert_eq!(output.status.code(), Some(0));
    let events: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("started", "summary"));
    assert_eq!(events[events.len() - 1]["summary"]["is_clean"], true);
}

#[test]
fn check_reports_every_fault_with_its_line_and_starts_nothing() {
    let work = tempfile::tempdir().expect("a folder");
    let faulty = project("config/faulty.toml");
    let output = labrig(work.path(), &["check", faulty.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(2));
    let text = stdout(&output);
    assert!(text.matches("error[L").count() > 20, "{text}");
    assert!(text.contains("faulty.toml:") && text.trim_end().ends_with("nothing was started"), "{text}");
    assert!(!work.path().join("runs").exists() && !work.path().join("state").exists());
    let json = labrig(work.path(), &["check", faulty.to_str().expect("a path"), "--json"]);
    let report: Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    assert_eq!(report["count"].as_u64(), Some(text.matches("error[L").count() as u64));
    let run = labrig(work.path(), &["run", faulty.to_str().expect("a path")]);
    assert_eq!(run.status.code(), Some(2));
    assert_eq!(stdout(&run), text);
}

#[test]
fn every_config_of_the_project_but_the_faulty_one_is_without_fault() {
    let work = tempfile::tempdir().expect("a folder");
    let configs = fs::read_dir(project("config")).expect("a folder").flatten().map(|entry| entry.path());
    for config in configs.filter(|path| path.extension().is_some_and(|it| it == "toml")) {
        let output = labrig(work.path(), &["check", config.to_str().expect("a path")]);
        let expected = if config.ends_with("faulty.toml") { 2 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{}: {}", config.display(), stdout(&output));
    }
}

#[test]
fn commands_prints_who_handles_what() {
    let work = tempfile::tempdir().expect("a folder");
    let output = labrig(work.path(), &["commands"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    let row = text.lines().find(|line| line.starts_with("MoveTo")).expect("a row for MoveTo");
    for part in ["direct", "motor", "motor.sim: move_to", "src/managers/motor/moves.rs:"] {
        assert!(row.contains(part), "{row}");
    }
    let json = labrig(work.path(), &["commands", "--json"]);
    let table: Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    assert!(table.to_string().contains("SetAcquisition"), "{table}");
}

#[test]
fn mistakes_on_the_command_line_have_their_own_exit_code() {
    let work = tempfile::tempdir().expect("a folder");
    for (arguments, code, says) in [
        (&["run", "--duration", "soon"][..], 64, "--duration"),
        (&["run", "--set", "a.b"], 64, "KEY=VALUE"),
        (&["fly"], 1, "cannot read the config `fly`"),
        (&["check", "nowhere.toml"], 1, "nowhere.toml"),
        (&["run", "--set", "managers.camera.config.rate=5"], 2, ""),
        (&["--help"], 0, ""),
        (&["--version"], 0, ""),
    ] {
        let output = labrig(work.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
}
