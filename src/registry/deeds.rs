//! The journal of deeds: what a manager was asked for by a key, kept over any crash.
//!
//! A deed is written down before it begins and once more when it is done, and each time the file is synced before
//! anything follows from it. Whatever a crash has left at the end of the file is a line that was never acknowledged: it is
//! cut off. A line that is broken anywhere else is an error, since something else has written there.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::context::Context;
use crate::wire::IdempotencyKey;

/// What a manager knows of a deed that it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was never asked for.
    New,
    /// It was begun, and nobody knows how far it came: the process ended before it was marked as done.
    Started,
    /// It was done.
    Done,
}

/// Why a deed could not be looked up or written down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeedError {
    /// The journal cannot be read or written; the deed is not to begin.
    #[error("the journal of deeds `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else has written into it. Nothing was changed.
    #[error("the journal of deeds `{}` is damaged in line {line}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
    },
}

/// See the module's words.
pub(super) struct Deeds {
    path: PathBuf,
    /// Nothing outside any rig.
    file: Option<File>,
    known: HashMap<IdempotencyKey, Seen>,
}

impl Deeds {
    /// Opens the journal of a manager, and cuts off what a crash has left at its end.
    pub(super) fn open(path: &Path) -> Result<Self, DeedError> {
        let failed = |source| DeedError::File { path: path.to_owned(), source };
        let (text, known) = read(path)?;
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = options.open(path).map_err(failed)?;
        file.set_len(text as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        // A file that nobody can find after a crash is no journal.
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file: Some(file), known })
    }

    /// The journal of a manager outside any rig: it is forgotten with the process.
    pub(super) fn unkept() -> Self {
        Self { path: PathBuf::new(), file: None, known: HashMap::new() }
    }

    /// What is known of a deed. One that is new is written down as begun.
    pub(super) fn begin(&mut self, key: &IdempotencyKey) -> Result<Seen, DeedError> {
        match self.known.get(key) {
            Some(seen) => Ok(*seen),
            None => self.write(key, Seen::Started).map(|()| Seen::New),
        }
    }

    /// A deed is done.
    pub(super) fn finish(&mut self, key: &IdempotencyKey) -> Result<(), DeedError> {
        match self.known.get(key) {
            Some(Seen::Done) => Ok(()),
            _ => self.write(key, Seen::Done),
        }
    }

    /// Nobody will ask for the deeds of that procedure any more.
    pub(super) fn forget(&mut self, procedure: &str) -> Result<(), DeedError> {
        let failed = |source| DeedError::File { path: self.path.clone(), source };
        self.known.retain(|key, _| key.procedure != procedure);
        if self.file.is_none() {
            return Ok(());
        }
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft).map_err(failed)?;
        let lines = self.known.iter().map(|(key, seen)| line(key, *seen)).collect::<String>();
        file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&draft, &self.path).map_err(failed)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path).map_err(failed)?);
        Ok(())
    }

    fn write(&mut self, key: &IdempotencyKey, seen: Seen) -> Result<(), DeedError> {
        if let Some(file) = &mut self.file {
            let written = file.write_all(line(key, seen).as_bytes()).and_then(|()| file.sync_data());
            written.map_err(|source| DeedError::File { path: self.path.clone(), source })?;
        }
        self.known.insert(key.clone(), seen);
        Ok(())
    }
}

impl Context {
    /// What this manager knows of a deed that it is asked for by a key, in this run of the rig or any before it. One that is
    /// new is written down as begun before this returns. A step of a procedure that is run again after a crash gives the
    /// same keys ([`StepContext::key`](crate::procedure::StepContext::key)); a command carries one as a field.
    ///
    /// ```
    /// use labrig::prelude::*;
    /// use labrig::registry::{DeedError, Seen};
    ///
    /// /// Gives one dose.
    /// #[derive(Command, Serialize, Deserialize, Schema)]
    /// struct GiveDose {
    ///     key: IdempotencyKey,
    /// }
    ///
    /// struct Pump;
    ///
    /// impl Pump {
    ///     fn give_dose(&mut self, command: GiveDose, context: &mut Context) -> Result<(), DeedError> {
    ///         match context.seen_before(&command.key)? {
    ///             Seen::Done => return Ok(()),
    ///             Seen::Started => { /* only the device can tell whether it was given */ }
    ///             Seen::New => {}
    ///         }
    ///         // The pump is run.
    ///         context.mark_done(&command.key)
    ///     }
    /// }
    /// ```
    ///
    /// **What is guaranteed**, whatever is killed, power failures included as far as the disk keeps what it has synced:
    /// [`New`](Seen::New) is said once for a key, and [`Done`](Seen::Done) only after [`mark_done`](Self::mark_done).
    /// **What is not**: whether a deed that has [`Started`](Seen::Started) came to its end, or began at all. No journal can know
    /// that; ask the device. Each of the two is a write that is synced, some milliseconds on most disks.
    ///
    /// The journal is `deeds/<manager>.journal` in the rig's state folder. Keys stay until
    /// [`forget_deeds`](Self::forget_deeds). Outside any rig nothing is kept.
    ///
    /// # Errors
    /// [`DeedError`] when the journal cannot be read or written. The deed is not to begin then.
    pub fn seen_before(&mut self, key: &IdempotencyKey) -> Result<Seen, DeedError> {
        self.deeds()?.begin(key)
    }

