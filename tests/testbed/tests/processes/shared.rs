//! Shared objects between processes: written, read, waited for; across deaths and restarts.

use std::thread;
use std::time::Duration;

use labrig::remote::SharedError;
use labrig::shm::DatasetState;
use labrig::{CallError, Rig, Scope};
use labrig_testbed::gauge::Level;
use labrig_testbed::sharer::*;
use serde_json::json;

use crate::restarts::{kill, until_in_life};
use crate::speaking::Client;
use crate::support::{PATIENCE, end_cleanly, eventually, launch, storm, until_begun};

const SHARER: &str = "[managers.sharer]\nkind = \"sharer\"\n";
const FOLLOWER: &str = "[managers.follower]\nkind = \"follower\"\nafter = [\"sharer\"]\n";
const RESTARTS: &str = "restart_policy = \"on-failure\"\nrestart_delay_ms = 10\n";

fn launch_both() -> Rig {
    launch(&format!("{SHARER}{FOLLOWER}"))
}

fn write(scope: &Scope, what: Writing) -> u64 {
    scope.request(Write { what }).expect("accepted").wait(PATIENCE).expect("done")
}

fn follow_there(last: u64) -> FollowRows {
    FollowRows { name: "sharer.steps".to_owned(), last, patience_ms: 30_000 }
}

/// What is read in this process, and in the follower's.
fn check_shared(scope: &Scope, expected: &Shared) {
    assert_eq!(&Shared::read(scope, "sharer").expect("read here"), expected);
    let order = ReadShared { manager: "sharer".to_owned() };
    let there = scope.request(order).expect("accepted").wait(PATIENCE).expect("read there");
    assert_eq!(&there, expected);
}

fn counts(rows: u64, others: u64) -> Vec<(String, u64)> {
    vec![("rows".to_owned(), rows), ("others".to_owned(), others)]
}

#[test]
fn what_a_manager_shares_is_read_in_the_coordinator_and_in_other_managers() {
    let rig = launch_both();
    let scope = rig.scope();
    let state = || "Filling".to_owned();
    let nothing = Shared {
        last_row: None,
        text: None,
        places: Vec::new(),
        committed: 0,
        state: state(),
        counts: counts(0, 0),
        generation: 1,
    };
    check_shared(&scope, &nothing);
    write(&scope, Writing::Rows(3));
    write(&scope, Writing::Value("a text".to_owned()));
    for (key, count) in [(7, 70), (8, 80), (7, 71), (9, 90)] {
        write(&scope, Writing::Row(key, count));
    }
    write(&scope, Writing::NoRow(8));
    write(&scope, Writing::Records(5));
    write(&scope, Writing::Commit);
    write(&scope, Writing::Records(5));
    let everything = Shared {
        last_row: Some(3),
        text: Some("a text".to_owned()),
        places: vec![(7, 71), (9, 90)],
        committed: 5,
        state: state(),
        counts: counts(3, 9),
        generation: 1,
    };
    check_shared(&scope, &everything);
    assert_eq!(write(&scope, Writing::Compact), 1);
    assert_eq!(write(&scope, Writing::RollBack), 5);
    assert_eq!(write(&scope, Writing::Finish), 5);
    let state = "Complete".to_owned();
    check_shared(&scope, &Shared { state, counts: counts(3, 12), ..everything });
    end_cleanly(rig);
}

#[test]
fn rows_are_followed_in_their_order_and_those_that_gave_way_are_counted() {
    let rig = launch_both();
    let scope = rig.scope();
    let mut rows = scope.rows("sharer.steps").expect("shared");
    write(&scope, Writing::Rows(2500));
    let first = rows.read().expect("there");
    assert_eq!((first.iter().next().map(|row| row.number()), first.lost()), (Some(1501), 1500));
    let row = first.iter().next().expect("a thousand rows");
    assert_eq!(row.values().collect::<Vec<_>>(), [1501.0, 750.5, -1501.0]);
    assert_eq!((row.value("half_um"), row.value("other")), (Some(750.5), None));
    assert_eq!(rows.columns()[1].unit.as_deref(), Some("um"));
    assert!(rows.read().expect("there").is_empty());
    let late = scope.rows("sharer.steps").expect("shared");
    assert_eq!((late.lost(), late.from_now_on().appended()), (0, 2500));
    let latest: Vec<_> = rows.latest(2).expect("there").iter().map(|row| row.number()).collect();
    assert_eq!((latest, rows.lost()), (vec![2499, 2500], 1500));
    assert!(matches!(rows.latest(2).expect("there").to::<Level>(), Err(SharedError::WrongType { .. })));
    end_cleanly(rig);
}

#[test]
fn no_reader_in_any_process_ever_sees_a_torn_row() {
    let rig = launch_both();
    let scope = rig.scope().without_deadline();
    let last = 200_000 * storm();
    let there = scope.request(follow_there(last)).expect("accepted");
    until_begun(&there);
    let mut rows = scope.rows("sharer.steps").expect("shared");
    let writing = scope.request(Write { what: Writing::Rows(last) }).expect("accepted");
    let lost = follow(&mut rows, last, PATIENCE).expect("no torn row here");
    writing.wait(PATIENCE * 20).expect("done");
    let lost_there = there.wait(PATIENCE * 20).expect("no torn row there");
    assert!(lost < last && lost_there < last, "{lost} here, {lost_there} there");
    end_cleanly(rig);
}

