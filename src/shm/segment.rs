//! Unnamed memory that can be handed to other processes.
//!
//! A segment is a memfd with no name in the file system: it is gone when its last holder is. It is sized, filled with
//! real pages and sealed against resizing at birth, because a map of a file that is sparse or shrinks kills its reader
//! with SIGBUS. For the same reason nothing is mapped before the seals, the size and the pages have been checked.

use super::mapping::{Access, Mapping};
use rustix::fs::{
    FallocateFlags, FileType, MemfdFlags, SealFlags, Stat, fallocate, fcntl_add_seals, fcntl_get_seals,
    fstat, ftruncate, memfd_create,
};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The unit in which memory is mapped, in bytes.
pub(super) const PAGE_BYTES: usize = 4096;

/// From this size on, in bytes, a new segment is compared with the memory that is free.
const WORTH_ASKING: u64 = 16 << 20;

/// Nobody can change the size: a mapping stays valid for good.
const SIZE_SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// Nobody can start to write: who has mapped it writably by now is the only writer there will ever be.
const WRITER_SEALS: SealFlags = SealFlags::FUTURE_WRITE.union(SealFlags::SEAL);

/// Why a segment could not be created. Nothing is left behind in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentCreateError {
    /// A segment of no bytes makes no sense.
    #[error("segment `{name}` would be empty")]
    Empty {
        /// Which segment.
        name: String,
    },
    /// The machine has not enough free memory; asking for it all the same would get some process killed.
    #[error("segment `{name}` needs {bytes} bytes, but only {available} are free")]
    OutOfMemory {
        /// Which segment.
        name: String,
        /// How much was asked for.
        bytes: u64,
        /// How much the system could give.
        available: u64,
    },
    /// The system refused one of the steps: `EMFILE` asks for a larger `ulimit -n`, `ENOSPC` and `ENOMEM` for memory.
    #[error("segment `{name}` of {bytes} bytes: `{call}` failed: {errno}")]
    Refused {
        /// Which segment.
        name: String,
        /// How much was asked for.
        bytes: u64,
        /// Which step.
        call: &'static str,
        /// What the system answered.
        errno: Errno,
    },
}

/// Why a descriptor was not accepted as a segment. It is closed again; nothing was mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentOpenError {
    /// The descriptor is no memory file; the wrong one was handed over.
    #[error("the descriptor is not shared memory: {errno}")]
    NotMemory {
        /// What the system answered when asked for seals.
        errno: Errno,
    },
    /// Its size could still change under a mapping.
    #[error("the shared memory can still be resized, expected it sealed")]
    Resizable,
    /// Other processes could still become writers; its owner has not called `seal_future_writes`.
    #[error("the shared memory is still open to new writers, expected it sealed")]
    OpenToWriters,
    /// Its owner has sealed it against new writers; a writer has to map it before that.
    #[error("the shared memory is sealed against new writers")]
    ClosedToWriters,
    /// Its size is not what the layout needs; the wrong descriptor, or another version of labrig.
    #[error("the shared memory has {found} bytes, expected {expected}")]
    WrongSize {
        /// How large it is.
        found: u64,
        /// How large it should be (at least, where the rest of the layout is not yet known).
        expected: u64,
    },
    /// Some of its pages do not exist; touching them could kill this process.
    #[error("only {present} of {bytes} bytes of the shared memory exist")]
    Sparse {
        /// How large it is.
        bytes: u64,
        /// How much of it is there.
        present: u64,
    },
    /// The system refused one of the steps; `ENOMEM` is a limit of address space or of mappings.
    #[error("`{call}` of shared memory failed: {errno}")]
    Refused {
        /// Which step.
        call: &'static str,
        /// What the system answered.
        errno: Errno,
    },
}

/// Why a segment could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentSealError {
    /// The system refused the seals; `EPERM` means that somebody has sealed it for good before.
    #[error("shared memory cannot be sealed: {errno}")]
    Refused {
        /// What the system answered.
        errno: Errno,
    },
}

/// A piece of unnamed shared memory.
#[derive(Debug)]
pub struct Segment {
    fd: OwnedFd,
    bytes: usize,
}

