//! A bounded queue of records, and the thread that writes them down.
//!
//! Records are used again: there are as many as the queue may hold, and who has a spare one may put it into the queue. So the
//! manager's worker copies a frame and never waits for a disk, unless it is to.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::book::Book;
use super::ending::Missing;
use super::series::{Records, Tally};

/// See the module's words. Dropping it writes down what is in the queue, and puts the mark beside the last file.
pub(super) struct Keeping<R> {
    queue: Option<Sender<R>>,
    spare: Receiver<R>,
    tally: Arc<Mutex<Tally>>,
    writer: Option<JoinHandle<()>>,
}

impl<R: Default + Send + 'static> Keeping<R> {
    /// Starts a thread that writes into that book.
    pub(super) fn start<F: Records<Record = R, Heading: Send> + Send + 'static>(
        book: Book<F>,
        depth: u32,
    ) -> io::Result<Self> {
        let (queue, queued) = crossbeam_channel::unbounded();
        let (used, spare) = crossbeam_channel::unbounded();
        for _ in 0..depth {
            used.send(R::default()).expect("the other end is here");
        }
        let tally = Arc::clone(&book.tally);
        let writer = thread::Builder::new()
            .name(format!("recorder-{}", book.what))
            .spawn(move || write_all(book, &queued, &used))?;
        Ok(Self { queue: Some(queue), spare, tally, writer: Some(writer) })
    }

    /// A record to be filled, when the queue has room.
    pub(super) fn spare(&self) -> Option<R> {
        self.spare.try_recv().ok()
    }

    /// A record to be filled, as soon as the queue has room.
    pub(super) fn spare_within(&self, patience: Duration) -> Option<R> {
        self.spare.recv_timeout(patience).ok()
    }

    /// Puts a record into the queue.
    pub(super) fn put(&self, record: R) {
        let queue = self.queue.as_ref().expect("it is there until this is dropped");
        queue.send(record).expect("the writer goes on until this is dropped");
    }

    /// Counts what is missing.
    pub(super) fn miss(&self, count: impl FnOnce(&mut Missing)) {
        count(&mut self.tally.lock().missing);
    }
}

impl<R> Drop for Keeping<R> {
    fn drop(&mut self) {
        self.queue = None;
        let writer = self.writer.take().expect("it is there until now");
        if writer.join().is_err() {
            log::error!("the thread that writes records down has panicked");
        }
    }
}

/// Writes down what is queued, until nobody can queue anything any more.
fn write_all<F: Records>(mut book: Book<F>, queued: &Receiver<F::Record>, used: &Sender<F::Record>) {
    for record in queued {
        book.append(&record);
        // With nobody left who wants it, it is dropped.
        drop(used.send(record));
    }
    book.end();
}
