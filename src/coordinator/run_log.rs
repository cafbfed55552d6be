//! The one log of a run: records, panics and stray prints of every process, with time, level and name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use log::Level;

use super::lines::one_line;

/// Lines go into `run.log`, and to whatever logger the coordinator's process has.
pub(crate) struct RunLog {
    file: Option<BufWriter<File>>,
    /// Who a line is from, as it is shown: `camera#2` in its second life.
    speakers: HashMap<String, String>,
}

impl RunLog {
    /// Opens `run.log` in the run's folder.
    pub(crate) fn create(run_dir: &Path) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(run_dir.join("run.log"))?);
        Ok(Self { file: Some(file), speakers: HashMap::new() })
    }

    /// From now on the lines of that manager are those of this life of it.
    pub(crate) fn begin_life(&mut self, manager: &str, generation: u32) {
        self.speakers.insert(manager.to_owned(), format!("{manager}#{generation}"));
    }

    /// Notes one line of a manager, or of the coordinator.
    pub(crate) fn line(&mut self, name: &str, level: Level, text: &str) {
        let text = one_line(text, false);
        let name = self.speakers.get(name).map_or(name, String::as_str);
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

/// How many lines may wait for the main loop.
const MOST_NOTES: usize = 1024;

/// Lines for the log that other threads leave for the main loop, because the file is its own.
#[derive(Default)]
pub(crate) struct Notes {
    lines: Vec<String>,
    dropped: u64,
}

impl Notes {
    /// Adds a line, or counts it when too many wait; says whether it is the first that waits.
    pub(crate) fn add(&mut self, line: impl FnOnce() -> String) -> bool {
        if self.lines.len() < MOST_NOTES {
            self.lines.push(line());
        } else {
            self.dropped += 1;
        }
        self.lines.len() == 1
    }
}

impl RunLog {
    /// Writes what others have left.
    pub(crate) fn warn_of(&mut self, notes: Notes) {
        notes.lines.iter().for_each(|line| self.note(Level::Warn, line));
        if notes.dropped > 0 {
            let text = format!("{} more lines of this kind were dropped: they came too fast", notes.dropped);
            self.note(Level::Warn, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;
    use crate::coordinator::lines::MAX_LINE_BYTES;

    #[test]
    fn every_line_has_time_level_manager_and_generation() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = RunLog::create(folder.path()).expect("a log");
        log.line("camera", Level::Info, "not started yet");
        log.begin_life("camera", 1);
        log.line("camera", Level::Warn, "first\nlife");
        log.begin_life("camera", 2);
        log.line("camera", Level::Error, &"x".repeat(MAX_LINE_BYTES + 1));
        log.note(Level::Info, "the rig quits");
        log.flush();
        let text = fs::read_to_string(folder.path().join("run.log")).expect("it was written");
        let lines: Vec<_> =
            text.lines().map(|line| line.split_once(' ').expect("a time comes first")).collect();
        for (time, _) in &lines {
            assert!(humantime::parse_rfc3339(time).is_ok_and(|time| time <= SystemTime::now()), "{time}");
        }
        let said: Vec<_> = lines.iter().map(|(_, said)| *said).collect();
        assert_eq!(said[..2], ["INFO  camera: not started yet", "WARN  camera#1: first\\u{a}life"]);
        assert!(
            said[2].starts_with("ERROR camera#2: xxx") && said[2].ends_with("xxx … (cut)"),
            "{}",
            said[2]
        );
        assert_eq!(said[3..], ["INFO  labrig: the rig quits"]);
    }

    #[test]
    fn what_others_leave_is_written_in_order_and_what_there_is_no_room_for_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = RunLog::create(folder.path()).expect("a log");
        let mut notes = Notes::default();
        let first =
            (0..MOST_NOTES + 7).map(|number| notes.add(|| format!("note {number}"))).collect::<Vec<_>>();
        assert!(first[0] && !first[1..].iter().any(|is_first| *is_first), "the main loop is woken once");
        log.warn_of(notes);
        log.flush();
        let text = fs::read_to_string(folder.path().join("run.log")).expect("it was written");
        let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
        assert_eq!(lines[..2], ["WARN  labrig: note 0", "WARN  labrig: note 1"]);
        assert_eq!(lines.len(), MOST_NOTES + 1);
        assert!(lines[MOST_NOTES].starts_with("WARN  labrig: 7 more lines"), "{}", lines[MOST_NOTES]);
    }
}