impl Segment {
    /// Creates a segment of `bytes`, rounded up to whole pages, all zero and all present. `name` shows up in
    /// `/proc/<pid>/maps` only; it is cut at 200 bytes and at the first NUL.
    ///
    /// # Errors
    /// - [`SegmentCreateError::Empty`], [`SegmentCreateError::OutOfMemory`]: ask for another size.
    /// - [`SegmentCreateError::Refused`]: a limit of the system was hit.
    pub fn create(name: &str, bytes: u64) -> Result<Self, SegmentCreateError> {
        let refused = |call, errno| SegmentCreateError::Refused { name: name.to_owned(), bytes, call, errno };
        if bytes == 0 {
            return Err(SegmentCreateError::Empty { name: name.to_owned() });
        }
        let whole = bytes
            .checked_next_multiple_of(PAGE_BYTES as u64)
            .ok_or_else(|| refused("ftruncate", Errno::FBIG))?;
        let mapped = usize::try_from(whole).map_err(|_| refused("mmap", Errno::FBIG))?;
        refuse_more_than_is_free(name, whole)?;
        let fd = new_memfd(name).map_err(|errno| refused("memfd_create", errno))?;
        ftruncate(&fd, whole).map_err(|errno| refused("ftruncate", errno))?;
        fill_with_pages(&fd, whole).map_err(|errno| refused("fallocate", errno))?;
        fcntl_add_seals(&fd, SIZE_SEALS).map_err(|errno| refused("fcntl(F_ADD_SEALS)", errno))?;
        Ok(Self { fd, bytes: mapped })
    }

    /// Maps the first `bytes` of memory that another process has made and sealed against all further writers, for reading.
    pub(super) fn map_sealed(memory: impl AsFd, bytes: usize) -> Result<Mapping, SegmentOpenError> {
        let seals = fcntl_get_seals(&memory).map_err(|errno| SegmentOpenError::NotMemory { errno })?;
        if !seals.contains(SIZE_SEALS) {
            return Err(SegmentOpenError::Resizable);
        }
        if !seals.intersects(SealFlags::FUTURE_WRITE | SealFlags::WRITE) {
            return Err(SegmentOpenError::OpenToWriters);
        }
        let stat = fstat(&memory).map_err(|errno| SegmentOpenError::Refused { call: "fstat", errno })?;
        let (found, expected) = (present_bytes(&stat)?, bytes as u64);
        if found < expected {
            return Err(SegmentOpenError::WrongSize { found, expected });
        }
        Mapping::of(memory.as_fd(), bytes, Access::Read)
            .map_err(|errno| SegmentOpenError::Refused { call: "mmap", errno })
    }

