//! Stored environments: put under what a manager's own table says, and changed by one session at a time.

use std::path::Path;
use std::thread;

use labrig::config::{EnvironmentError, EnvironmentStore, ManagerPlan, Topology};

const ABOUT: &str = "schema = 1\nsaved = \"2026-01-01T00:00:00Z\"\nrelative_to = \"/opt/rig\"\n";

/// Stores an environment that has worked with the camera.
fn store(state: &Path, name: &str, keys: &str) {
    let text = format!("{ABOUT}managers = [\"camera\"]\n[environment]\n{keys}");
    let session = EnvironmentStore::of(state).session().expect("nobody else has one");
    session.save(name, &text, true).expect("it can be saved");
}

fn topology(state: &Path, camera: &str) -> Topology {
    let managers = "[managers.stage]\nkind = \"motor.sim\"\n[managers.camera]\nkind = \"camera.sim\"\n";
    Topology::from_toml(format!("schema = 1\n{managers}{camera}")).state_dir(state)
}

/// The camera as the config and the stored environments describe it.
fn camera(state: &Path, own: &str) -> ManagerPlan {
    let resolution = topology(state, own).resolve();
    assert!(resolution.faults.is_empty(), "{:?}", resolution.faults);
    resolution.plan.managers.into_iter().find(|it| it.name.as_str() == "camera").expect("it is there")
}

