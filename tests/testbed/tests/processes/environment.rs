//! What a manager's process really finds around it: every key of its environment, from its table or a stored one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{PATIENCE, end_cleanly, launch, pid_of, testbed, topology};
use labrig::Rig;
use labrig::config::EnvironmentStore;
use labrig_testbed::commands::*;

/// What the system says of a manager's process.
fn proc_file(rig: &Rig, manager: &str, file: &str) -> PathBuf {
    Path::new("/proc").join(pid_of(rig, manager).as_raw_nonzero().to_string()).join(file)
}

fn texts(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).expect("the process runs");
    let texts = bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn variables(rig: &Rig, manager: &str) -> BTreeMap<String, String> {
    let texts = texts(&proc_file(rig, manager, "environ"));
    let pair = |text: String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    texts.into_iter().filter_map(pair).collect()
}

/// A rig of two workers, the left one with these keys in its table.
fn rig_with(keys: &str) -> Rig {
    launch(&format!("[managers.left]\nkind = \"worker\"\n{keys}\n[managers.right]\nkind = \"worker\"\n"))
}

#[test]
fn variables_are_set_and_removed_for_that_process_alone() {
    let rig = rig_with("env = { TESTBED_A = \"a b=c\", TESTBED_B = \"\" }\nenv_remove = [\"PATH\"]");
    let (left, right) = (variables(&rig, "left"), variables(&rig, "right"));
    assert_eq!(left.get("TESTBED_A").map(String::as_str), Some("a b=c"));
    assert_eq!(left.get("TESTBED_B").map(String::as_str), Some(""));
    assert!(!left.contains_key("PATH") && right.contains_key("PATH"));
    assert!(!right.contains_key("TESTBED_A") && !right.contains_key("TESTBED_B"));
    end_cleanly(rig);
}

#[test]
fn libraries_are_searched_first_where_the_table_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = rig_with(&format!("library_path = [{:?}, \"/opt/second\"]", folder.path()));
    let path = variables(&rig, "left").remove("LD_LIBRARY_PATH").unwrap_or_default();
    let expected = format!("{}:/opt/second", folder.path().display());
    assert!(path == expected || path.starts_with(&format!("{expected}:")), "{path}");
    assert_eq!(
        variables(&rig, "right").get("LD_LIBRARY_PATH"),
        std::env::var("LD_LIBRARY_PATH").ok().as_ref()
    );
    end_cleanly(rig);
}

#[test]
fn a_process_runs_in_its_folder_from_its_program_with_its_arguments() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("another-testbed");
    fs::copy(testbed(), &copy).expect("a program");
    let keys =
        format!("program = {copy:?}\nargs = [\"--one\", \"two words\"]\nworking_dir = {:?}", folder.path());
    let rig = rig_with(&keys);
    let real = |path: &Path| fs::canonicalize(path).expect("it is there");
    assert_eq!(real(&proc_file(&rig, "left", "exe")), real(&copy));
    assert_eq!(real(&proc_file(&rig, "left", "cwd")), real(folder.path()));
    assert_eq!(texts(&proc_file(&rig, "left", "cmdline")), ["labrig:left", "--one", "two words"]);
    assert_eq!(real(&proc_file(&rig, "right", "exe")), real(&testbed()));
    assert_eq!(texts(&proc_file(&rig, "right", "cmdline")), ["labrig:right"]);
    end_cleanly(rig);
}

#[test]
fn start_up_commands_come_before_what_any_manager_or_thread_sends() {
    // The right one is ready first and sends all the time; the left one hears of nothing before its own commands.
    let startup = "startup = [{ command = \"Note\", args = { number = 1 } }, { command = \"Note\", args = { number = 2 } }]";
    let rig = rig_with(startup);
    let scope = rig.scope();
    let flood = Flood { whom: "left".to_owned(), count: 50 };
    let flooding = scope.to("right").request(flood).expect("accepted");
    let _ = scope.to("left").send(Note { number: 999 });
    flooding.wait(PATIENCE).expect("done");
    let notes = scope.to("left").request(Notes {}).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(notes[..2], [1, 2], "{notes:?}");
    assert!(notes.len() > 2, "{notes:?}");
    end_cleanly(rig);
}

#[test]
fn a_stored_environment_reaches_the_process_under_its_own_keys() {
    let state = tempfile::tempdir().expect("a folder");
    let text = "schema = 1\nsaved = \"now\"\nrelative_to = \"/\"\nmanagers = [\"left\"]\n[environment]\n\
                env = { TESTBED_A = \"stored\", TESTBED_B = \"stored\" }\nargs = [\"--stored\"]\n\
                startup = [{ command = \"Note\", args = { number = 7 } }]\n";
    let session = EnvironmentStore::of(state.path()).session().expect("free");
    session.save("vendor", text, false).expect("it can be saved");
    let config =
        "[managers.left]\nkind = \"worker\"\nenvironment = \"vendor\"\nenv = { TESTBED_B = \"own\" }\n";
    let rig = Rig::launch(topology(config).state_dir(state.path())).expect("it starts");
    let left = variables(&rig, "left");
    assert_eq!((left["TESTBED_A"].as_str(), left["TESTBED_B"].as_str()), ("stored", "own"));
    assert_eq!(texts(&proc_file(&rig, "left", "cmdline")), ["labrig:left", "--stored"]);
    let notes = rig.scope().request(Notes {}).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(notes, [7]);
    end_cleanly(rig);
}
