//! `trace.csv`: the end of every call, one a line, with who asked whom and how long it took.
//!
//! Written by the main loop when it has nothing else to do, at most twice a second and at the end of the run, so
//! that no call waits for a disk. Columns:
//! `time_s` since the rig began, `sender`, `target`, `generation` of the target, `command`, `call` (the
//! coordinator's number of it), `queue_us` (in queues and pipes, both ways), `handler_us` (in its handler; empty
//! when the target has not said), `ending`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::router::TracedEnding;

/// How long endings are kept in memory, as long as there are new ones: writing each by itself costs more than its call.
const BETWEEN_WRITES: Duration = Duration::from_millis(500);

const HEADER: &str = "time_s,sender,target,generation,command,call,queue_us,handler_us,ending";

/// See the module's words.
pub(super) struct Trace {
    file: Option<BufWriter<File>>,
    begun_at: Instant,
    written_at: Instant,
}

impl Trace {
    /// Begins `trace.csv` in the run's folder.
    pub(super) fn create(run_dir: &Path) -> std::io::Result<Self> {
        let mut file = BufWriter::new(File::create(run_dir.join("trace.csv"))?);
        writeln!(file, "{HEADER}")?;
        let now = Instant::now();
        Ok(Self { file: Some(file), begun_at: now, written_at: now })
    }

    /// Whether it is time to write again.
    pub(super) fn is_due(&self) -> bool {
        self.written_at.elapsed() >= BETWEEN_WRITES
    }

    /// Writes how a call ended, at that time. The names are who asked, who was
    /// asked, and for what.
    pub(super) fn line(&mut self, at: Instant, ending: &TracedEnding, [sender, target, command]: [&str; 3]) {
        let time_s = at.saturating_duration_since(self.begun_at).as_secs_f64();
        let whole = at.saturating_duration_since(ending.accepted_at);
        let queue_us = whole.saturating_sub(ending.handler.unwrap_or_default()).as_micros();
        let handler_us = ending.handler.map_or_else(String::new, |handler| handler.as_micros().to_string());
        let TracedEnding { generation, call, ending, .. } = ending;
        self.write(&format!(
            "{time_s:.6},{sender},{target},{},{command},{call},{queue_us},{handler_us},{ending}\n",
            generation.0
        ));
    }

    /// Brings everything to the file.
    pub(super) fn flush(&mut self) {
        self.written_at = Instant::now();
        let flushed = self.file.as_mut().map_or(Ok(()), Write::flush);
        self.give_up_on(flushed);
    }

    fn write(&mut self, line: &str) {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()));
        self.give_up_on(written);
    }

    fn give_up_on(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written {
            log::error!(target: "labrig", "trace.csv cannot be written any further: {error}");
            self.file = None;
        }
    }
}
