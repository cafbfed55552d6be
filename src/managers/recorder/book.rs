//! A series of files that is kept: what is written, what is missing and why, and who is told of it.
//!
//! One thread writes. Others count and ask meanwhile, and do not wait for a disk: nothing is locked while it writes.

use std::sync::Arc;

use parking_lot::Mutex;

use super::series::{Records, Series, Tally};
use crate::prelude::*;

/// See the module's words.
pub(super) struct Book<F: Records> {
    pub(super) series: Series<F>,
    pub(super) tally: Arc<Mutex<Tally>>,
    pub(super) scope: Scope,
    /// What its records are called when some are lost.
    pub(super) what: &'static str,
}

impl<F: Records> Book<F> {
    /// Writes a record down, or counts it as missing and says so.
    pub(super) fn append(&mut self, record: &F::Record) {
        let mut counted = self.tally.lock().clone();
        let appended = self.series.append(record, &mut counted);
        let mut tally = self.tally.lock();
        (tally.files, tally.records) = (counted.files, counted.records);
        if let Err(error) = appended {
            tally.missing.not_written += F::count_of(record);
            tally.last_error = Some(error.to_string());
            drop(tally);
            self.scope.report_loss(&format!("{} not written", self.what), &error.to_string());
        }
    }

    /// Nothing more comes: the last file gets its mark.
    pub(super) fn end(&mut self) {
        let mut counted = self.tally.lock().clone();
        if let Err(error) = self.series.end(&mut counted) {
            self.scope.report_loss("end mark", &error.to_string());
        }
    }
}
