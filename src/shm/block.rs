//! One block of memory that this process writes and others read, and how it is known that nobody else has it.
//!
//! A block is a memfd, mapped here for writing, then sealed against all other writers. What is handed out is another
//! opening of it, for reading alone; every descriptor, every packet on its way and every mapping of a reader holds that
//! opening. The system gives a write lease only on a file that nobody else has open: so a lease that is granted
//! says that the block is this process's alone again, whoever has died meanwhile and however.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::mapping::{Access, Mapping};
use super::segment::{Segment, SegmentCreateError};

/// Which signal tells that somebody waits for a lease to end (`fcntl(2)`).
const F_SETSIG: i32 = 10;

/// A block of memory; see the module's words.
#[derive(Debug)]
pub(super) struct Block {
    memory: Mapping,
    /// Opened for reading; the lease is asked for here.
    keeper: OwnedFd,
}

impl Block {
    /// A fresh block of that many bytes, all present.
    pub(super) fn create(bytes: usize) -> Result<Self, SegmentCreateError> {
        let refused = |call, errno| SegmentCreateError::Refused {
            name: "labrig buffer".to_owned(),
            bytes: bytes as u64,
            call,
            errno,
        };
        let segment = Segment::create("labrig buffer", bytes as u64)?;
        let memory = Mapping::of(segment.fd(), bytes, Access::ReadWrite).map_err(|it| refused("mmap", it))?;
        let sealed = segment.seal_future_writes();
        sealed.map_err(|_| refused("fcntl(F_ADD_SEALS)", Errno::PERM))?;
        let keeper = reopened(segment.fd()).map_err(|errno| refused("open(/proc/self/fd)", errno))?;
        Ok(Self { memory, keeper })
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Its first bytes.
    pub(super) fn span(&self, bytes: usize) -> NonNull<[u8]> {
        self.memory.span(0, bytes)
    }

    /// An opening of it for others, who can only read it.
    pub(super) fn share(&self) -> Result<OwnedFd, Errno> {
        reopened(&self.keeper)
    }

    /// Whether nobody else has it: no process, and no packet on its way. Where the system grants no leases, nobody
    /// is ever known to have let go of it.
    pub(super) fn is_alone(&self) -> bool {
        set_lease(&self.keeper, libc::F_WRLCK) && set_lease(&self.keeper, libc::F_UNLCK)
    }
}

fn reopened(descriptor: impl AsFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd());
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn set_lease(descriptor: &OwnedFd, kind: i32) -> bool {
    let number = descriptor.as_raw_fd();
    // Whoever opens the file while the lease is held, which takes a debugger, has this process signalled: by one that
    // it ignores, not by one that ends it.
    // SAFETY: two calls on a descriptor that is open, with numbers for arguments: no memory is handed over.
    unsafe {
        libc::fcntl(number, F_SETSIG, libc::SIGURG) == 0 && libc::fcntl(number, libc::F_SETLEASE, kind) == 0
    }
}
