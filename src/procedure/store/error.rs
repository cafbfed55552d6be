//! Why the store of procedures did not do what it was to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// See the module's words. What was committed before is there all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::procedure) enum StoreError {
    /// Another process has it open.
    #[error("{} is in use by {holder}: two rigs cannot share a store of procedures", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// A newer version of labrig wrote it. It was not touched.
    #[error("{} was written by a newer labrig (version {found} of the store, this one knows {known}): use that, or another store", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The file is something else. It was not touched.
    #[error("{} is no store of procedures", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// There is no room on the disk.
    #[error("the disk is full")]
    Full,
    /// Another life of the manager has taken the procedure up: this one may not write any more.
    #[error("procedure number {number} was taken up by another process")]
    LeaseLost {
        /// Its number.
        number: i64,
    },
    /// The system did not let it read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Whatever else SQLite says.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    pub(super) fn of_io(path: &Path, error: &std::io::Error) -> Self {
        let source = std::io::Error::new(error.kind(), error.to_string());
        Self::Io { path: path.to_owned(), source }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
}
