//! What the store promises, and what it refuses.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::procedure::commands::ProcedureId;
use crate::procedure::state::{Move, ProcedureState};

/// A store in a folder of its own.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.sqlite")
    }

    fn open(&self) -> Store {
        Store::open(&self.path(), "a test").expect("it opens")
    }

    /// Something is done to the file by somebody else.
    fn tamper(&self, sql: &str) {
        Connection::open(self.path()).and_then(|other| other.execute_batch(sql)).expect("it can be done");
    }
}

impl Store {
    /// The file may have so many pages; more than there are in any case.
    pub(in crate::procedure) fn limit_pages(&self, pages: u32) {
        // The limit is told as a row.
        let connection = self.connection.lock();
        let said = connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()));
        said.expect("it can be said");
    }
}

fn begun(store: &Store) -> i64 {
    let new = NewProcedure { kind: "tally".into(), inputs: "{}".into(), ..NewProcedure::default() };
    let number = store.create(&new).expect("it is recorded").number;
    store.take_up(number).expect("it is free");
    store.change(number, Move::Begin, ("", "")).expect("it begins");
    number
}

fn step<'a>(step: u64, state: &'a [u8], tag: Option<&'a str>) -> StepDone<'a> {
    StepDone { step, state, fingerprint: 7, tag, text: "", wait: None, child: None }
}

fn last(store: &Store, number: i64) -> Option<Checkpoint> {
    store.checkpoint(number, Which::Last).expect("it can be read")
}

