//! The tables, and which version of them a file has.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// What the file's header says it belongs to: `LABP`.
const APPLICATION: i64 = 0x4c41_4250;
/// The version of the tables. One that is raised comes with a step that brings older files up to it.
const VERSION: i64 = 2;

/// Of version 1.
const TABLES: &str = "
CREATE TABLE procedures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    inputs TEXT NOT NULL,
    state TEXT NOT NULL,
    text TEXT NOT NULL,
    step INTEGER,
    wait TEXT,
    output TEXT,
    launched_by TEXT NOT NULL,
    parent INTEGER REFERENCES procedures (number),
    origin TEXT,
    is_held INTEGER NOT NULL,
    is_forced INTEGER NOT NULL DEFAULT 0,
    lives INTEGER NOT NULL DEFAULT 0,
    lease INTEGER,
    deadline_ms INTEGER NOT NULL,
    step_deadline_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX procedures_by_parent ON procedures (parent);
CREATE TABLE checkpoints (
    procedure INTEGER NOT NULL REFERENCES procedures (number),
    step INTEGER NOT NULL,
    tag TEXT,
    state BLOB NOT NULL,
    fingerprint INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    wait TEXT,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (procedure, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    procedure INTEGER NOT NULL REFERENCES procedures (number),
    was TEXT,
    became TEXT NOT NULL,
    sender TEXT NOT NULL,
    text TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT,
    begun_ms INTEGER NOT NULL
) STRICT;
";

/// What came with version 2: the tasks that procedures are; who is at work, found without looking at all records; and a mark
/// of each procedure that none of another store has.
const TASKS_AND_MARKS: &str = "
ALTER TABLE procedures ADD COLUMN task TEXT;
ALTER TABLE procedures ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
UPDATE procedures SET mark = random();
CREATE UNIQUE INDEX procedures_by_task ON procedures (task) WHERE task IS NOT NULL;
CREATE INDEX procedures_at_work ON procedures (state, is_held) WHERE state IN ('created', 'running');
CREATE INDEX procedures_by_mark ON procedures (mark);
";

/// Makes the tables where there is nothing yet, and refuses what is not ours or of a later version.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let not_ours = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => StoreError::NotAStore { path: path.to_owned() },
        _ => error.into(),
    };
    let number = |connection: &Connection, name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
    };
    let (application, found) =
        (number(connection, "application_id").map_err(not_ours)?, number(connection, "user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, found) {
        (APPLICATION, 1..=VERSION) => {}
        (APPLICATION, found) if found > VERSION => {
            return Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION });
        }
        (0, 0) if tables == 0 => {}
        _ => return Err(StoreError::NotAStore { path: path.to_owned() }),
    }
    // The mode is told as a row, which `execute` would refuse.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    if found < VERSION {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if tables == 0 {
            transaction.execute_batch(TABLES)?;
        }
        transaction.execute_batch(TASKS_AND_MARKS)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
        ))?;
        transaction.commit()?;
    }
    Ok(())
}

/// Begins another epoch.
pub(super) fn next_epoch(connection: &mut Connection) -> Result<i64, StoreError> {
    connection.execute("INSERT INTO epochs (begun_ms) VALUES (?1)", [super::to_sql(super::now_ms())])?;
    Ok(connection.last_insert_rowid())
}
