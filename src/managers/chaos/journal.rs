//! The journal of safe states: a file that outlives whatever becomes of the rig.
//!
//! One line for each entry, written at once, so that lines of several processes do not mix. The clock is the
//! one that all processes share.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::prelude::SafeReason;
use crate::shm::monotonic_ns;

/// Who brought the manager into its safe state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its worker.
    Worker,
    /// Its emergency handle, because the worker was stuck.
    EmergencyHandle,
}

/// One entry into a safe state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// When, in ns of the machine's monotonic clock.
    pub at_ns: u64,
    /// The process.
    pub pid: u32,
    /// The manager.
    pub manager: String,
    /// Which life of it.
    pub generation: u32,
    /// By whom.
    pub way: Way,
    /// Why, in words.
    pub reason: String,
}

/// Adds an entry that happens now.
pub(super) fn append(
    path: &Path,
    manager: &str,
    generation: u32,
    way: Way,
    reason: SafeReason,
) -> io::Result<()> {
    let way = match way {
        Way::Worker => "worker",
        Way::EmergencyHandle => "emergency",
    };
    let (at_ns, pid) = (monotonic_ns(), std::process::id());
    let line = format!("{at_ns} {pid} {manager} {generation} {way} {reason}\n");
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// Reads a journal; one that was never begun is empty.
///
/// # Errors
/// The system's, and one of kind `InvalidData` for a line that no chaos manager has written.
pub fn read_journal(path: &Path) -> io::Result<Vec<Entered>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let bad = |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("no entry: `{line}`"));
    text.lines().map(|line| entry(line).ok_or_else(|| bad(line))).collect()
}

fn entry(line: &str) -> Option<Entered> {
    let mut words = line.splitn(6, ' ');
    Some(Entered {
        at_ns: words.next()?.parse().ok()?,
        pid: words.next()?.parse().ok()?,
        manager: words.next()?.to_owned(),
        generation: words.next()?.parse().ok()?,
        way: match words.next()? {
            "worker" => Way::Worker,
            "emergency" => Way::EmergencyHandle,
            _ => return None,
        },
        reason: words.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_anything_else_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        assert_eq!(read_journal(&path).expect("an empty journal"), []);
        append(&path, "laser", 3, Way::EmergencyHandle, SafeReason::StopOrdered).expect("a line");
        append(&path, "laser", 3, Way::Worker, SafeReason::Quit).expect("a line");
        let entries = read_journal(&path).expect("a journal");
        assert_eq!((entries.len(), entries[0].generation, entries[0].manager.as_str()), (2, 3, "laser"));
        assert_eq!((entries[0].way, entries[1].way), (Way::EmergencyHandle, Way::Worker));
        assert_eq!(entries[1].reason, SafeReason::Quit.to_string());
        assert!(entries[0].at_ns <= entries[1].at_ns && entries[0].pid == std::process::id());
        fs::write(&path, "1 2 laser 3 nobody a reason\n").expect("a line");
        assert_eq!(read_journal(&path).expect_err("no way").kind(), io::ErrorKind::InvalidData);
    }
}
