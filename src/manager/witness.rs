//! Threads by whose end the coordinator knows that this process is ending.
//!
//! The system tells of a process's end, and closes its pipe, only after it has freed its memory, which takes the longer
//! the more there is. But all its threads end at once, and all but the last of them free nothing. So the coordinator
//! follows two that end in no other way: one of them is not the last. They are the link thread and one that does
//! nothing. (The first thread of a process cannot be one of them: the system tells of it only with the process.)

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::thread::gettid;

use crate::shm::StatusPage;

/// As much as a thread needs that does nothing.
pub(super) const STACK_BYTES: usize = 32 * 1024;

/// Those whose names are to stand on the page.
pub(super) struct Witnesses(Receiver<()>);

impl Witnesses {
    /// Two that have not said so yet, and by what they tell that they have.
    pub(super) fn expected() -> (Sender<()>, Self) {
        let (said, heard) = channel();
        (said, Self(heard))
    }

    /// Waits until both have. The coordinator reads their names once, when it is told that this manager is ready.
    pub(super) fn wait(&self) {
        let _: usize = self.0.iter().take(2).count();
    }
}

/// Says on the page that this thread lasts as long as its process.
pub(super) fn testify(page: &StatusPage, index: usize, said: &Sender<()>) {
    page.set_witness(index, gettid().as_raw_nonzero().get().unsigned_abs());
    // Nobody waits for it when the set-up has failed.
    let _ = said.send(());
}

/// The thread that does nothing else.
pub(super) fn last(page: &StatusPage, said: &Sender<()>) {
    testify(page, 1, said);
    loop {
        thread::park();
    }
}
