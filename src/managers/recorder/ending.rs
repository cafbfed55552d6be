//! The mark beside a file to which nothing more comes: whether it is complete, or what is missing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::prelude::*;

/// What did not get into the files, by the reason.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missing {
    /// Newer ones had taken their place in the stream or ring, before the recorder came to look.
    pub overtaken: u64,
    /// The queue was full.
    pub queue_full: u64,
    /// They could not be written.
    pub not_written: u64,
}

impl Missing {
    /// How many these are.
    pub fn total(&self) -> u64 {
        self.overtaken + self.queue_full + self.not_written
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            overtaken: self.overtaken - before.overtaken,
            queue_full: self.queue_full - before.queue_full,
            not_written: self.not_written - before.not_written,
        }
    }
}

/// What the file `NAME.end.json` says of the file `NAME`. While there is no such file, `NAME` is being written, or its
/// recorder was killed: then it can be read up to its last whole record.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct EndMark {
    /// Whether nothing is missing that was to come into this file.
    pub complete: bool,
    /// How many records it has.
    pub records: u64,
    /// What is missing, of what came while it was the file to be written.
    pub missing: Missing,
    /// The last reason why something could not be written.
    pub last_error: Option<String>,
    /// The name of the file that goes on where this one ends.
    pub continued_in: Option<String>,
}

impl EndMark {
    /// Where the mark of a file is.
    pub fn path_of(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(".end.json");
        name.into()
    }

    /// Puts the mark beside the file: whole, or not at all.
    pub(super) fn put_beside(&self, file: &Path) -> io::Result<()> {
        let path = Self::path_of(file);
        let unfinished = path.with_extension("json.part");
        let mut mark = File::create(&unfinished)?;
        serde_json::to_writer_pretty(&mut mark, self)?;
        mark.write_all(b"\n")?;
        fs::rename(&unfinished, &path)
    }
}
