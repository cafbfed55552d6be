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
    let pipe = sockets()?.into_iter().find(|it| socket_type(it) == Ok(SocketType::SEQPACKET));
    pipe.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no descriptor is a pipe to a coordinator"))
}

/// A second descriptor of every socket that this process has.
///
/// # Errors
/// The system's.
pub(super) fn sockets() -> io::Result<Vec<OwnedFd>> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    // A descriptor that was listed may be closed by now.
    let copies = numbers()?.into_iter().filter_map(|it| pidfd_getfd(&own, it, PidfdGetfdFlags::empty()).ok());
    Ok(copies.filter(|copy| socket_type(copy).is_ok()).collect())
}

fn numbers() -> io::Result<Vec<RawFd>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let number =
        |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_str().and_then(|it| it.parse().ok()));
    entries.filter_map(|entry| number(entry).transpose()).collect()
}
