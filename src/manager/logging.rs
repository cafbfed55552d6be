//! A manager's log records go to the coordinator, over its pipe but never at a command's cost.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::link::Link;
use crate::wire::control::ManagerWord;

/// The longest message that is sent whole, in bytes.
const MAX_MESSAGE_BYTES: usize = 8 * 1024;

struct PipeLog {
    link: Arc<Link>,
    dropped: AtomicU64,
}

thread_local! {
    /// Set while a record is on its way, so that what goes wrong on that way is not logged again.
    static IS_LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Sends this process's records to the coordinator from now on.
pub(super) fn install(link: Arc<Link>, level: u8) {
    let filter = match level {
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        4 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    // A program that has installed a logger of its own keeps it: its lines are on standard error, which
    // the coordinator reads as well.
    if log::set_boxed_logger(Box::new(PipeLog { link, dropped: AtomicU64::new(0) })).is_ok() {
        log::set_max_level(filter);
    }
}

impl Log for PipeLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if IS_LOGGING.replace(true) {
            return;
        }
        self.send(record);
        IS_LOGGING.set(false);
    }

    /// Tells how many records were dropped, for as long as it may take: no further one may come that would.
    fn flush(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.link.tell(&ManagerWord::LogsDropped(dropped));
        }
    }
}

impl PipeLog {
    fn send(&self, record: &Record<'_>) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 && self.link.try_tell(&ManagerWord::LogsDropped(dropped)).is_err() {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        let mut message = record.args().to_string();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        let word =
            ManagerWord::Log { level: number(record.level()), target: record.target().to_owned(), message };
        if self.link.try_tell(&word).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn number(level: Level) -> u8 {
    level as u8
}
