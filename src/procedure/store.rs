//! Where procedures are kept: one SQLite file, which one process has open.
//!
//! Whatever these functions have returned from is on the disk: the journal is a write-ahead log that is flushed at each
//! commit. A commit is there whole or not at all, whatever it was interrupted by. The file says which version wrote it; a
//! newer one is not touched. Who has it open holds a lock beside it, which goes with the process; each opening is an
//! *epoch*, and a procedure is written only by the epoch that has taken its lease.

mod changes;
mod checkpoints;
mod error;
mod layout;
mod records;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(super) use checkpoints::{Checkpoint, Which};
pub(super) use error::StoreError;
pub(super) use records::{Made, NewProcedure, Row, StepDone, Wait};

use crate::config::lock_exclusively;

/// How long another program may read before a commit is given up.
const BUSY: Duration = Duration::from_secs(5);
/// How often the lock is asked for, a second each: the process that a crash has left behind is ended within that.
const ATTEMPTS: u32 = 3;

/// See the module's words.
#[derive(Debug)]
pub(super) struct Store {
    connection: Mutex<Connection>,
    epoch: i64,
    _lock: File,
}

impl Store {
    /// Opens the store, making it if need be. A process that has it open and is about to end is waited for.
    ///
    /// # Errors
    /// [`StoreError`]: another process has it open, a newer version wrote it, it is no store, or the system's.
    pub(super) fn open(path: &Path, owner: &str) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| StoreError::of_io(path, &error))?;
        }
        let lock = take_lock(path, owner)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        layout::prepare(&mut connection, path)?;
        let epoch = layout::next_epoch(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection), epoch, _lock: lock })
    }

    /// Does all of it, or nothing.
    fn write<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = change(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        look(&self.connection.lock())
    }
}

/// The time as the store keeps it, in ms since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Numbers as SQLite keeps them: its integers have a sign.
fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Locks the file beside the store, and writes into it who has.
fn take_lock(path: &Path, owner: &str) -> Result<File, StoreError> {
    let failed = |error: std::io::Error| StoreError::of_io(path, &error);
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).read(true).write(true);
    let mut lock = options.open(lock_path(path)).map_err(failed)?;
    let mut is_taken = false;
    for _ in 0..ATTEMPTS {
        is_taken = is_taken || lock_exclusively(&lock, || false).map_err(|errno| failed(errno.into()))?;
    }
    if !is_taken {
        let mut holder = String::new();
        lock.read_to_string(&mut holder).map_err(failed)?;
        return Err(StoreError::InUse { path: path.to_owned(), holder });
    }
    lock.set_len(0).map_err(failed)?;
    lock.seek(SeekFrom::Start(0)).map_err(failed)?;
    lock.write_all(format!("process {} ({owner})", std::process::id()).as_bytes()).map_err(failed)?;
    Ok(lock)
}
