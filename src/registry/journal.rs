//! The file of a journal of deeds: what a manager was asked for by a key, kept over any crash.
//!
//! A deed is written down before it begins and once more when it is done, and each time the file is synced before
//! anything follows from it. What could not be written whole is cut off before anything else is written; so is what a crash
//! has left at the end: a line that was never acknowledged. A line that is broken anywhere else is an error, since
//! something else has written there. When keys are forgotten, a new file takes the place of the old one, whole or not at all.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::deeds::{DeedError, Seen};
use crate::wire::{CommandId, IdempotencyKey};

/// What is asked for: a key, and by which command. A step that is not the same when it is run again may give a key to
/// another command, which is another deed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Deed {
    pub(super) key: IdempotencyKey,
    pub(super) command: CommandId,
}

/// See the module's words.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Nothing outside any rig.
    file: Option<File>,
    /// How much of the file is whole.
    whole: u64,
    /// Whether there may be something behind that.
    is_torn: bool,
    /// Whether a crash might bring the file back in whose place this one is.
    is_misplaced: bool,
    known: HashMap<Deed, Seen>,
}

impl Journal {
    /// Opens the journal of a manager, and cuts off what a crash has left at its end.
    pub(super) fn open(path: &Path) -> Result<Self, DeedError> {
        let failed = |source| DeedError::of_io(path, &source);
        let (whole, known) = read(path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        file.set_len(whole).and_then(|()| file.sync_all()).map_err(failed)?;
        // A file that nobody can find after a crash is no journal.
        [Some(folder), folder.parent()].into_iter().flatten().try_for_each(sync_folder).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            whole,
            is_torn: false,
            is_misplaced: false,
            known,
        })
    }

    /// The journal of a manager outside any rig: it is forgotten with the process.
    pub(super) fn unkept() -> Self {
        let (path, known) = (PathBuf::new(), HashMap::new());
        Self { path, file: None, whole: 0, is_torn: false, is_misplaced: false, known }
    }

    /// What is known of a deed. One that is new is written down as begun.
    pub(super) fn begin(&mut self, deed: &Deed) -> Result<Seen, DeedError> {
        match self.known.get(deed) {
            Some(seen) => Ok(*seen),
            None => self.write(deed, Seen::Started).map(|()| Seen::New),
        }
    }

    /// A deed is done. One that was forgotten meanwhile stays so.
    pub(super) fn finish(&mut self, deed: &Deed) -> Result<(), DeedError> {
        match self.known.get(deed) {
            Some(Seen::Started) => self.write(deed, Seen::Done),
            _ => Ok(()),
        }
    }

    /// The marks of the procedures of which there are keys.
    pub(super) fn marks(&self) -> BTreeSet<u64> {
        self.known.keys().map(|deed| deed.key.mark).collect()
    }

    /// Nobody will ask for the deeds of these procedures any more. When that cannot be written down, they are known
    /// still.
    pub(super) fn forget(&mut self, ended: &[u64]) -> Result<(), DeedError> {
        let is_over = |deed: &Deed| ended.contains(&deed.key.mark);
        if !self.known.keys().any(is_over) {
            return Ok(());
        }
        if self.file.is_some() {
            let kept = self.known.iter().filter(|(deed, _)| !is_over(deed));
            let text = kept.map(|(deed, seen)| line(deed, *seen)).collect::<String>();
            let file = replaced(&self.path, &text).map_err(|source| DeedError::of_io(&self.path, &source))?;
            (self.file, self.whole, self.is_torn) = (Some(file), text.len() as u64, false);
            self.is_misplaced = true;
        }
        self.known.retain(|deed, _| !is_over(deed));
        self.mend()
    }

    /// Sees to it that what is written next is found after a crash.
    fn mend(&mut self) -> Result<(), DeedError> {
        let failed = |source| DeedError::of_io(&self.path, &source);
        if let Some(file) = self.file.as_ref().filter(|_| self.is_torn) {
            file.set_len(self.whole).map_err(failed)?;
            self.is_torn = false;
        }
        if self.is_misplaced {
            sync_folder(self.path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
            self.is_misplaced = false;
        }
        Ok(())
    }

    fn write(&mut self, deed: &Deed, seen: Seen) -> Result<(), DeedError> {
        let text = line(deed, seen);
        self.mend()?;
        if let Some(file) = &mut self.file {
            self.is_torn = true;
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
            written.map_err(|source| DeedError::of_io(&self.path, &source))?;
            self.is_torn = false;
            self.whole += text.len() as u64;
        }
        self.known.insert(deed.clone(), seen);
        Ok(())
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all())
}

/// Puts a file of that text in the place of another, and opens it for more. The folder is still to be synced.
fn replaced(path: &Path, text: &str) -> io::Result<File> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    let file = OpenOptions::new().append(true).open(&draft)?;
    fs::rename(&draft, path)?;
    Ok(file)
}

/// How much of a journal is whole, and what it says.
fn read(path: &Path) -> Result<(u64, HashMap<Deed, Seen>), DeedError> {
    let mut known = HashMap::new();
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(DeedError::of_io(path, &source)),
    };
    let mut whole = 0;
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for (number, bytes) in lines.iter().enumerate() {
        match deed(bytes) {
            Some((deed, seen)) => drop(known.insert(deed, seen)),
            None if number + 1 == lines.len() => break,
            None => return Err(DeedError::damaged(path, number + 1)),
        }
        whole += bytes.len() as u64;
    }
    Ok((whole, known))
}

fn line(deed: &Deed, seen: Seen) -> String {
    let word = if seen == Seen::Done { "done" } else { "begun" };
    let Deed { key: IdempotencyKey { procedure, mark, step, index }, command } = deed;
    let text = format!("{word} {:016x} {mark:016x} {step} {index} {procedure}", command.0);
    format!("{:016x} {text}\n", checksum(text.as_bytes()))
}

fn deed(bytes: &[u8]) -> Option<(Deed, Seen)> {
    let whole = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (sum, text) = whole.split_once(' ')?;
    let hex = |word| u64::from_str_radix(word, 16).ok();
    if hex(sum)? != checksum(text.as_bytes()) {
        return None;
    }
    let mut parts = text.splitn(6, ' ');
    let seen = if parts.next()? == "done" { Seen::Done } else { Seen::Started };
    let (command, mark) = (CommandId(hex(parts.next()?)?), hex(parts.next()?)?);
    let (step, index) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let key = IdempotencyKey { procedure: parts.next()?.to_owned(), mark, step, index };
    Some((Deed { key, command }, seen))
}

/// Fowler, Noll and Vo's: torn lines are to be known, not forged ones.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
