//! The course of signals: all of them at the same moments, a row each time.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use serde_json::Value;

use super::book::Book;
use super::csv_table::{CsvTable, Rows, heading};
use crate::prelude::*;
use crate::remote::AnySignal;
use crate::shm::monotonic_ns;

/// Reads signals on a thread of its own, from a first moment on. Dropping it ends that, and puts the mark beside the file.
pub(super) struct Sampling {
    /// Sends nothing: its end is the word to end.
    stop: Option<Sender<()>>,
    sampler: Option<JoinHandle<()>>,
}

/// What the thread works with.
pub(super) struct Sampler {
    pub(super) signals: Vec<AnySignal>,
    pub(super) period: Duration,
    pub(super) book: Book<CsvTable>,
}

impl Sampling {
    pub(super) fn start(sampler: Sampler) -> std::io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let sampler =
            thread::Builder::new().name("recorder-signals".into()).spawn(move || sampler.run(&stopped))?;
        Ok(Self { stop: Some(stop), sampler: Some(sampler) })
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        self.stop = None;
        let sampler = self.sampler.take().expect("it is there until now");
        if sampler.join().is_err() {
            log::error!("the thread that samples signals has panicked");
        }
    }
}

/// The columns of a table of such signals.
pub(super) fn columns(signals: &[AnySignal]) -> Vec<String> {
    let named = |signal: &AnySignal| heading(signal.name(), signal.field().unit.as_deref());
    let times = ["unix_time_s".to_owned(), "host_time_ns".to_owned()];
    times.into_iter().chain(signals.iter().map(named)).collect()
}

impl Sampler {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut next = Instant::now();
        while stopped.recv_timeout(next.saturating_duration_since(Instant::now()))
            == Err(RecvTimeoutError::Timeout)
        {
            self.sample();
            // What a slow disk made it miss is not made up for.
            next = (next + self.period).max(Instant::now());
        }
        self.book.end();
    }

    fn sample(&mut self) {
        let unix_time_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let times = [format!("{unix_time_s:.6}"), monotonic_ns().to_string()];
        self.book.append(&Rows::of(times.into_iter().chain(self.signals.iter_mut().map(cell))));
    }
}

/// A value as it is written down; nothing where there is none, or only one of a life that has ended.
fn cell(signal: &mut AnySignal) -> String {
    match signal.read() {
        Ok(Reading { is_stale: false, value: Value::String(text), .. }) => text,
        Ok(Reading { is_stale: false, value, .. }) => value.to_string(),
        Ok(_) | Err(_) => String::new(),
    }
}
