//! The coordinator was killed: every manager is seen to, all side by side, then nothing is left behind.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Pid;

use super::last_log::LastLog;
use super::notes::{Notes, pid_behind};
use super::ward::Ward;
use crate::transport::Cgroup;
use crate::transport::offspring::{Extent, kill_marked};
use crate::transport::poller::timespec;

/// How long processes that were found by their mark may take to be gone.
const DYING: Duration = Duration::from_secs(2);

/// How long a coordinator whose pipe has ended is waited for; one whose main loop alone has ended lives on.
const LAST_BREATH: Duration = Duration::from_millis(100);

/// Sees to everything that the coordinator has left.
pub(super) fn see_to(mut notes: Notes) {
    // Without its first record there was no time to start anything.
    let Some(begin) = notes.begin.take() else { return };
    let mut log = LastLog::open(&begin.log);
    log.line(&format!("the coordinator is gone; {} managers are left", notes.wards.len()));
    notes.faults.iter().for_each(|fault| log.line(fault));
    let now = Instant::now();
    notes.wards.iter_mut().for_each(|ward| ward.begin(now, begin.grace));
    // Its descriptors are closed one after the other, this pipe before its sockets.
    notes.coordinator.iter().for_each(|coordinator| await_end(coordinator, now + LAST_BREATH));
    // Before anything else: the next coordinator of this rig will put its own socket there.
    let (sockets, paths): (Vec<_>, Vec<_>) = notes.removes.iter().partition(|path| is_socket(path));
    sockets.into_iter().for_each(|path| remove_socket(path, notes.coordinator_pid, &mut log));
    while notes.wards.iter().any(|ward| !ward.is_done()) {
        wait(&mut notes.wards, &mut log);
    }
    let strays = kill_marked(&begin.mark, Extent::Beginning);
    if !strays.is_empty() {
        log.line(&format!("{} more processes of the run were killed", strays.len()));
        let until = Instant::now() + DYING;
        strays.iter().for_each(|stray| await_end(stray, until));
    }
    // One may have been made for a manager that the guardian was never told of.
    let beginning = Cgroup::name_of(&begin.mark);
    notes.cgroups.extend(Cgroup::named(&beginning));
    notes.cgroups.iter().for_each(Cgroup::kill);
    paths.into_iter().filter(|path| !is_socket(path)).for_each(|path| remove(path, &mut log));
    notes.put_away(Some(&beginning));
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

fn await_end(pidfd: &OwnedFd, until: Instant) {
    let mut descriptors = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    let left = timespec(until.saturating_duration_since(Instant::now()));
    // Whoever cannot be waited for was killed all the same.
    let _ = poll(&mut descriptors, Some(&left));
}

/// Removes a socket with its folder, unless another process than the killed coordinator listens there. A process that
/// it was just forking may hold the coordinator's own open for a moment more.
fn remove_socket(path: &Path, coordinator: Option<Pid>, log: &mut LastLog) {
    let listener = UnixStream::connect(path).ok().map(|stream| pid_behind(&stream));
    if listener.is_some_and(|listener| listener.is_none() || listener != coordinator) {
        return log.line(&format!("`{}` is in use again, and stays", path.display()));
    }
    remove(path, log);
    if let Some(folder) = path.parent() {
        // It has its folder for itself; one that is in use again is not empty, and stays.
        let _ = fs::remove_dir(folder);
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

fn remove(path: &Path, log: &mut LastLog) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
        Ok(()) => log.line(&format!("`{}` is removed", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => log.line(&format!("`{}` cannot be removed: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpid;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_stays_for_whoever_listens_there_now_and_goes_with_the_coordinator_that_has_opened_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, log) = (folder.path().join("rig/socket"), folder.path().join("guardian.log"));
        fs::create_dir(folder.path().join("rig")).expect("a folder for the socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let another = Pid::from_raw(1).filter(|pid| *pid != getpid());

        remove_socket(&path, another, &mut LastLog::open(&log));
        assert!(path.exists(), "this process listens there, and was not the coordinator");

        // As when a process that the coordinator had just forked still holds what it had opened.
        remove_socket(&path, Some(getpid()), &mut LastLog::open(&log));
        assert!(!path.exists() && !folder.path().join("rig").exists());
        drop(listener);
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        drop(UnixListener::bind(&path).expect("a socket"));
        remove_socket(&path, None, &mut LastLog::open(&folder.path().join("guardian.log")));
        assert!(!path.exists());
    }
}
