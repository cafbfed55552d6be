//! Rows that another manager shares, one after the other into a table.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::book::Book;
use super::csv_table::{CsvTable, Rows, heading};
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
    pub(super) book: Book<CsvTable>,
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
    let named = rows.columns().iter().map(|column| heading(&column.name, column.unit.as_deref()));
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
                    self.book.scope.report_loss("rows", &error.to_string());
                    break;
                }
            }
        }
        self.book.end();
    }

    /// Whatever is there.
    fn write_down(&mut self) {
        // Without a manager there is nothing.
        while let Ok(batch) = self.rows.read() {
            self.book.tally.lock().missing.overtaken += batch.lost();
            if batch.is_empty() {
                return;
            }
            self.book.append(&lines(&batch));
        }
    }
}

fn lines(batch: &RowBatch<'_>) -> Rows {
    let mut rows = Rows::default();
    for row in batch.iter() {
        let place = [batch.generation().to_string(), row.number().to_string(), row.at_ns().to_string()];
        rows.add(place.into_iter().chain(row.values().map(|value| value.to_string())));
    }
    rows
}
