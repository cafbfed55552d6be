//! The folder in which a rig keeps state from run to run: one coordinator at a time.
//!
//! Who holds it is written in the lock's file, and taken out again at the end. What is left of a coordinator that
//! did not come to its end holds nothing: the lock itself went with the process.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::launch_error::LaunchError;
use crate::config::lock_exclusively;

const LOCK: &str = "coordinator.lock";

/// Holds the folder until it is dropped; a crash lets go of it too.
#[derive(Debug)]
pub(crate) struct StateFolder {
    lock: File,
    left_by: Option<Holder>,
}

/// A coordinator that holds a state folder, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: String,
    /// The rig that it runs.
    pub(crate) rig: String,
    /// Since when, as people write it.
    pub(crate) since: String,
    /// When the process was started, in ticks of the system: a number that is used again is another process.
    started: String,
}

impl Holder {
    fn own(rig: &str) -> Self {
        let pid = std::process::id().to_string();
        let started = started_at(&pid).unwrap_or_default();
        let since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { pid, rig: rig.to_owned(), since, started }
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::to_owned);
        let pid = lines.next().filter(|pid| !pid.is_empty())?;
        let mut next = || lines.next().unwrap_or_default();
        Some(Self { pid, rig: next(), since: next(), started: next() })
    }

    fn is_alive(&self) -> bool {
        started_at(&self.pid).is_some_and(|started| started == self.started)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the coordinator with process number {} (rig `{}`, since {})",
            self.pid, self.rig, self.since
        )
    }
}

/// When the process of that number was started; the last thing before it in the file is a name in parentheses.
fn started_at(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(19).map(str::to_owned)
}

/// The coordinator that holds the folder, as far as can be seen without touching the lock.
pub(crate) fn holder_of(folder: &Path) -> Option<Holder> {
    let text = fs::read_to_string(folder.join(LOCK)).ok()?;
    Holder::read(&text).filter(Holder::is_alive)
}

impl StateFolder {
    /// Takes the folder for a rig, making it if need be.
    pub(crate) fn take(folder: &Path, rig: &str) -> Result<Self, LaunchError> {
        let error = |source| LaunchError::Folder { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(error)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).read(true).write(true).open(folder.join(LOCK));
        let mut lock = lock.map_err(error)?;
        let locked = lock_exclusively(&lock, || holder_of(folder).is_some());
        let mut text = String::new();
        lock.read_to_string(&mut text).map_err(error)?;
        let before = Holder::read(&text);
        match locked {
            Ok(true) => {}
            Ok(false) => {
                let holder = before.map_or_else(|| "another coordinator".to_owned(), |it| it.to_string());
                return Err(LaunchError::StateFolderHeld { folder: folder.to_owned(), holder });
            }
            Err(errno) => return Err(error(errno.into())),
        }
        let own = Holder::own(rig);
        lock.set_len(0).map_err(error)?;
        lock.seek(SeekFrom::Start(0)).map_err(error)?;
        // In one piece, as whoever reads it takes no lock.
        let text = format!("{}\n{}\n{}\n{}\n", own.pid, own.rig, own.since, own.started);
        lock.write_all(text.as_bytes()).map_err(error)?;
        Ok(Self { lock, left_by: before })
    }

    /// The coordinator that held the folder before and did not come to its end.
    pub(crate) fn left_by(&self) -> Option<&Holder> {
        self.left_by.as_ref()
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        // Who cannot write this is taken for one that crashed, which the next one says and takes over from.
        let _ = self.lock.set_len(0);
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
        let held = StateFolder::take(folder.path(), "microscope").expect("the first takes it");
        let pid = std::process::id().to_string();
        let who = holder_of(folder.path()).expect("it is held");
        assert_eq!((who.pid.as_str(), who.rig.as_str()), (pid.as_str(), "microscope"));
        match StateFolder::take(folder.path(), "other") {
            Err(LaunchError::StateFolderHeld { holder, .. }) => {
                assert!(holder.contains(&pid) && holder.contains("microscope"), "{holder}");
            }
            other => panic!("{other:?}"),
        }
        drop(held);
        assert_eq!(holder_of(folder.path()), None);
        let again = StateFolder::take(folder.path(), "microscope").expect("it is free again");
        assert_eq!(again.left_by(), None, "the one before came to its end");
    }

    #[test]
    fn what_a_crash_has_left_behind_holds_nothing_and_is_told_to_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = std::process::id();
        // The number is that of a living process, which is another one.
        fs::write(folder.path().join(LOCK), format!("{pid}\nold\n2026-01-01T00:00:00Z\n1\n"))
            .expect("a file");
        assert_eq!(holder_of(folder.path()), None);
        let taken = StateFolder::take(folder.path(), "microscope").expect("nobody holds it");
        assert_eq!(taken.left_by().map(|it| it.rig.as_str()), Some("old"));
    }
}
