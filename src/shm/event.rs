//! Bells that wake a sleeping process.
//!
//! A doorbell is an eventfd that never blocks. Whoever rings it never touches the flag of the sleeper, and the sleeper
//! drains it before it looks again, so that a ring can come early or twice but never be lost.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Why a doorbell could not be made or accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DoorbellError {
    /// The system gave no descriptor; `EMFILE` asks for a larger `ulimit -n`.
    #[error("no descriptor for a doorbell: {errno}")]
    NoDescriptor {
        /// What the system answered.
        errno: Errno,
    },
    /// The descriptor could not be inspected; it is closed again.
    #[error("descriptor {descriptor} cannot be inspected: {errno}")]
    NotInspectable {
        /// Its number in this process.
        descriptor: i32,
        /// What the system answered.
        errno: Errno,
    },
    /// The descriptor is something else; nothing was written to it, and it is closed again.
    #[error("descriptor {descriptor} is `{found}`, not an eventfd")]
    NotAnEventfd {
        /// Its number in this process.
        descriptor: i32,
        /// What the system calls it.
        found: String,
    },
    /// Somebody else's eventfd that blocks; it is closed again.
    #[error("descriptor {descriptor} is an eventfd that blocks, expected EFD_NONBLOCK")]
    Blocks {
        /// Its number in this process.
        descriptor: i32,
    },
}

/// A bell that several processes share: one sleeps on it, the others ring.
#[derive(Debug)]
pub struct Doorbell {
    fd: OwnedFd,
}

impl Doorbell {
    /// Makes a new doorbell, silent at first. It is closed in programs that this process executes.
    ///
    /// # Errors
    /// - [`DoorbellError::NoDescriptor`]: too many descriptors are open.
    pub fn create() -> Result<Self, DoorbellError> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let fd = eventfd(0, flags).map_err(|errno| DoorbellError::NoDescriptor { errno })?;
        Ok(Self { fd })
    }

    /// Accepts a doorbell that another process made.
    ///
    /// # Errors
    /// - [`DoorbellError::NotAnEventfd`], [`DoorbellError::Blocks`]: a wrong descriptor was handed over.
    /// - [`DoorbellError::NotInspectable`]: `/proc` could not tell what the descriptor is.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, DoorbellError> {
        let descriptor = fd.as_raw_fd();
        let unreadable = |errno| DoorbellError::NotInspectable { descriptor, errno };
        // Eight bytes written to the wrong file could do harm, so the kind is asked for first.
        let link =
            rustix::fs::readlink(format!("/proc/self/fd/{descriptor}"), Vec::new()).map_err(unreadable)?;
        if link.as_bytes() != b"anon_inode:[eventfd]" {
            return Err(DoorbellError::NotAnEventfd {
                descriptor,
                found: link.to_string_lossy().into_owned(),
            });
        }
        if !fcntl_getfl(&fd).map_err(unreadable)?.contains(OFlags::NONBLOCK) {
            return Err(DoorbellError::Blocks { descriptor });
        }
        Ok(Self { fd })
    }

    /// Rings: whoever sleeps on this bell wakes up, and if nobody sleeps the next sleeper does at once. Never blocks.
    pub fn ring(&self) {
        // The only failure of a valid eventfd is a full counter, and then it is ringing already.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    /// Silences the bell. Call it after waking and *before* looking for work; never blocks.
    pub fn drain(&self) {
        // The only failure of a valid eventfd is that it was not ringing.
        let _ = rustix::io::read(&self.fd, &mut [0_u8; 8]);
    }

    /// A second handle on the same bell.
    ///
    /// # Errors
    /// - [`DoorbellError::NoDescriptor`]: too many descriptors are open.
    pub fn try_clone(&self) -> Result<Self, DoorbellError> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)
            .map_err(|errno| DoorbellError::NoDescriptor { errno })?;
        Ok(Self { fd })
    }
}

impl AsFd for Doorbell {
    /// The descriptor to poll for reading, or to hand to another process.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
