//! Rows that another manager shares, one after the other into a table.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::csv_table::{CsvTable, Rows};
use super::series::{Series, Tally};
use crate::prelude::*;
use crate::remote::shared::{RowBatch, Stopper};

/// For ever: whoever waits is woken when the recording ends.
const ENDLESS: Duration = Duration::MAX;

/// Follows a row ring on a thread of its own. Dropping it writes down what is there, and puts the mark beside the file.
pub(super) struct Following {
    stopper: Stopper,
    follower: Option<JoinHandle<()>>,
}

/// What the thread works with.
pub(super) struct Follower {
    pub(super) rows: RowReader,
    pub(super) series: Series<CsvTable>,
    pub(super) tally: Arc<Mutex<Tally>>,
    pub(super) scope: Scope,
}

impl Following {
    pub(super) fn start(follower: Follower) -> std::io::Result<Self> {
        let stopper = follower.rows.stopper();
        let follower = thread::Builder::new().name("recorder-rows".into()).spawn(move || follower.run())?;
        Ok(Self { stopper, follower: Some(follower) })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stopper.stop();
        let follower = self.follower.take().expect("it is there until now");
        if follower.join().is_err() {
            log::error!("the thread that writes rows down has panicked");
        }
    }
}

/// The columns of a table of such rows.
pub(super) fn columns(rows: &RowReader) -> Vec<String> {
    let named = rows.columns().iter().map(|column| match &column.unit {
        Some(unit) => format!("{} [{unit}]", column.name),
        None => column.name.clone(),
    });
    ["generation", "row", "host_time_ns"].map(str::to_owned).into_iter().chain(named).collect()
}

impl Follower {
    fn run(mut self) {
        loop {
            let next = match self.rows.wait(ENDLESS) {
                Err(SharedError::Ended { .. }) => self.rows.wait_for_next_life(ENDLESS).map(drop),
                next => next,
            };
            self.write_down();
            match next {
                Ok(()) => {}
                Err(SharedError::Cancelled { .. }) => break,
                Err(error) => {
                    self.scope.report_loss("rows", &error.to_string());
                    break;
                }
            }
        }
        let mut tally = self.tally.lock();
        if let Err(error) = self.series.end(&mut tally) {
            self.scope.report_loss("end mark", &error.to_string());
        }
    }

    /// Whatever is there.
    fn write_down(&mut self) {
        // Without a manager there is nothing.
        while let Ok(batch) = self.rows.read() {
            let mut tally = self.tally.lock();
            tally.missing.overtaken += batch.lost();
            if batch.is_empty() {
                return;
            }
            let rows = lines(&batch);
            if let Err(error) = self.series.append(&rows, &mut tally) {
                tally.missing.not_written += batch.len() as u64;
                tally.last_error = Some(error.to_string());
                self.scope.report_loss("rows not written", &error.to_string());
            }
        }
    }
}

fn lines(batch: &RowBatch<'_>) -> Rows {
    let generation = f64::from(batch.generation());
    let mut rows = Rows::default();
    for row in batch.iter() {
        let place = [generation.to_string(), row.number().to_string(), row.at_ns().to_string()];
        rows.add(place.into_iter().chain(row.values().map(|value| value.to_string())));
    }
    rows
}
