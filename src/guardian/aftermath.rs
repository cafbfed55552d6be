//! The coordinator was killed: every manager is seen to, all side by side, then nothing is left behind.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::last_log::LastLog;
use super::notes::Notes;
use super::ward::Ward;
use crate::transport::Cgroup;
use crate::transport::offspring::{Extent, kill_marked};
use crate::transport::poller::timespec;

/// How long processes that were found by their mark may take to be gone.
const DYING: Duration = Duration::from_secs(2);

/// Sees to everything that the coordinator has left.
pub(super) fn see_to(mut notes: Notes) {
    // Without its first record there was no time to start anything.
    let Some(begin) = notes.begin.take() else { return };
    let mut log = LastLog::open(&begin.log);
    log.line(&format!("the coordinator is gone; {} managers are left", notes.wards.len()));
    notes.faults.iter().for_each(|fault| log.line(fault));
    let now = Instant::now();
    notes.wards.iter_mut().for_each(|ward| ward.begin(now, begin.grace));
    while notes.wards.iter().any(|ward| !ward.is_done()) {
        wait(&mut notes.wards, &mut log);
    }
    let strays = kill_marked(&begin.mark, Extent::Beginning);
    if !strays.is_empty() {
        log.line(&format!("{} more processes of the run were killed", strays.len()));
        await_ends(&strays, Instant::now() + DYING);
    }
    // One may have been made for a manager that the guardian was never told of.
    notes.cgroups.extend(Cgroup::named(&Cgroup::name_of(&begin.mark)));
    notes.cgroups.iter().for_each(Cgroup::kill);
    for path in std::mem::take(&mut notes.removes) {
        remove(&path, &mut log);
    }
    notes.put_away();
    log.line("nothing is left");
}

/// Waits until something happens to one of them, and does what is to be done.
fn wait(wards: &mut [Ward], log: &mut LastLog) {
    let mut left: Vec<_> = wards.iter_mut().filter(|ward| !ward.is_done()).collect();
    let until = left.iter().filter_map(|ward| ward.until()).min();
    let patience = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
    let mut descriptors: Vec<_> =
        left.iter().map(|ward| PollFd::from_borrowed_fd(ward.descriptor(), PollFlags::IN)).collect();
    // A wait that fails finds nothing, and time goes on.
    let _ = poll(&mut descriptors, patience.as_ref());
    let has_ended: Vec<_> = descriptors.iter().map(|it| !it.revents().is_empty()).collect();
    drop(descriptors);
    let now = Instant::now();
    for (ward, has_ended) in left.iter_mut().zip(has_ended) {
        if has_ended {
            ward.ended(log);
        } else if ward.until().is_some_and(|until| until <= now) {
            ward.expired(now, log);
        }
    }
}

fn await_ends(pidfds: &[OwnedFd], until: Instant) {
    for pidfd in pidfds {
        let mut descriptors = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        let left = timespec(until.saturating_duration_since(Instant::now()));
        // Whoever cannot be waited for was killed all the same.
        let _ = poll(&mut descriptors, Some(&left));
    }
}

fn remove(path: &Path, log: &mut LastLog) {
    let found = fs::symlink_metadata(path);
    let is_folder = found.as_ref().is_ok_and(|it| it.is_dir());
    let is_socket = found.is_ok_and(|it| it.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_ok() {
        // The rig's next start has taken its place already.
        return log.line(&format!("`{}` is in use again, and stays", path.display()));
    }
    match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
        Ok(()) => {
            log.line(&format!("`{}` is removed", path.display()));
            if let Some(folder) = path.parent().filter(|_| is_socket) {
                // A socket has its folder for itself; one that is in use again is not empty, and stays.
                let _ = fs::remove_dir(folder);
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => log.line(&format!("`{}` cannot be removed: {error}", path.display())),
    }
}