/// Every fault of the config as text.
fn faults(state: &Path, own: &str) -> String {
    let faults = topology(state, own).resolve().faults;
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

const WHOLE: &str = "program = \"bin/cameras\"\nargs = [\"--fast\"]\nenv = { A = \"stored\", B = \"stored\" }\n\
                     env_remove = [\"C\", \"D\"]\nlibrary_path = [\"lib\"]\nworking_dir = \"work\"\nnice = 5\ncpus = [0]\n\
                     startup = [{ command = \"SetExposure\", args = { exposure_ms = 2.0 } }]\n";

#[test]
fn an_environment_says_what_the_manager_s_table_leaves_out() {
    let state = folder();
    store(state.path(), "vendor", WHOLE);
    let camera = camera(state.path(), "environment = \"vendor\"");
    assert_eq!(camera.program.as_deref(), Some(Path::new("/opt/rig/bin/cameras")));
    assert_eq!(camera.args, ["--fast"]);
    assert_eq!(camera.startup[0].command, "SetExposure");
    let environment = camera.environment;
    assert_eq!(environment.stored.as_deref(), Some("vendor"));
    assert_eq!(environment.set["A"], "stored");
    assert_eq!(environment.remove, ["C", "D"]);
    assert_eq!(environment.library_path, [Path::new("/opt/rig/lib")]);
    assert_eq!(environment.working_dir.as_deref(), Some(Path::new("/opt/rig/work")));
    assert_eq!((environment.nice, environment.cpus), (Some(5), vec![0]));
}

#[test]
fn the_manager_s_own_keys_win() {
    let state = folder();
    store(state.path(), "vendor", WHOLE);
    let own =
        "environment = \"vendor\"\nargs = []\nenv = { A = \"own\", C = \"own\" }\nnice = 1\nstartup = []\n";
    let camera = camera(state.path(), own);
    assert!(camera.args.is_empty() && camera.startup.is_empty());
    let environment = camera.environment;
    let set: Vec<_> = environment.set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(set, [("A", "own"), ("B", "stored"), ("C", "own")]);
    assert_eq!(environment.remove, ["D"], "what the table sets is not taken away");
    assert_eq!(environment.nice, Some(1));
}

#[test]
fn the_active_environment_is_that_of_the_managers_it_was_tried_with() {
    let state = folder();
    store(state.path(), "vendor", "nice = 5\n");
    store(state.path(), "other", "nice = 7\n");
    assert_eq!(camera(state.path(), "").environment.nice, None, "nothing is active yet");
    EnvironmentStore::of(state.path())
        .session()
        .expect("free")
        .activate(Some("vendor"))
        .expect("it is there");
    let plan = topology(state.path(), "").resolve().plan;
    let nice: Vec<_> = plan.managers.iter().map(|it| (it.name.as_str(), it.environment.nice)).collect();
    assert_eq!(nice, [("camera", Some(5)), ("stage", None)]);
    assert_eq!(camera(state.path(), "").environment.stored.as_deref(), Some("vendor"));
    assert_eq!(camera(state.path(), "environment = \"other\"").environment.nice, Some(7));
    let none = camera(state.path(), "environment = \"\"").environment;
    assert_eq!((none.nice, none.stored), (None, None));
    EnvironmentStore::of(state.path()).session().expect("free").activate(None).expect("it can be so");
    assert_eq!(camera(state.path(), "").environment.nice, None);
}

#[test]
fn an_unknown_environment_is_a_fault_that_lists_the_known_ones() {
    let state = folder();
    let text = faults(state.path(), "environment = \"vendor\"");
    assert!(text.contains("error[L030]: there is no stored environment `vendor`"), "{text}");
    assert!(text.contains("(config text):6") && text.contains("none is stored"), "{text}");
    store(state.path(), "vendor_2", "nice = 5\n");
    store(state.path(), "lamp", "nice = 5\n");
    let text = faults(state.path(), "environment = \"vendor2\"");
    assert!(text.contains("vendor_2") && text.contains("`lamp` and `vendor_2`"), "{text}");
    for outside in ["../vendor", "a/b", "Vendor", ".active"] {
        let text = faults(state.path(), &format!("environment = {outside:?}"));
        assert!(text.contains("error[L030]"), "{text}");
    }
    let without =
        Topology::from_toml("schema = 1\n[managers.camera]\nkind = \"camera.sim\"\nenvironment = \"a\"");
    let text = without.resolve().faults[0].to_string();
    assert!(text.contains("this rig has no state folder") && text.contains("Topology::state_dir"), "{text}");
}

#[test]
fn a_damaged_environment_is_refused_with_its_file_and_line_and_all_of_its_faults() {
    let state = folder();
    store(state.path(), "vendor", "nice = 5\n");
    let file = state.path().join("environments/vendor.toml");
    let text = "nice = 99\nfriendly = true\nenv = { \"A=B\" = \"x\" }\n";
    std::fs::write(&file, format!("{ABOUT}managers = []\n[environment]\n{text}")).expect("a file");
    let text = faults(state.path(), "environment = \"vendor\"");
    for part in ["L006", "L003", "L029", "environments/vendor.toml:6", "environments/vendor.toml:7"] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    std::fs::write(&file, "schema = ").expect("a file");
    assert!(faults(state.path(), "environment = \"vendor\"").contains("L001"));
    std::fs::remove_file(&file).expect("a file");
    std::fs::create_dir(&file).expect("a folder");
    let text = faults(state.path(), "environment = \"vendor\"");
    assert!(text.contains("L031") && text.contains("vendor.toml"), "{text}");
}

#[test]
fn an_active_environment_that_is_gone_is_a_fault() {
    let state = folder();
    store(state.path(), "vendor", "nice = 5\n");
    EnvironmentStore::of(state.path())
        .session()
        .expect("free")
        .activate(Some("vendor"))
        .expect("it is there");
    std::fs::remove_file(state.path().join("environments/vendor.toml")).expect("a file");
    let text = faults(state.path(), "");
    assert!(text.contains("L030") && text.contains("`vendor`"), "{text}");
}

#[test]
fn names_that_could_lead_elsewhere_are_refused() {
    let state = folder();
    let session = EnvironmentStore::of(state.path()).session().expect("free");
    for name in ["", "../vendor", "a/b", ".active", "Vendor", "1st", "a b", &"a".repeat(41)] {
        let text = format!("{ABOUT}managers = []\n[environment]\n");
        let refused = session.save(name, &text, true).expect_err("it is no name");
        assert!(matches!(refused, EnvironmentError::BadName { .. }), "{name}: {refused}");
        assert!(matches!(session.remove(name, true), Err(EnvironmentError::BadName { .. })), "{name}");
        assert!(matches!(session.activate(Some(name)), Err(EnvironmentError::BadName { .. })), "{name}");
    }
    assert!(EnvironmentStore::of(state.path()).names().expect("a list").is_empty());
}

#[test]
fn what_could_not_be_read_again_is_not_saved() {
    let state = folder();
    store(state.path(), "vendor", "nice = 5\n");
    let session = EnvironmentStore::of(state.path()).session().expect("free");
    for text in ["nonsense", "schema = 1\n", &format!("{ABOUT}managers = []\n[environment]\nnice = 99\n")] {
        let refused = session.save("vendor", text, true).expect_err("it is damaged");
        assert!(matches!(refused, EnvironmentError::Damaged { .. }), "{refused}");
    }
    let text = format!("{ABOUT}managers = []\n[environment]\n");
    assert!(matches!(session.save("vendor", &text, false), Err(EnvironmentError::Exists { .. })));
    assert_eq!(camera(state.path(), "environment = \"vendor\"").environment.nice, Some(5));
}

#[test]
fn a_reader_never_finds_half_an_environment() {
    let state = folder();
    let long = |value: usize| format!("env = {{ A = \"{}\" }}\n", value.to_string().repeat(20_000));
    store(state.path(), "vendor", &long(1));
    thread::scope(|threads| {
        let path = state.path();
        threads.spawn(move || (0..200).for_each(|round| store(path, "vendor", &long(round % 2 + 1))));
        for _ in 0..200 {
            let value = camera(path, "environment = \"vendor\"").environment.set["A"].clone();
            assert!(value.len() == 20_000 && (!value.contains('1') || !value.contains('2')));
        }
    });
    let files: Vec<_> = std::fs::read_dir(state.path().join("environments"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(files.len(), 2, "the environment and the lock: {files:?}");
}

#[test]
fn sessions_exclude_each_other_and_do_not_nest() {
    let state = folder();
    let store = EnvironmentStore::of(state.path());
    let session = store.session().expect("nobody else has one");
    assert!(matches!(store.session(), Err(EnvironmentError::Nested)));
    drop(session);
    drop(store.session().expect("it is free again"));
}

#[test]
fn the_active_environment_is_removed_only_by_force() {
    let state = folder();
    store(state.path(), "vendor", "nice = 5\n");
    store(state.path(), "lamp", "nice = 5\n");
    let store = EnvironmentStore::of(state.path());
    let session = store.session().expect("free");
    session.activate(Some("vendor")).expect("it is there");
    assert!(matches!(session.activate(Some("nobody")), Err(EnvironmentError::Unknown { .. })));
    assert_eq!(store.active().expect("readable").as_deref(), Some("vendor"));
    assert!(matches!(session.remove("vendor", false), Err(EnvironmentError::Active { .. })));
    session.remove("lamp", false).expect("it is not active");
    match session.remove("lamp", false) {
        Err(EnvironmentError::Unknown { known, .. }) => assert_eq!(known, ["vendor"]),
        other => panic!("{other:?}"),
    }
    session.remove("vendor", true).expect("by force");
    assert_eq!(store.active().expect("readable"), None);
    assert!(store.names().expect("a list").is_empty());
}