fn check_refused(opened: Result<Store, StoreError>, expected: &str) {
    let refused = opened.map(drop).expect_err("it does not open").to_string();
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn what_was_acknowledged_is_there_after_another_opening() {
    let scene = Scene::new();
    let store = scene.open();
    let number = begun(&store);
    for (at, tag) in [(0, None), (1, Some("first")), (2, None)] {
        store.acknowledge(number, step(at, &[at as u8; 3], tag)).expect("it is kept");
    }
    drop(store);
    let store = scene.open();
    let row = store.find(number).expect("it can be read").expect("it is there");
    assert_eq!((row.state, row.step), (ProcedureState::Running, Some(2)));
    assert_eq!(last(&store, number).map(|it| it.state), Some(vec![2; 3]));
    let tagged = store.checkpoint(number, Which::Tag("first")).expect("it can be read").expect("it is there");
    assert_eq!((tagged.step, tagged.fault(Some(7))), (1, None));
}

#[test]
fn only_the_newest_checkpoints_without_a_tag_are_kept() {
    let scene = Scene::new();
    let store = scene.open();
    let number = begun(&store);
    for at in 0..20 {
        store.acknowledge(number, step(at, &[], (at == 3).then_some("third"))).expect("it is kept");
    }
    let steps =
        || store.checkpoints(number).expect("they can be read").iter().map(|it| it.step).collect::<Vec<_>>();
    assert_eq!(steps(), [3, 16, 17, 18, 19]);
    assert!(store.delete_checkpoints(number, "third").expect("it can be done"));
    assert!(!store.delete_checkpoints(number, "third").expect("it can be done"));
    assert_eq!(steps(), [16, 17, 18, 19]);
}

#[test]
fn a_damaged_checkpoint_and_one_of_another_version_are_known() {
    let scene = Scene::new();
    let store = scene.open();
    let number = begun(&store);
    store.acknowledge(number, step(0, b"good", None)).expect("it is kept");
    let good = last(&store, number).expect("it is there");
    assert_eq!(good.fault(Some(7)), None);
    assert!(good.fault(Some(8)).is_some_and(|fault| fault.contains("another version")));
    for damage in ["state = x'00'", "step = 5", "fingerprint = 8", "checksum = 0"] {
        scene.tamper(&format!("UPDATE checkpoints SET {damage}"));
        let damaged = last(&store, number).expect("it is there");
        assert!(damaged.fault(Some(7)).is_some_and(|fault| fault.contains("damaged")), "{damage}");
    }
}

#[test]
fn two_rigs_cannot_share_a_store() {
    let scene = Scene::new();
    let _first = scene.open();
    check_refused(Store::open(&scene.path(), "another"), "(a test)");
}

#[test]
fn a_store_of_a_newer_version_and_a_file_that_is_none_are_not_touched() {
    let scene = Scene::new();
    drop(scene.open());
    scene.tamper("PRAGMA user_version = 99");
    check_refused(Store::open(&scene.path(), "a test"), "newer labrig (version 99");
    let scene = Scene::new();
    scene.tamper("CREATE TABLE notes (text TEXT)");
    check_refused(Store::open(&scene.path(), "a test"), "is no store of procedures");
    let scene = Scene::new();
    let text = "no database, but long enough to be looked at as if it were one ".repeat(20);
    fs::write(scene.path(), &text).expect("a file");
    check_refused(Store::open(&scene.path(), "a test"), "is no store of procedures");
    assert_eq!(fs::read_to_string(scene.path()).expect("a file"), text);
}

#[test]
fn a_store_of_an_older_version_is_brought_up_and_keeps_what_it_has() {
    let scene = Scene::new();
    let number = begun(&scene.open());
    scene.tamper(
        "DROP INDEX procedures_by_task; DROP INDEX procedures_at_work; DROP INDEX procedures_by_mark;
         ALTER TABLE procedures DROP COLUMN task; ALTER TABLE procedures DROP COLUMN mark;
         PRAGMA user_version = 1",
    );
    let store = scene.open();
    assert_eq!(store.find(number).expect("it can be read").map(|row| row.number), Some(number));
    assert_eq!(store.of_task("scan").expect("it can be read"), None);
    drop(store);
    assert_eq!(scene.open().count_at_work().expect("it can be read"), 1);
}

#[test]
fn a_task_is_recorded_once() {
    let scene = Scene::new();
    let store = scene.open();
    let new = NewProcedure { kind: "tally".into(), task: Some("scan".into()), ..NewProcedure::default() };
    let number = store.create(&new).expect("it is recorded").number;
    store.create(&new).expect_err("it is there");
    drop(store);
    let store = scene.open();
    assert_eq!(store.of_task("scan").expect("it can be read"), Some(ProcedureId::new("tally", number)));
    assert_eq!(store.of_task("scan ").expect("it can be read"), None);
    let held = NewProcedure { is_held: true, task: None, ..new };
    store.create(&held).expect("it is recorded");
    store
        .create(&NewProcedure { is_held: false, ..held })
        .expect("what is no task is recorded as often as one likes");
    assert_eq!(store.count_at_work().expect("it can be read"), 2, "who is held waits for no turn");
}

#[test]
fn a_store_of_the_version_before_gives_its_procedures_marks_of_their_own() {
    let scene = Scene::new();
    let store = scene.open();
    let numbers = [begun(&store), begun(&store)];
    drop(store);
    scene.tamper(
        "DROP INDEX procedures_by_task; DROP INDEX procedures_at_work; DROP INDEX procedures_by_mark;
         ALTER TABLE procedures DROP COLUMN task; ALTER TABLE procedures DROP COLUMN mark;
         PRAGMA user_version = 1",
    );
    let mark = |store: &Store, number| store.find(number).expect("it can be read").expect("it is there").mark;
    let store = scene.open();
    let marks = numbers.map(|number| mark(&store, number));
    assert!(marks[0] != 0 && marks[1] != 0 && marks[0] != marks[1], "{marks:?}");
    drop(store);
    let store = scene.open();
    assert_eq!(numbers.map(|number| mark(&store, number)), marks, "they are given once");
}

#[test]
fn a_mark_says_whether_its_procedure_has_ended_and_no_other_store_knows_it() {
    let (scene, other) = (Scene::new(), Scene::new());
    let (store, other) = (scene.open(), other.open());
    let mark = |store: &Store, number| store.find(number).expect("it can be read").expect("it is there").mark;
    let (ended, goes_on) = (begun(&store), begun(&store));
    store.change(ended, Move::Kill, ("", "")).expect("it is killed");
    let marks = [mark(&store, ended), mark(&store, goes_on), mark(&other, begun(&other))];
    assert_eq!(store.ended_among(&marks).expect("it can be read"), [marks[0]]);
    assert_eq!(other.ended_among(&marks).expect("it can be read"), [0; 0]);
}

#[test]
fn whoever_has_lost_the_lease_writes_no_more() {
    let scene = Scene::new();
    let store = scene.open();
    let number = begun(&store);
    scene.tamper("UPDATE procedures SET lease = 1000");
    let refused = store.acknowledge(number, step(0, b"late", None)).expect_err("it is not its own");
    assert!(matches!(refused, StoreError::LeaseLost { .. }), "{refused}");
    assert_eq!(last(&store, number), None, "nothing is kept of it");
    assert!(matches!(store.take_up(number), Err(StoreError::LeaseLost { .. })));
    assert!(store.change(number, Move::Pause, ("", "")).is_err());
}

#[test]
fn a_full_disk_is_said_and_nothing_that_was_acknowledged_is_lost() {
    let scene = Scene::new();
    let store = scene.open();
    let number = begun(&store);
    store.acknowledge(number, step(0, b"kept", None)).expect("it is kept");
    // The file may not grow: to SQLite that is a disk without room.
    store.limit_pages(1);
    let full = store.acknowledge(number, step(1, &[1; 100_000], None)).expect_err("there is no room");
    assert!(matches!(full, StoreError::Full), "{full}");
    assert_eq!(last(&store, number).map(|it| it.state), Some(b"kept".to_vec()));
    assert_eq!(store.find(number).expect("it can be read").expect("it is there").step, Some(0));
    store.limit_pages(1_000_000);
    store.acknowledge(number, step(1, &[1; 100_000], None)).expect("there is room again");
}

#[test]
fn changes_have_numbers_without_gaps_whatever_was_refused_between() {
    let scene = Scene::new();
    let store = scene.open();
    let number = begun(&store);
    assert!(store.change(number, Move::Begin, ("", "")).is_err(), "it has begun");
    store.change(number, Move::Pause, ("ada", "a word")).expect("it can be paused");
    let changes = store.changes_after(0, None).expect("they can be read");
    assert_eq!(changes.iter().map(|it| it.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(changes[2].sender, "ada");
    assert_eq!(store.changes_after(2, Some(number)).expect("they can be read").len(), 1);
    assert_eq!(store.changes_after(0, Some(number + 1)).expect("they can be read"), []);
}

/// Where a writer that is killed finds its store.
const STORE: &str = "LABRIG_TEST_STORE";
/// How many steps it acknowledges.
const STEPS: u64 = 3;
/// What a commit asks the system for.
const CALLS: &str = "pwrite64,fdatasync,fsync,ftruncate";

/// Not a test of its own: the process that the next one kills, or has fail, at each of its system calls.
#[test]
fn a_writer_acknowledges_steps() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let connection = || -> Result<(), StoreError> {
        let store = Store::open(&PathBuf::from(path), "a writer")?;
        store.take_up(1)?;
        let next = last(&store, 1).map_or(0, |last| last.step + 1);
        for at in next..next + STEPS {
            store.acknowledge(1, step(at, &[at as u8; 5000], None))?;
            println!("acknowledged {at}");
        }
        Ok(())
    };
    if let Err(why) = connection() {
        println!("failed: {why}");
        std::process::exit(3);
    }
}

/// Runs the writer, with something done to its `number`-th system call; says which step it acknowledged last, and whether it
/// came to its end.
fn write_with(scene: &Scene, injected: &str, number: u32) -> (Option<u64>, bool) {
    let inject = format!("inject={CALLS}:{injected}:when={number}");
    let name = "procedure::store::tests::a_writer_acknowledges_steps";
    let output = std::process::Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", &format!("trace={CALLS}"), "-e", &inject])
        .arg(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(STORE, scene.path())
        .output()
        .expect("strace runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let mut steps = said.lines().filter_map(|line| line.split("acknowledged ").nth(1)?.parse().ok());
    (steps.next_back(), output.status.success())
}

/// Whatever happened to the writer, the store holds what was acknowledged, or one step more, and is whole.
fn check_store(scene: &Scene, acknowledged: Option<u64>, what: &str) -> Option<u64> {
    let store = scene.open();
    let row = store.find(1).expect("it can be read").expect("it is there");
    let kept = last(&store, 1);
    assert_eq!(row.step, kept.as_ref().map(|it| it.step), "{what}: record and checkpoint are of one step");
    assert!(row.step >= acknowledged, "{what}: {acknowledged:?} was acknowledged, {:?} is kept", row.step);
    if let Some(kept) = kept {
        assert_eq!(kept.fault(Some(7)), None, "{what}");
        assert_eq!(kept.state, vec![kept.step as u8; 5000], "{what}");
    }
    let whole: String = store
        .connection
        .lock()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(whole, "ok", "{what}");
    row.step
}

#[test]
fn a_checkpoint_is_old_or_new_whichever_of_its_system_calls_fails_or_is_its_last() {
    if std::process::Command::new("strace").arg("--version").output().is_err() {
        println!("there is no strace: nothing was tried");
        return;
    }
    for injected in ["signal=KILL", "error=EIO", "error=ENOSPC"] {
        let scene = Scene::new();
        begun(&scene.open());
        let (mut number, mut before) = (1, None);
        loop {
            let what = format!("{injected} at call {number}");
            let (acknowledged, is_whole) = write_with(&scene, injected, number);
            let kept = check_store(&scene, acknowledged, &what);
            assert!(kept >= before, "{what}: nothing that was there is lost");
            let most = before.map_or(STEPS, |before| before + STEPS + 1);
            assert!(kept.is_none_or(|kept| kept <= most), "{what}: {kept:?} after {before:?}");
            before = kept;
            if is_whole {
                println!("figure: {injected} at each of {} calls", number - 1);
                assert!(number > 3, "{injected}: the writer was never disturbed");
                break;
            }
            number += 1;
        }
    }
}