#[test]
fn rows_are_waited_for_without_polling_and_the_wait_ends_when_it_is_told_to() {
    let rig = launch_both();
    let scope = rig.scope().without_deadline();
    let there = scope.request(follow_there(3)).expect("accepted");
    until_begun(&there);
    (1..=3).for_each(|last| assert_eq!(write(&scope, Writing::Rows(1)), last));
    assert_eq!(there.wait(PATIENCE).expect("they came"), 0);
    let cancelled = scope.request(follow_there(4)).expect("accepted");
    until_begun(&cancelled);
    cancelled.cancel();
    assert!(matches!(cancelled.wait(PATIENCE), Err(CallError::Cancelled { .. })));
    let mut rows = scope.rows("sharer.steps").expect("shared").from_now_on();
    let error = rows.wait(Duration::from_millis(1)).expect_err("none comes");
    assert!(matches!(error, SharedError::NotInTime { .. }), "{error}");
    let stopper = rows.stopper();
    thread::scope(|threads| {
        let waiting = threads.spawn(|| rows.wait(PATIENCE));
        stopper.stop();
        let error = waiting.join().expect("it does not panic").expect_err("none comes");
        assert!(matches!(error, SharedError::Cancelled { .. }), "{error}");
    });
    end_cleanly(rig);
}

#[test]
fn what_a_dead_manager_has_written_is_read_to_its_end_and_its_next_life_is_followed() {
    let rig = launch(&format!("{SHARER}{RESTARTS}{FOLLOWER}"));
    let scope = rig.scope();
    let mut rows = scope.rows("sharer.steps").expect("shared");
    let mut places = scope.table::<u32, Step>("sharer.places").expect("shared");
    let mut note = scope.latest_value::<Note>("sharer.note").expect("shared");
    for life in 1..=3 {
        write(&scope, Writing::Rows(5));
        write(&scope, Writing::Row(1, u64::from(life)));
        write(&scope, Writing::Value(format!("life {life}")));
        let read = ReadShared { manager: "sharer".to_owned() };
        let there = scope.request(read).expect("accepted").wait(PATIENCE).expect("read there");
        assert_eq!(
            (there.generation, there.last_row, there.places),
            (life, Some(5), vec![(1, u64::from(life))])
        );
        let row = places.get(&1).expect("read").expect("there");
        assert_eq!((row.row.count, row.version), (u64::from(life), 1));
        assert_eq!(note.read().expect("published").generation, life);
        kill(&rig, "sharer");
        until_in_life(&rig, "sharer", life + 1);
        let batch = rows.read().expect("what the dead one has left");
        assert_eq!((batch.generation(), batch.len(), batch.lost()), (life, 5, 0));
        assert_eq!(rows.wait_for_next_life(PATIENCE), Ok(life + 1));
        assert!(places.get(&1).expect("read").is_none(), "the row of an earlier life");
        let stale = note.read().expect("the last one stays");
        assert_eq!((stale.value, stale.is_stale), (Note::of(&format!("life {life}")), true));
    }
    assert_eq!(rows.lost(), 0);
    assert_eq!(rig.shutdown().deaths.len(), 3);
}

#[test]
fn a_wait_ends_with_the_manager_that_was_waited_for() {
    let rig = launch_both();
    let scope = rig.scope();
    write(&scope, Writing::Rows(1));
    let mut rows = scope.rows("sharer.steps").expect("shared");
    rows.read().expect("one row");
    let mut scan = scope.dataset::<Step>("sharer.scan").expect("shared");
    scan.read().expect("nothing yet");
    thread::scope(|threads| {
        let rows = threads.spawn(|| rows.wait(PATIENCE));
        let scan = threads.spawn(|| scan.wait(PATIENCE));
        kill(&rig, "sharer");
        for ended in [rows, scan] {
            let error = ended.join().expect("it does not panic").expect_err("its manager is dead");
            assert!(matches!(error, SharedError::Ended { generation: 1, .. }), "{error}");
        }
    });
    rig.shutdown();
}