    /// A deed is done: from now on, [`seen_before`](Self::seen_before) says so.
    ///
    /// # Errors
    /// [`DeedError`] when that cannot be written down: after a crash it will count as started.
    pub fn mark_done(&mut self, key: &IdempotencyKey) -> Result<(), DeedError> {
        self.deeds()?.finish(key)
    }

    /// The deeds of a procedure that has ended for good need not be known any longer.
    ///
    /// # Errors
    /// [`DeedError`] when the journal cannot be written; then they may still be known.
    pub fn forget_deeds(&mut self, procedure: &str) -> Result<(), DeedError> {
        self.deeds()?.forget(procedure)
    }

    fn deeds(&mut self) -> Result<&mut Deeds, DeedError> {
        if self.deeds.is_none() {
            let state = self.state_dir();
            let file = state.join("deeds").join(format!("{}.journal", self.manager()));
            let is_kept = !state.as_os_str().is_empty();
            self.deeds = Some(if is_kept { Deeds::open(&file)? } else { Deeds::unkept() });
        }
        Ok(self.deeds.as_mut().expect("it was opened just now"))
    }
}

/// How much of a journal is whole, and what it says.
fn read(path: &Path) -> Result<(usize, HashMap<IdempotencyKey, Seen>), DeedError> {
    let mut known = HashMap::new();
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(DeedError::File { path: path.to_owned(), source }),
    };
    let mut whole = 0;
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for (number, bytes) in lines.iter().enumerate() {
        match deed(bytes) {
            Some((key, seen)) => drop(known.insert(key, seen)),
            None if number + 1 == lines.len() => break,
            None => return Err(DeedError::Damaged { path: path.to_owned(), line: number + 1 }),
        }
        whole += bytes.len();
    }
    Ok((whole, known))
}

fn line(key: &IdempotencyKey, seen: Seen) -> String {
    let word = if seen == Seen::Done { "done" } else { "begun" };
    let text = format!("{word} {} {} {}", key.step, key.index, key.procedure);
    format!("{:016x} {text}\n", checksum(text.as_bytes()))
}

fn deed(bytes: &[u8]) -> Option<(IdempotencyKey, Seen)> {
    let whole = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (sum, text) = whole.split_once(' ')?;
    if u64::from_str_radix(sum, 16).ok()? != checksum(text.as_bytes()) {
        return None;
    }
    let mut parts = text.splitn(4, ' ');
    let seen = match parts.next()? {
        "done" => Seen::Done,
        _ => Seen::Started,
    };
    let (step, index) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((IdempotencyKey { procedure: parts.next()?.to_owned(), step, index }, seen))
}

/// Fowler, Noll and Vo's: torn lines are to be known, not forged ones.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(step: u64) -> IdempotencyKey {
        IdempotencyKey { procedure: "night scan-1".to_owned(), step, index: 0 }
    }

    fn check(deeds: &mut Deeds, step: u64, expected: Seen) {
        assert_eq!(deeds.begin(&key(step)).expect("it can be written"), expected, "step {step}");
    }

    #[test]
    fn a_deed_is_new_once_and_then_begun_until_it_is_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deeds/motor.journal");
        let open = || Deeds::open(&path).expect("it opens");
        let mut deeds = open();
        check(&mut deeds, 1, Seen::New);
        check(&mut deeds, 1, Seen::Started);
        deeds.finish(&key(1)).expect("written");
        check(&mut deeds, 2, Seen::New);
        let mut deeds = open();
        check(&mut deeds, 1, Seen::Done);
        check(&mut deeds, 2, Seen::Started);
        deeds.forget("night scan-1").expect("rewritten");
        check(&mut deeds, 3, Seen::New);
        let mut deeds = open();
        check(&mut deeds, 1, Seen::New);
        check(&mut deeds, 3, Seen::Started);
    }

    #[test]
    fn wherever_a_crash_cuts_it_what_was_acknowledged_before_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("motor.journal");
        let mut deeds = Deeds::open(&path).expect("it opens");
        check(&mut deeds, 1, Seen::New);
        deeds.finish(&key(1)).expect("written");
        let acknowledged = fs::read(&path).expect("there").len();
        check(&mut deeds, 2, Seen::New);
        let whole = fs::read(&path).expect("there");
        for cut in acknowledged..whole.len() {
            fs::write(&path, &whole[..cut]).expect("written");
            let mut deeds = Deeds::open(&path).expect("a torn end is cut off");
            check(&mut deeds, 1, Seen::Done);
            check(&mut deeds, 2, Seen::New);
            check(&mut Deeds::open(&path).expect("it opens"), 2, Seen::Started);
        }
        fs::write(&path, [&b"x"[..], &whole].concat()).expect("written");
        assert!(matches!(Deeds::open(&path), Err(DeedError::Damaged { line: 1, .. })));
    }
}
