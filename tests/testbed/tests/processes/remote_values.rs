//! Values that stay where they are, used from elsewhere: called, passed on, counted, and gone with their owner.

use std::collections::{BTreeMap, HashSet};

use labrig::coordinator::ValueCounts;
use labrig::registry::ResolveError;
use labrig::{CallErrorKind, KeepError, Refusal, RemoteRef, Rig, Scope};
use labrig_testbed::shelf::*;

use crate::restarts::{kill, until_in_life};
use crate::support::{PATIENCE, end_cleanly, eventually, launch, storm, until_begun};

const SHELF: &str = "[managers.shelf]\nkind = \"shelf\"\n";
const BORROWER: &str = "[managers.borrower]\nkind = \"borrower\"\n";
const RESTARTS: &str = "restart_policy = \"on-failure\"\nrestart_delay_ms = 10\n";

fn load(scope: &Scope, name: &str, heights: &[f64]) -> RemoteRef<Table> {
    let command = LoadTable { name: name.to_owned(), heights: heights.to_vec() };
    scope.request(command).expect("accepted").wait(PATIENCE).expect("loaded")
}

fn diary(scope: &Scope) -> Vec<String> {
    scope.request(ReadDiary {}).expect("accepted").wait(PATIENCE).expect("read")
}

fn bundle(tables: &[RemoteRef<Table>]) -> Bundle {
    let [first, second, third] = tables else { panic!("three tables") };
    Bundle {
        several: vec![first.clone()],
        perhaps: Some(second.clone()),
        by_name: BTreeMap::from([("third".to_owned(), third.clone())]),
    }
}

fn values_of(rig: &Rig, manager: &str) -> ValueCounts {
    let status = rig.status().expect("it runs");
    status.managers.iter().find(|it| it.name == manager).expect("it is one of them").values
}

fn until_diary_says(scope: &Scope, expected: &[&str]) {
    eventually(&format!("the diary {expected:?}"), || diary(scope) == expected);
}

#[test]
fn the_methods_of_a_value_that_stays_in_its_manager_are_called_from_elsewhere() {
    let rig = launch(SHELF);
    let scope = rig.scope();
    let table = load(&scope, "first", &[1.5, 2.5]);
    assert_eq!(table.to_string(), "Table@shelf#1:1");
    assert_eq!(table.height(1).expect("called"), 2.5);
    assert_eq!(table.append(3.5).expect("called"), 3);
    let pending = table.start_height(2).expect("accepted");
    assert_eq!(pending.wait(PATIENCE).expect("called"), 3.5);
    let error = table.height(7).expect_err("there is no such row");
    assert_eq!(error.downcast::<TableError>(), Some(TableError::TooShort { row: 7, rows: 3 }));
    assert_eq!(error.command(), Some("Table::height"));
    let again = table.beginning(1).expect("called");
    assert_eq!(again.height(0).expect("called"), 1.5);
    assert_ne!(again, table);
    let panicked = table.topple().expect_err("it panics");
    assert!(panicked.message().contains("first has fallen over"), "{panicked}");
    assert_eq!(table.height(0).expect("it is still there"), 1.5);
    end_cleanly(rig);
}

#[test]
fn a_value_is_dropped_when_nobody_has_a_handle_to_it_any_longer() {
    let rig = launch(SHELF);
    let scope = rig.scope();
    let (first, second) = (load(&scope, "first", &[]), load(&scope, "second", &[]));
    assert_eq!(values_of(&rig, "shelf"), ValueCounts { owned: 2, held: 0 });
    let clone = first.clone();
    assert!(clone == first && clone != second);
    assert_eq!(HashSet::from([first.clone(), second.clone(), clone.clone()]).len(), 2);
    drop(first);
    assert_eq!(clone.append(1.0).expect("a clone is left"), 1);
    assert_eq!(diary(&scope), [""; 0]);
    drop(second);
    until_diary_says(&scope, &["second dropped"]);
    let pending = clone.start_height(0).expect("accepted");
    drop(clone);
    assert_eq!(pending.wait(PATIENCE).expect("a call on its way holds it"), 1.0);
    until_diary_says(&scope, &["second dropped", "first dropped"]);
    end_cleanly(rig);
}

#[test]
fn after_a_restart_of_its_owner_every_handle_is_stale_and_stays_so() {
    let rig = launch(&format!("{SHELF}{RESTARTS}{BORROWER}restart_policy = \"never\"\n"));
    let scope = rig.scope();
    let table = load(&scope, "first", &[1.0]);
    let kept = Keep { bundle: bundle(&[table.clone(), table.clone(), table.clone()]) };
    scope.request(kept).expect("accepted").wait(PATIENCE).expect("kept");
    kill(&rig, "shelf");
    until_in_life(&rig, "shelf", 2);
    let newer = load(&scope, "newer", &[2.0]);
    assert_eq!((table.to_string(), newer.to_string()), ("Table@shelf#1:1".into(), "Table@shelf#2:1".into()));
    assert_ne!(table, newer);
    let error = table.height(0).expect_err("its value is gone");
    assert_eq!(error.kind(), CallErrorKind::StaleHandle);
    assert_eq!(
        error.to_string(),
        "`Table::height` was refused: `Table@shelf#1:1` is stale, its value is gone"
    );
    let refusal = table.start_append(1.0).expect_err("its value is gone");
    assert!(matches!(refusal, Refusal::StaleHandle { .. }), "{refusal}");
    let passed_on = AddUp { bundle: bundle(&[table.clone(), table.clone(), table]), row: 0 };
    let error = scope.request(passed_on).expect("accepted").wait(PATIENCE).expect_err("gone there too");
    assert!(error.message().contains("Table@shelf#1:1` is stale"), "{error}");
    assert_eq!(newer.height(0).expect("another life"), 2.0);
    let summary = rig.shutdown();
    assert_eq!(summary.deaths.len(), 1, "{summary:#?}");
}