#[test]
fn a_dataset_is_seen_as_far_as_it_is_committed_and_told_when_it_begins_anew() {
    let rig = launch_both();
    let scope = rig.scope();
    let mut scan = scope.dataset::<Step>("sharer.scan").expect("shared");
    write(&scope, Writing::Records(100));
    assert_eq!(scan.read().expect("read").records.len(), 0);
    write(&scope, Writing::Commit);
    scan.wait(PATIENCE).expect("committed");
    let records = scan.read().expect("read");
    assert_eq!(records.records, (0..100).map(Step::to).collect::<Vec<_>>());
    let refused = scope.request(Write { what: Writing::Records(10_000) }).expect("accepted").wait(PATIENCE);
    let error = refused.expect_err("it is full").to_string();
    assert!(error.contains("room for 10000 records"), "{error}");
    write(&scope, Writing::RollBack);
    write(&scope, Writing::Finish);
    assert_eq!(scan.read().expect("read").state, DatasetState::Complete);
    write(&scope, Writing::Anew);
    write(&scope, Writing::Records(2));
    write(&scope, Writing::Commit);
    let anew = scan.read().expect("read");
    assert_eq!((anew.epoch, anew.first, anew.records.len(), anew.state), (1, 0, 2, DatasetState::Filling));
    end_cleanly(rig);
}

fn check_refused<T>(outcome: Result<T, SharedError>, expected: &str) {
    assert_eq!(outcome.err().map(|error| error.to_string()).as_deref(), Some(expected));
}

#[test]
fn an_object_that_there_is_not_is_refused_with_those_that_there_are() {
    let rig = launch_both();
    let scope = rig.scope();
    let known = "[\"sharer.steps\", \"sharer.note\", \"sharer.places\", \"sharer.scan\", \"sharer.counts\"]";
    check_refused(
        scope.rows("sharer.stpes"),
        &format!("nothing that is shared is called `sharer.stpes`; known there: {known}"),
    );
    let nobody = "nothing that is shared is called `follower.steps`; known there: [\"sharer\"]";
    check_refused(scope.rows("follower.steps"), nobody);
    check_refused(scope.rows("sharer.note"), "`sharer.note` is a LatestValue<Note>, expected RowRing");
    check_refused(
        scope.dataset::<Level>("sharer.scan"),
        "`sharer.scan` is a AppendDataset<Step>, expected Level",
    );
    check_refused(
        scope.table::<u64, Step>("sharer.places"),
        "`sharer.places` is a VersionedTable<Step>, expected one by u64",
    );
    let there = FollowRows { name: "follower.steps".to_owned(), ..follow_there(1) };
    let error = scope.request(there).expect("accepted").wait(PATIENCE).expect_err("refused there too");
    assert!(error.to_string().contains(nobody), "{error}");
    let told = scope.request(ShareInVain {}).expect("accepted").wait(PATIENCE).expect("done");
    assert!(told[0].contains("shares no `stpes`; its kind declares"), "{told:?}");
    assert_eq!(told[1], "the writer of `steps` is in use already");
    assert!(told[2].contains("`note` is declared as another `LatestValue`"), "{told:?}");
    eventually("both at rest", || rig.status().is_some_and(|status| status.in_flight == 0));
    end_cleanly(rig);
}

/// Hears of rows until that one of that life; each follows the one before, or as many as are said to be lost.
fn hear_rows(client: &mut Client, id: u64, mut next: u64, last: u64, generation: u32) -> u64 {
    let mut all_lost = 0;
    while next <= last {
        let told = client.event(id, "rows");
        assert_eq!(told["generation"], generation, "{told}");
        let lost = told["lost"].as_u64().expect("a number");
        (next, all_lost) = (next + lost, all_lost + lost);
        for row in told["rows"].as_array().expect("a list") {
            let values = json!([next as f64, next as f64 / 2.0, -(next as f64)]);
            assert_eq!((row["number"].as_u64(), &row["values"]), (Some(next), &values));
            next += 1;
        }
    }
    all_lost
}

#[test]
fn whoever_follows_rows_by_the_socket_is_told_each_of_them_or_how_many_were_lost() {
    let rig = launch(&format!("{SHARER}{RESTARTS}"));
    let scope = rig.scope();
    write(&scope, Writing::Rows(20));
    let mut client = Client::of(rig.socket());
    let follow = json!({ "verb": "follow-rows", "name": "sharer.steps", "latest": 5 });
    let id = client.ask(follow.clone());
    let columns = client.answer(id)["ok"]["columns"].as_array().map(Vec::len);
    assert_eq!((columns, hear_rows(&mut client, id, 16, 20, 1)), (Some(3), 0));
    let problem = client.problem(follow);
    assert!(problem["text"].as_str().is_some_and(|text| text.contains("follows rows already")), "{problem}");
    // Nobody reads meanwhile, and the ring has room for a thousand.
    for _ in 0..50 {
        write(&scope, Writing::Rows(1_000));
    }
    assert!(hear_rows(&mut client, id, 21, 50_020, 1) > 0);
    kill(&rig, "sharer");
    until_in_life(&rig, "sharer", 2);
    write(&scope, Writing::Rows(3));
    assert_eq!(hear_rows(&mut client, id, 1, 3, 2), 0);
    let unknown = Client::of(rig.socket()).problem(json!({ "verb": "follow-rows", "name": "sharer.stpes" }));
    assert_eq!(unknown["kind"], "unknown-object");
    // One whose client goes away at once.
    Client::of(rig.socket()).ask(json!({ "verb": "follow-rows", "name": "sharer.steps" }));
    rig.shutdown();
    assert_eq!(client.try_hear(), None);
}
