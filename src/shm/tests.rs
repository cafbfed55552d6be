//! Tests of shared memory: over the heap, between threads, and between real processes.

mod actor;
mod damage;
mod fatal;
pub(super) mod heap;
mod lifecycle;
mod litmus;
mod pins;
mod protocol;
mod roles;
mod sealing;
mod shared;
mod shared_models;
mod signals;
mod stacks;
mod stage;
mod status;
mod streams;
mod subjects;
mod wakes;

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

/// How many items a storm has: few by default, many where the machine is left alone with it.
pub(super) fn storm(few: u64, many: u64) -> u64 {
    if std::env::var_os("LABRIG_STORM").is_some() { many } else { few }
}

/// Lets a moment pass that differs every time, from nothing to about a microsecond, in steps of a nanosecond or less.
fn hesitate(turn: u64) {
    let steps = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    for step in 0..steps {
        std::hint::black_box(step);
    }
}
