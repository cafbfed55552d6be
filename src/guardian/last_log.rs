//! The log of last resort: what the guardian did, in `guardian.log` in the run's folder.
//!
//! The file is made when there is something to write. One that cannot be written is nobody's to hear of: the
//! coordinator is gone, and there is work to do.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Instant, SystemTime};

/// See the module's words.
pub(super) struct LastLog {
    file: Option<File>,
    begun_at: Instant,
}

impl LastLog {
    /// Opens the log; times are counted from now on.
    pub(super) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).ok();
        Self { file, begun_at: Instant::now() }
    }

    /// Writes down one line, and how long after the coordinator's end it is.
    pub(super) fn line(&mut self, text: &str) {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let since_ms = self.begun_at.elapsed().as_secs_f64() * 1e3;
        if let Some(Err(_)) =
            self.file.as_mut().map(|file| writeln!(file, "{time} {since_ms:>9.1} ms: {text}"))
        {
            self.file = None;
        }
    }

    /// The file, for what a safe program prints.
    pub(super) fn double(&self) -> Option<File> {
        self.file.as_ref()?.try_clone().ok()
    }
}