    /// Accepts a segment of at least `least` bytes that another process created.
    ///
    /// # Errors
    /// - [`SegmentOpenError::NotMemory`], [`SegmentOpenError::WrongSize`]: a wrong descriptor was handed over.
    /// - [`SegmentOpenError::Resizable`], [`SegmentOpenError::Sparse`]: mapping it could kill this process.
    pub fn open(fd: OwnedFd, least: u64) -> Result<Self, SegmentOpenError> {
        let seals = seals_of(&fd)?;
        if !seals.contains(SIZE_SEALS) {
            return Err(SegmentOpenError::Resizable);
        }
        let stat = fstat(&fd).map_err(|errno| SegmentOpenError::Refused { call: "fstat", errno })?;
        let bytes = present_bytes(&stat)?;
        if bytes < least {
            return Err(SegmentOpenError::WrongSize { found: bytes, expected: least });
        }
        let mapped = usize::try_from(bytes)
            .map_err(|_| SegmentOpenError::WrongSize { found: bytes, expected: usize::MAX as u64 })?;
        Ok(Self { fd, bytes: mapped })
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The descriptor to hand to another process.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Closes the segment to new writers for good: from now on it can only be mapped for reading, even by its creator,
    /// while those who have mapped it writably keep writing. Calling it again changes nothing.
    ///
    /// # Errors
    /// - [`SegmentSealError::Refused`]: somebody has sealed the seals before.
    pub fn seal_future_writes(&self) -> Result<(), SegmentSealError> {
        if seals_of(&self.fd).is_ok_and(|seals| seals.contains(WRITER_SEALS)) {
            return Ok(());
        }
        // F_SEAL_WRITE would be refused while the owner's own writable mapping exists.
        fcntl_add_seals(&self.fd, WRITER_SEALS).map_err(|errno| SegmentSealError::Refused { errno })
    }

    /// Creates whole pages that several processes write to for good, and maps them. Nobody can add seals to them, so
    /// that no peer can close them to those who have yet to map them.
    pub(super) fn create_shared(name: &str, bytes: usize) -> Result<(Self, Mapping), SegmentCreateError> {
        let refused = |call, errno| SegmentCreateError::Refused {
            name: name.to_owned(),
            bytes: bytes as u64,
            call,
            errno,
        };
        let shared = Self::create(name, bytes as u64)?;
        fcntl_add_seals(&shared.fd, SealFlags::SEAL).map_err(|errno| refused("fcntl(F_ADD_SEALS)", errno))?;
        let memory = Mapping::by_and_by(shared.fd(), bytes, Access::ReadWrite)
            .map_err(|errno| refused("mmap", errno))?;
        Ok((shared, memory))
    }

    /// Accepts and maps pages that another process created like that.
    pub(super) fn open_shared(fd: OwnedFd, bytes: usize) -> Result<(Self, Mapping), SegmentOpenError> {
        let shared = Self::open(fd, bytes as u64)?;
        if shared.bytes != bytes {
            return Err(SegmentOpenError::WrongSize { found: shared.bytes as u64, expected: bytes as u64 });
        }
        shared.refuse_if_closed_to_writers()?;
        let memory = Mapping::by_and_by(shared.fd(), bytes, Access::ReadWrite)
            .map_err(|errno| SegmentOpenError::Refused { call: "mmap", errno })?;
        Ok((shared, memory))
    }

    /// Maps the first `bytes` of it for reading and writing.
    pub(super) fn map_writable(&self, bytes: usize) -> Result<Mapping, SegmentOpenError> {
        self.refuse_if_closed_to_writers()?;
        self.map(bytes, Access::ReadWrite)
    }

    fn refuse_if_closed_to_writers(&self) -> Result<(), SegmentOpenError> {
        let closes = SealFlags::FUTURE_WRITE | SealFlags::WRITE;
        if seals_of(&self.fd)?.intersects(closes) { Err(SegmentOpenError::ClosedToWriters) } else { Ok(()) }
    }

    /// Maps all of it for reading, and insists that no new writer can appear any more.
    pub(super) fn map_read_only(&self) -> Result<Mapping, SegmentOpenError> {
        if !seals_of(&self.fd)?.contains(WRITER_SEALS) {
            return Err(SegmentOpenError::OpenToWriters);
        }
        self.map(self.bytes, Access::Read)
    }

    fn map(&self, bytes: usize, access: Access) -> Result<Mapping, SegmentOpenError> {
        if bytes > self.bytes {
            return Err(SegmentOpenError::WrongSize { found: self.bytes as u64, expected: bytes as u64 });
        }
        Mapping::of(self.fd(), bytes, access)
            .map_err(|errno| SegmentOpenError::Refused { call: "mmap", errno })
    }
}

/// A memory file that can never be executed, or, where the kernel is too old for that (before 6.3), one that could.
fn new_memfd(name: &str) -> Result<OwnedFd, Errno> {
    let end = name.find('\0').unwrap_or(name.len());
    let name = &name[..name.floor_char_boundary(end.min(200))];
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        answer => answer,
    }
}

/// Makes every page exist, so that no later touch can fail for want of memory.
fn fill_with_pages(fd: &OwnedFd, bytes: u64) -> Result<(), Errno> {
    loop {
        match fallocate(fd, FallocateFlags::empty(), 0, bytes) {
            // A signal makes tmpfs give back what it has allocated so far.
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

fn seals_of(fd: &OwnedFd) -> Result<SealFlags, SegmentOpenError> {
    fcntl_get_seals(fd).map_err(|errno| SegmentOpenError::NotMemory { errno })
}

/// The size of the file, if all of it exists.
fn present_bytes(stat: &Stat) -> Result<u64, SegmentOpenError> {
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(SegmentOpenError::NotMemory { errno: Errno::INVAL });
    }
    let bytes = stat.st_size.unsigned_abs();
    let present = stat.st_blocks.unsigned_abs() * 512;
    if present < bytes {
        return Err(SegmentOpenError::Sparse { bytes, present });
    }
    Ok(bytes)
}

/// A segment larger than what is free would not fail: the system would kill processes to make room.
fn refuse_more_than_is_free(name: &str, bytes: u64) -> Result<(), SegmentCreateError> {
    if bytes < WORTH_ASKING {
        return Ok(());
    }
    match available_bytes() {
        Some(available) if available < bytes => {
            Err(SegmentCreateError::OutOfMemory { name: name.to_owned(), bytes, available })
        }
        _ => Ok(()),
    }
}

/// What the system could give without killing anybody, if it tells.
fn available_bytes() -> Option<u64> {
    let table = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
