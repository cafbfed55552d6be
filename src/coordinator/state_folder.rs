//! The folder in which a rig keeps state from run to run: one coordinator at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::launch_error::LaunchError;

/// Holds the folder until it is dropped; a crash lets go of it too.
#[derive(Debug)]
pub(crate) struct StateFolder {
    _lock: File,
}

impl StateFolder {
    /// Takes the folder, making it if need be.
    pub(crate) fn take(folder: &Path) -> Result<Self, LaunchError> {
        let error = |source| LaunchError::Folder { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(error)?;
        let path = folder.join("coordinator.lock");
        let mut options = OpenOptions::new();
        let mut lock =
            options.create(true).truncate(false).read(true).write(true).open(path).map_err(error)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            lock.read_to_string(&mut pid).map_err(error)?;
            return Err(LaunchError::StateFolderHeld {
                folder: folder.to_owned(),
                pid: pid.trim().to_owned(),
            });
        }
        lock.set_len(0).map_err(error)?;
        lock.seek(SeekFrom::Start(0)).map_err(error)?;
        writeln!(lock, "{}", std::process::id()).map_err(error)?;
        Ok(Self { _lock: lock })
    }
}

/// Where a rig's state is kept when nobody says otherwise: the user's state folder.
pub(crate) fn default_state_dir(rig: &str) -> PathBuf {
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")));
    base.unwrap_or_else(std::env::temp_dir).join("labrig").join(rig)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_coordinator_and_says_who_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = StateFolder::take(folder.path()).expect("the first takes it");
        match StateFolder::take(folder.path()) {
            Err(LaunchError::StateFolderHeld { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(held);
        StateFolder::take(folder.path()).expect("it is free again");
    }
}
