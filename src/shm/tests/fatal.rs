//! Words whose writer is killed when its time has come: a process dies between any two steps of what it writes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::shm::latch::Word;

thread_local! {
    static STEPS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A word of shared memory.
pub(super) struct Fatal<'a>(pub(super) &'a AtomicU64);

impl Fatal<'_> {
    /// The process is killed at the first of its words that this thread writes after so many.
    pub(super) fn live_for(steps: usize) {
        STEPS_LEFT.set(steps);
    }
}

impl Word for Fatal<'_> {
    fn get(&self) -> u64 {
        Word::get(self.0)
    }

    fn set(&self, value: u64) {
        let left = STEPS_LEFT.get();
        if left == 0 {
            kill_process(getpid(), Signal::KILL).expect("it is this very process");
        }
        STEPS_LEFT.set(left - 1);
        Word::set(self.0, value);
    }

    fn fence(order: Ordering) {
        AtomicU64::fence(order);
    }
}
