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

use super::ending::Missing;
use super::series::{Records, Series, Tally};
use crate::prelude::*;

/// See the module's words. Dropping it writes down what is in the queue, and puts the mark beside the last file.
pub(super) struct Keeping<R> {
    queue: Option<Sender<R>>,
    spare: Receiver<R>,
    tally: Arc<Mutex<Tally>>,
    writer: Option<JoinHandle<()>>,
}

impl<R: Default + Send + 'static> Keeping<R> {
    /// Starts a thread that writes into those files; `what` it is called when something is lost.
    pub(super) fn start<F: Records<Record = R, Heading: Send> + Send + 'static>(
        series: Series<F>,
        depth: u32,
        tally: &Arc<Mutex<Tally>>,
        scope: Scope,
        what: &'static str,
    ) -> io::Result<Self> {
        let (queue, queued) = crossbeam_channel::unbounded();
        let (used, spare) = crossbeam_channel::unbounded();
        for _ in 0..depth {
            used.send(R::default()).expect("the other end is here");
        }
        let (tally, own) = (Arc::clone(tally), Arc::clone(tally));
        let writer = thread::Builder::new()
            .name(format!("recorder-{what}"))
            .spawn(move || write_all(series, &queued, &used, &own, &scope, what))?;
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
fn write_all<F: Records>(
    mut series: Series<F>,
    queued: &Receiver<F::Record>,
    used: &Sender<F::Record>,
    tally: &Mutex<Tally>,
    scope: &Scope,
    what: &str,
) {
    for record in queued {
        if let Err(error) = append(&mut series, &record, tally) {
            scope.report_loss(&format!("{what} not written"), &error.to_string());
        }
        // With nobody left who wants it, it is dropped.
        drop(used.send(record));
    }
    let mut counted = tally.lock().clone();
    if let Err(error) = series.end(&mut counted) {
        scope.report_loss("end mark", &error.to_string());
    }
}

fn append<F: Records>(series: &mut Series<F>, record: &F::Record, tally: &Mutex<Tally>) -> io::Result<()> {
    let mut counted = tally.lock().clone();
    let appended = series.append(record, &mut counted);
    let mut tally = tally.lock();
    (tally.files, tally.records) = (counted.files, counted.records);
    if let Err(error) = &appended {
        tally.missing.not_written += 1;
        tally.last_error = Some(error.to_string());
    }
    appended
}