#[test]
fn handles_travel_in_structs_lists_options_and_maps_to_a_third_process_and_back() {
    let rig = launch(&format!("{SHELF}{BORROWER}"));
    let scope = rig.scope();
    let tables: Vec<_> = (0..3).map(|at| load(&scope, &at.to_string(), &[f64::from(at), 10.0])).collect();
    let add_up = AddUp { bundle: bundle(&tables), row: 1 };
    assert_eq!(scope.request(add_up).expect("accepted").wait(PATIENCE).expect("added up"), 30.0);
    let keep = Keep { bundle: bundle(&tables) };
    let given_back = scope.request(keep).expect("accepted").wait(PATIENCE).expect("kept");
    assert!(given_back.all().eq(&tables));
    let command = GiveBackAsError { table: tables[1].clone() };
    let error = scope.request(command).expect("accepted").wait(PATIENCE).expect_err("it is an error");
    drop((tables, given_back));
    let Some(BorrowError::GivenBack { table }) = error.downcast() else { panic!("{error:?}") };
    assert_eq!(table.height(0).expect("a handle out of an error is as good as any"), 1.0);
    drop((table, error));
    assert_eq!(diary(&scope), [""; 0], "the borrower has them");
    scope.request(Forget {}).expect("accepted").wait(PATIENCE).expect("forgotten");
    eventually("all dropped", || diary(&scope).len() == 3);
    end_cleanly(rig);
}

#[test]
fn a_handle_that_comes_back_to_its_owner_is_the_value_itself_there() {
    let rig = launch(&format!("{SHELF}[managers.other]\nkind = \"shelf\"\n"));
    let scope = rig.scope();
    let command = LoadTable { name: "first".to_owned(), heights: vec![1.0, 2.0] };
    let table = scope.to("shelf").request(command).expect("accepted").wait(PATIENCE).expect("loaded");
    let count = |manager| {
        let command = CountRows { table: table.clone() };
        scope.to(manager).request(command).expect("accepted").wait(PATIENCE)
    };
    assert_eq!(count("shelf").expect("its own"), 2);
    let error = count("other").expect_err("not its own");
    let expected = ResolveError::NotHere { handle: "Table@shelf#1:1".to_owned() };
    assert_eq!(error.downcast(), Some(expected));
    end_cleanly(rig);
}

#[test]
fn a_read_only_handle_refuses_what_changes_its_value_wherever_it_goes() {
    let rig = launch(&format!("{SHELF}{BORROWER}"));
    let scope = rig.scope();
    let table = load(&scope, "first", &[1.0]);
    let reader = table.read_only();
    assert!(reader == table && reader.is_read_only() && !table.is_read_only());
    assert_eq!(reader.height(0).expect("it changes nothing"), 1.0);
    let refused = "`Table::append` was refused: it changes its value, and `Table@shelf#1:1` is read-only";
    assert_eq!(reader.append(2.0).expect_err("it does").to_string(), refused);
    let there_and_back = Keep { bundle: bundle(&[reader.clone(), table.clone(), reader]) };
    let back = scope.request(there_and_back).expect("accepted").wait(PATIENCE).expect("kept");
    let narrow: Vec<_> = back.all().map(|table| table.is_read_only()).collect();
    assert_eq!(narrow, [true, false, true]);
    end_cleanly(rig);
}

#[test]
fn a_manager_is_handed_a_value_of_the_scope_and_calls_back() {
    let rig = launch(&format!("{SHELF}{BORROWER}"));
    let scope = rig.scope();
    let other = scope.remote(Other::new(1.0)).expect("kept");
    assert_eq!(other.to_string(), "Other@scope#1:1");
    let call_back = CallBack { other: other.clone(), more: 2.0 };
    assert_eq!(scope.request(call_back).expect("accepted").wait(PATIENCE).expect("called back"), 3.0);
    assert_eq!(other.total().expect("called"), 3.0);
    let table = load(&scope, "first", &[1.0, 2.0]);
    assert_eq!(table.total_with(other.clone()).expect("by a method of another"), 6.0);
    let reader = CallBack { other: other.read_only(), more: 1.0 };
    let error = scope.request(reader).expect("accepted").wait(PATIENCE).expect_err("it is read-only");
    assert!(error.message().contains("read-only"), "{error}");
    end_cleanly(rig);
}

