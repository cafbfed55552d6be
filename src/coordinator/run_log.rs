//! The one log of a run: records, panics and stray prints of every process, with time, level and name.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use log::Level;

use super::outputs::escape;

/// Lines go into `run.log`, and to whatever logger the coordinator's process has.
pub(crate) struct RunLog {
    file: Option<BufWriter<File>>,
}

impl RunLog {
    /// Opens `run.log` in the run's folder.
    pub(crate) fn create(run_dir: &Path) -> std::io::Result<Self> {
        Ok(Self { file: Some(BufWriter::new(File::create(run_dir.join("run.log"))?)) })
    }

    /// Notes one line of a manager, or of the coordinator.
    pub(crate) fn line(&mut self, name: &str, level: Level, text: &str) {
        let text = escape(text);
        log::log!(target: name, level, "{text}");
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let Some(file) = &mut self.file else { return };
        if let Err(error) = writeln!(file, "{time} {level:<5} {name}: {text}") {
            log::error!(target: "labrig", "run.log cannot be written any further: {error}");
            self.file = None;
        }
    }

    /// Notes something about the rig itself.
    pub(crate) fn note(&mut self, level: Level, text: &str) {
        self.line("labrig", level, text);
    }

    /// Brings everything to the file; called whenever the main loop has nothing else to do.
    pub(crate) fn flush(&mut self) {
        if let Some(Err(error)) = self.file.as_mut().map(Write::flush) {
            log::error!(target: "labrig", "run.log cannot be written any further: {error}");
            self.file = None;
        }
    }
}
