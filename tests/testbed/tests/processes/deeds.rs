//! Deeds of steps: whoever dies, a manager knows afterwards what it had begun and done of what it was asked for.

use std::fs;
use std::path::{Path, PathBuf};

use labrig::prelude::ProcedureState;
use labrig::procedure::{KillLevel, ProcedureId, ProcedureRecord, ScriptInputs};
use labrig::registry::DeedError;
use labrig::{PendingReply, Rig};
use labrig_testbed::careful::*;

use crate::restarts::{kill, until_in_life};
use crate::support::{PATIENCE, end_cleanly, eventually, topology};

/// A rig that keeps its state in a folder of the test's.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// What is said about keys reaches a manager that is to hear next to nothing, too.
    fn launch(&self) -> Rig {
        let file = self.folder.path().join("deeds.txt");
        let lives =
            "restart_policy = \"on-failure\"\nrestart_delay_ms = 1\nmax_restarts = 1000\nwatchdog_ms = 0\n";
        let config = format!(
            "[managers.runner]\nkind = \"labrig.procedures\"\n{lives}[managers.hand]\nkind = \"careful\"\n\
             {lives}config = {{ file = {file:?} }}\nhears = [{{ subject = \"AllDo*\" }}]\n"
        );
        Rig::launch(topology(&config).state_dir(self.state())).expect("it starts")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn journal(&self) -> PathBuf {
        self.state().join("deeds/hand.journal")
    }

    /// What the hand's journal says.
    fn journal_text(&self) -> String {
        fs::read_to_string(self.journal()).unwrap_or_default()
    }

    /// What the hand has done, a line each.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("deeds.txt")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn until_forgotten(&self) {
        eventually("a journal without keys", || self.journal_text().is_empty());
    }
}

fn done<R, E: std::fmt::Debug>(asked: Result<PendingReply<R>, E>) -> R {
    asked.expect("accepted").wait(PATIENCE).expect("done")
}

fn launched(rig: &Rig, inputs: &ErrandInputs) -> ProcedureId {
    done(rig.scope().procedures().launch("errands", inputs))
}

/// Asks again when the runner dies meanwhile.
fn end_of(rig: &Rig, id: &ProcedureId) -> ProcedureRecord {
    let mut ended = None;
    eventually("its end", || {
        let asked = rig.scope().procedures().end(id);
        ended = asked.ok().and_then(|asked| asked.wait(PATIENCE).ok());
        ended.is_some()
    });
    ended.expect("it has come")
}

fn one(mishap: Mishap) -> ErrandInputs {
    ErrandInputs { steps: 1, mishap, ..ErrandInputs::default() }
}

/// A step whose deed has a mishap is run until it has none; the hand knows that much of it each time.
fn check_known(mishap: Mishap, expected: &[&str]) {
    let scene = Scene::new();
    let rig = scene.launch();
    let record = end_of(&rig, &launched(&rig, &one(mishap)));
    assert_eq!(record.state, ProcedureState::Finished, "{mishap:?}: {record:?}");
    let expected: Vec<_> = expected.iter().map(|seen| format!("1 {seen} errands-1/1/0")).collect();
    assert_eq!(scene.lines(), expected, "{mishap:?}");
    scene.until_forgotten();
    rig.shutdown();
}

#[test]
fn whoever_dies_the_manager_knows_afterwards_what_was_begun_and_what_was_done() {
    check_known(Mishap::None, &["New"]);
    check_known(Mishap::DeathBefore, &["Started"]);
    check_known(Mishap::DeathAfter, &["New", "Started"]);
    check_known(Mishap::DeathOfAsker, &["New", "Done"]);
    check_known(Mishap::DeathOfBoth, &["New", "Done"]);
}

#[test]
fn an_error_and_a_panic_leave_a_deed_as_started() {
    check_known(Mishap::Failure, &["New", "Started"]);
    check_known(Mishap::Panic, &["New", "Started"]);
}

#[test]
fn a_deed_whose_answer_is_put_off_is_done_when_it_is_given() {
    check_known(Mishap::PutOff, &["New"]);
    check_known(Mishap::DeathWhilePutOff, &["New", "Started"]);
}

#[test]
fn keys_are_counted_in_order_for_journaled_commands_alone_whoever_they_are_for() {
    let scene = Scene::new();
    let rig = scene.launch();
    let inputs = ErrandInputs { steps: 2, asks_for_all: true, ..one(Mishap::DeathOfAsker) };
    assert_eq!(end_of(&rig, &launched(&rig, &inputs)).state, ProcedureState::Finished);
    let step = |step: u32, seen: &str| {
        [
            format!("{step} New -"),
            format!("{step} {seen} errands-1/{step}/0"),
            format!("scope-{seen} New -"),
            format!("{step} {seen} errands-1/{step}/2"),
        ]
    };
    let expected = [step(1, "New"), step(1, "Done"), step(2, "New"), step(2, "Done")].concat();
    assert_eq!(scene.lines(), expected);
    scene.until_forgotten();
    let of_scope = scene.state().join("deeds/scope.journal");
    eventually("a scope that has forgotten", || fs::metadata(&of_scope).is_ok_and(|file| file.len() == 0));
    rig.shutdown();
}

#[test]
fn a_command_that_no_step_has_issued_has_no_key_and_is_always_new() {
    let scene = Scene::new();
    let rig = scene.launch();
    for _ in 0..2 {
        let asked = DoOnce { name: "1".to_owned(), mishap: Mishap::None };
        assert_eq!(done(rig.scope().request(asked)), "New");
    }
    assert_eq!(scene.lines(), ["1 New -", "1 New -"]);
    assert!(!scene.journal().exists(), "a journal that says nothing is not made");
    end_cleanly(rig);
}