#[test]
fn calls_of_methods_are_cancelled_and_expire_as_all_others() {
    let rig = launch(SHELF);
    let scope = rig.scope();
    let table = load(&scope, "first", &[1.0]);
    let pending = table.start_study().expect("accepted");
    until_begun(&pending);
    let queued = table.start_height(0).expect("accepted");
    queued.cancel();
    pending.cancel();
    assert!(pending.wait(PATIENCE).expect_err("cancelled").is_cancelled());
    assert!(queued.wait(PATIENCE).expect_err("cancelled").is_cancelled());
    assert_eq!(table.glance().expect_err("its method has so much time").kind(), CallErrorKind::Expired);
    assert_eq!(table.height(0).expect("it goes on"), 1.0);
    end_cleanly(rig);
    let error = table.height(0).expect_err("the rig has ended");
    assert!(error.is_shutdown(), "{error}");
}

#[test]
fn a_call_of_a_method_ends_with_the_life_that_ran_it() {
    let rig = launch(SHELF);
    let table = load(&rig.scope(), "first", &[1.0]);
    let (running, waiting) =
        (table.start_study().expect("accepted"), table.start_height(0).expect("accepted"));
    until_begun(&running);
    kill(&rig, "shelf");
    assert_eq!(running.wait(PATIENCE).expect_err("gone").kind(), CallErrorKind::Indeterminate);
    assert_eq!(waiting.wait(PATIENCE).expect_err("gone").kind(), CallErrorKind::Lost);
    assert_eq!(table.height(0).expect_err("gone").kind(), CallErrorKind::StaleHandle);
    assert_eq!(rig.shutdown().deaths.len(), 1);
}

#[test]
fn whoever_dies_holds_nothing_any_longer() {
    let rig = launch(&format!("{SHELF}{BORROWER}"));
    let scope = rig.scope();
    let table = load(&scope, "first", &[]);
    let keep = Keep { bundle: bundle(&[table.clone(), table.clone(), table]) };
    drop(scope.request(keep).expect("accepted").wait(PATIENCE).expect("kept"));
    assert_eq!(diary(&scope), [""; 0]);
    kill(&rig, "borrower");
    until_diary_says(&scope, &["first dropped"]);
    assert_eq!(rig.shutdown().deaths.len(), 1);
}

#[test]
fn a_value_that_wants_to_know_is_told_who_holds_it() {
    let rig = launch(SHELF);
    let scope = rig.scope();
    let load = |fails| LoadWatched { name: "first".to_owned(), fails };
    let watched = scope.request(load(false)).expect("accepted").wait(PATIENCE).expect("loaded");
    assert_eq!(watched.name().expect("called"), "first");
    drop(watched.clone());
    let error = scope.request(load(true)).expect("accepted").wait(PATIENCE).expect_err("it fails");
    assert_eq!(error.downcast::<TableError>(), Some(TableError::TooShort { row: 1, rows: 0 }));
    drop(watched);
    until_diary_says(&scope, &["first held by scope", "first let go by scope"]);
    end_cleanly(rig);
}

#[test]
fn a_manager_that_leaks_values_is_told_which_and_goes_on() {
    let rig = launch(&format!("{SHELF}max_remote_values = 10\n"));
    let scope = rig.scope();
    let load = |count| scope.request(LoadTables { count }).expect("accepted").wait(PATIENCE);
    let tables = load(8).expect("as many as it may");
    let error = load(3).expect_err("one too many");
    let expected = KeepError::TooMany { limit: 10, most: "Table".to_owned(), count: 10 };
    assert_eq!(error.downcast(), Some(expected));
    until_diary_says(&scope, &["2 dropped", "0 dropped", "1 dropped"]);
    assert_eq!(tables[7].height(0).expect("the first ones are not"), 7.0);
    drop(tables);
    eventually("room again", || load(10).is_ok());
    end_cleanly(rig);
}

#[test]
fn handles_that_come_and_go_by_the_thousand_leave_nothing_behind() {
    let rig = launch(&format!("{SHELF}{BORROWER}"));
    let scope = rig.scope();
    for round in 0..30 * storm() {
        let load = LoadTables { count: 60 };
        let tables = scope.request(load).expect("accepted").wait(PATIENCE).expect("loaded");
        let keeps: Vec<_> = tables
            .chunks(3)
            .map(|three| scope.request(Keep { bundle: bundle(three) }).expect("accepted"))
            .collect();
        drop(tables);
        if round % 3 == 0 {
            scope.send(Forget {}).expect("accepted");
        }
        for (at, keep) in keeps.into_iter().enumerate() {
            match at % 3 {
                0 => drop(keep),
                1 => keep.cancel(),
                _ => drop(keep.wait(PATIENCE)),
            }
        }
    }
    scope.request(Forget {}).expect("accepted").wait(PATIENCE).expect("forgotten");
    for manager in ["shelf", "borrower"] {
        eventually("nothing is held", || values_of(&rig, manager) == ValueCounts::default());
    }
    end_cleanly(rig);
}
