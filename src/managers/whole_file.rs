//! A file that is appended to in whole records: what fails in the middle is taken back.
//!
//! Each record is written by system calls of its own, without a buffer: after a SIGKILL everything is there that
//! was reported as appended. After a power failure only what the system had written to the disk is.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// See the module's words.
#[derive(Debug)]
pub(super) struct WholeFile {
    file: File,
    path: PathBuf,
    /// Up to here it holds whole records.
    whole_bytes: u64,
}

impl WholeFile {
    /// Creates the file, or empties it, and writes its heading.
    pub(super) fn create(path: &Path, heading: &[u8]) -> io::Result<Self> {
        let file = File::create(path)?;
        let mut this = Self { file, path: path.to_owned(), whole_bytes: 0 };
        match this.append(&[heading]) {
            Ok(()) => Ok(this),
            // An empty file would be in the way of the next attempt.
            Err(error) => Err(fs::remove_file(path).err().unwrap_or(error)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// Appends a record of several parts, or nothing of it.
    pub(super) fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut at = self.whole_bytes;
        for part in parts {
            if let Err(error) = self.file.write_all_at(part, at) {
                return Err(self.take_back(self.whole_bytes, error));
            }
            at += part.len() as u64;
        }
        self.whole_bytes = at;
        Ok(())
    }

    /// Writes over bytes that are there already.
    pub(super) fn patch(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Cuts off what lies behind `whole_bytes`, because of an error; gives back what there is to say about it.
    pub(super) fn take_back(&mut self, whole_bytes: u64, error: io::Error) -> io::Error {
        match self.file.set_len(whole_bytes) {
            Ok(()) => self.whole_bytes = whole_bytes,
            Err(worse) => {
                let text = format!("{error}; and what was written of it could not be taken back: {worse}");
                return io::Error::new(error.kind(), text);
            }
        }
        error
    }
}
