//! Tests of shared memory: over the heap, between threads, and between real processes.

mod actor;
mod damage;
pub(super) mod heap;
mod lifecycle;
mod protocol;
mod roles;
mod sealing;
mod status;
mod streams;

use super::{Doorbell, FrameFormat, PixelType};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long a test waits for something that ought to happen at once. Only a hang ever takes this long.
const WATCHDOG: Duration = Duration::from_secs(300);

/// A frame of one row.
fn row(bytes: u32) -> FrameFormat {
    FrameFormat::packed(bytes, 1, PixelType::Gray8)
}

fn bell() -> Doorbell {
    Doorbell::create().expect("an eventfd can be made")
}

fn again(bell: &Doorbell) -> Doorbell {
    bell.try_clone().expect("a descriptor can be duplicated")
}

fn copy(fd: impl AsFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().expect("a descriptor can be duplicated")
}