#[test]
fn a_command_of_a_script_has_its_step_s_key() {
    let scene = Scene::new();
    let rig = scene.launch();
    let text = "[[step]]\ncommand = \"DoOnce\"\nargs = { name = \"1\" }\n[[step]]\nrepeat = 2\n\
                steps = [ { command = \"DoOnce\", args = { name = \"2\" }, deadline_ms = 20000 } ]\n";
    let inputs = ScriptInputs { name: "s".to_owned(), text: text.to_owned(), folder: String::new() };
    let id = done(rig.scope().procedures().launch("script", &inputs));
    assert_eq!(end_of(&rig, &id).state, ProcedureState::Finished);
    assert_eq!(scene.lines(), ["1 New script-1/1/0", "2 New script-1/2/0", "2 New script-1/3/0"]);
    end_cleanly(rig);
}

#[test]
fn procedures_of_another_store_with_the_same_ids_are_not_known() {
    let scene = Scene::new();
    let rig = scene.launch();
    let id = launched(&rig, &ErrandInputs { dawdles: true, ..one(Mishap::None) });
    eventually("a deed that is done", || scene.journal_text().contains(" done "));
    end_cleanly(rig);
    fs::remove_dir_all(scene.state().join("procedures")).expect("the store is there");
    let rig = scene.launch();
    assert_eq!(launched(&rig, &one(Mishap::None)), id, "another of the same name");
    end_of(&rig, &id);
    assert_eq!(scene.lines(), ["1 New errands-1/1/0", "1 New errands-1/1/0"]);
    // Of the one whose store is gone nobody knows whether it has ended.
    eventually("one procedure's keys", || scene.journal_text().lines().count() == 1);
    end_cleanly(rig);
}

/// A hand whose journal cannot be kept refuses what has a key, before its handler runs.
#[test]
fn a_journal_that_cannot_be_written_refuses_its_command_before_it_begins_and_says_which_and_why() {
    let scene = Scene::new();
    fs::create_dir_all(scene.journal()).expect("a folder in the journal's place");
    let rig = scene.launch();
    let id = launched(&rig, &ErrandInputs { gives_up: true, ..one(Mishap::None) });
    let record = end_of(&rig, &id);
    assert_eq!(record.state, ProcedureState::Excepted);
    let file = scene.journal().display().to_string();
    assert!(record.text.contains(&file) && record.text.contains("Is a directory"), "{}", record.text);
    assert_eq!(scene.lines(), [""; 0]);
    // What has no key needs no journal.
    let asked = DoOnce { name: "1".to_owned(), mishap: Mishap::None };
    assert_eq!(done(rig.scope().request(asked)), "New");
    fs::remove_dir(scene.journal()).expect("it is empty");
    assert_eq!(end_of(&rig, &launched(&rig, &one(Mishap::None))).state, ProcedureState::Finished);
    rig.shutdown();
}

#[test]
fn a_manager_that_was_away_at_the_end_forgets_when_it_is_back() {
    let scene = Scene::new();
    let rig = scene.launch();
    let id = launched(&rig, &ErrandInputs { dawdles: true, ..one(Mishap::None) });
    eventually("a deed that is done", || scene.journal_text().contains(" done "));
    let text = scene.journal_text();
    end_cleanly(rig);
    // As if the hand had not been there when the procedure ended.
    let rig = scene.launch();
    done(rig.scope().procedures().kill(&id, "", KillLevel::NextYield));
    scene.until_forgotten();
    end_cleanly(rig);
    fs::write(scene.journal(), &text).expect("put back");
    let rig = scene.launch();
    scene.until_forgotten();
    fs::write(scene.journal(), &text).expect("put back");
    kill(&rig, "hand");
    until_in_life(&rig, "hand", 2);
    scene.until_forgotten();
    rig.shutdown();
}

#[test]
fn a_runner_that_dies_with_the_end_of_a_procedure_has_its_keys_forgotten_in_its_next_life() {
    let scene = Scene::new();
    let rig = scene.launch();
    let id = launched(&rig, &ErrandInputs { dawdles: true, ..one(Mishap::None) });
    let other = launched(&rig, &ErrandInputs { dawdles: true, ..one(Mishap::None) });
    eventually("two deeds that are done", || scene.journal_text().matches(" done ").count() == 2);
    done(rig.scope().procedures().kill(&id, "", KillLevel::Force));
    eventually("one procedure's keys", || !scene.journal_text().contains(&format!(" {id}\n")));
    assert_eq!(scene.journal_text().lines().count(), 1, "the other one has not ended");
    assert!(scene.journal_text().contains(&format!(" {other}\n")));
    rig.shutdown();
}

#[test]
fn a_journal_into_which_something_else_has_written_is_not_touched_and_begins_nothing() {
    let scene = Scene::new();
    fs::create_dir_all(Path::new(&scene.state()).join("deeds")).expect("a folder");
    fs::write(scene.journal(), "not a journal\nat all\n").expect("written");
    let rig = scene.launch();
    let id = launched(&rig, &ErrandInputs { gives_up: true, ..one(Mishap::None) });
    let record = end_of(&rig, &id);
    let expected = DeedError::Damaged { file: scene.journal().display().to_string(), line: 1 };
    assert!(record.text.contains(&expected.to_string()), "{}", record.text);
    assert_eq!(scene.journal_text(), "not a journal\nat all\n", "it is not touched");
    rig.shutdown();
}
