//! Threads by whose end the coordinator knows that this process is ending.
//!
//! The system tells of a process's end, and closes its pipe, only after it has freed its memory, which takes the longer
//! the more there is. But all its threads end at once, and all but the last of them free nothing. So the coordinator
//! follows two that end in no other way: one of them is not the last. They are the link thread and one that does
//! nothing. (The first thread of a process cannot be one of them: the system tells of it only with the process.)

use std::thread;

use rustix::thread::gettid;

use crate::shm::StatusPage;

/// As much as a thread needs that does nothing.
pub(super) const STACK_BYTES: usize = 32 * 1024;

/// Says on the page that this thread lasts as long as its process.
pub(super) fn testify(page: &StatusPage, index: usize) {
    page.set_witness(index, gettid().as_raw_nonzero().get().unsigned_abs());
}

/// The thread that does nothing else.
pub(super) fn last(page: &StatusPage) {
    testify(page, 1);
    loop {
        thread::park();
    }
}
