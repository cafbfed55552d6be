//! Descriptors that a coordinator inherited and its managers must not.

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Marks every descriptor above 2 to be closed when a child is started.
///
/// Rust opens descriptors that way itself; this is for those that this process inherited from whoever
/// started it (shells leave some open), or that a library opened otherwise.
pub fn close_inherited_on_exec() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    for number in numbers.filter(|number| *number > 2).collect::<Vec<_>>() {
        mark(number);
    }
}

#[expect(unsafe_code, reason = "a descriptor known only by its number has no safe form")]
fn mark(number: RawFd) {
    // SAFETY: the descriptor is only borrowed for two fcntl calls that change nothing but its close-on-exec
    // flag; should it be closed meanwhile, they answer EBADF.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    if let Ok(flags) = fcntl_getfd(descriptor)
        && !flags.contains(FdFlags::CLOEXEC)
        && let Err(error) = fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC)
    {
        log::warn!("descriptor {number} stays open in managers: {error}");
    }
}
