//! The manager's own pipe, as a library that means no good would find it: among the open descriptors.

use std::fs;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// A second descriptor of the pipe to the coordinator: the only socket of sequenced packets that there is.
///
/// # Errors
/// The system's, or `NotFound` when the process has no pipe.
pub(super) fn duplicate() -> io::Result<OwnedFd> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    for number in numbers()? {
        // A descriptor that was listed may be closed by now.
        let Ok(copy) = pidfd_getfd(&own, number, PidfdGetfdFlags::empty()) else { continue };
        if socket_type(&copy) == Ok(SocketType::SEQPACKET) {
            return Ok(copy);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no descriptor is a pipe to a coordinator"))
}

fn numbers() -> io::Result<Vec<RawFd>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let number =
        |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_str().and_then(|it| it.parse().ok()));
    entries.filter_map(|entry| number(entry).transpose()).collect()
}
