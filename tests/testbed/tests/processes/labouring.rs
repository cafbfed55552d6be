//! Rigs of labourers: a door that their tasks wait for, and what they have written down.

use std::fs;
use std::path::PathBuf;

use crate::support::{eventually, launch};
use labrig::{PendingReply, Rig};
use labrig_testbed::labourer::{LabourAgain, TaskDone, TaskEnd};

/// A folder with a door that is shut, and a journal.
pub struct Site {
    folder: tempfile::TempDir,
}

/// What one labourer has written in one life of what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub by: String,
    pub generation: u32,
    pub what: String,
    pub number: u64,
}

impl Site {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn door(&self) -> PathBuf {
        self.folder.path().join("door")
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// The table of a labourer, or of a pool of them.
    pub fn labourer(&self, name: &str, keys: &str) -> String {
        format!(
            "[managers.{name}]\nkind = \"labourer\"\n{keys}\n[managers.{name}.config]\njournal = {:?}\ndoor = {:?}\n",
            self.journal(),
            self.door()
        )
    }

    /// A rig of one labourer that is started again whenever it dies.
    pub fn lone(&self, keys: &str) -> Rig {
        let keys = format!("restart_policy = \"on-failure\"\nrestart_delay_ms = 1\n{keys}");
        launch(&self.labourer("left", &keys))
    }

    pub fn open_door(&self) {
        fs::write(self.door(), "").expect("the folder can be written");
    }

    /// All that was written down so far.
    pub fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(self.journal()).unwrap_or_default();
        let entry = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            let [by, generation, what, number] = words[..] else { panic!("{line}") };
            let (generation, number) = (generation.parse(), number.parse());
            Entry {
                by: by.to_owned(),
                generation: generation.expect("a number"),
                what: what.to_owned(),
                number: number.expect("a number"),
            }
        };
        text.lines().map(entry).collect()
    }

    /// Who has begun with a task, in which life, each time that it was.
    pub fn begun(&self, number: u64) -> Vec<(String, u32)> {
        self.those("begins", number)
    }

    /// Who has come to its end.
    pub fn ended(&self, number: u64) -> Vec<(String, u32)> {
        self.those("ends", number)
    }

    fn those(&self, what: &str, number: u64) -> Vec<(String, u32)> {
        let entries = self.entries().into_iter();
        let those = entries.filter(|entry| entry.what == what && entry.number == number);
        those.map(|entry| (entry.by, entry.generation)).collect()
    }

    /// Waits until so many have begun with a task, and gives the last one.
    pub fn until_begun(&self, number: u64, times: usize) -> (String, u32) {
        eventually(&format!("the beginning of task {number}"), || self.begun(number).len() >= times);
        self.begun(number)[times - 1].clone()
    }
}

/// A task that may be done twice, and waits for the door.
pub fn again(rig: &Rig, number: u64) -> PendingReply<TaskDone> {
    let task = LabourAgain { number, end: TaskEnd::WhenTheDoorIsOpen };
    rig.scope().without_deadline().request(task).expect("accepted")
}
