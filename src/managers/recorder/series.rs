//! Files one after the other: a new one when the last is large or old enough.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ending::{EndMark, Missing};

/// A kind of file, and what is appended to it.
pub(super) trait Records: Sized {
    /// What is appended, whole or not at all.
    type Record;
    /// What such a file begins with.
    type Heading;
    /// How names of such files end.
    const EXTENSION: &'static str;

    /// Creates the file.
    fn create(path: &Path, heading: &Self::Heading) -> io::Result<Self>;
    /// Appends a record. When that fails the file is as it was before.
    fn append(&mut self, record: &Self::Record) -> io::Result<()>;
    /// How long the file is.
    fn bytes(&self) -> u64;
    /// About how much longer a record makes it.
    fn bytes_of(record: &Self::Record) -> u64;
    /// As how many records it counts.
    fn count_of(_: &Self::Record) -> u64 {
        1
    }
}

/// When a file is large or old enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: u64,
    pub(super) age: Option<Duration>,
}

/// How a series gets on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tally {
    pub(super) files: u64,
    pub(super) records: u64,
    pub(super) missing: Missing,
    pub(super) last_error: Option<String>,
}

/// The file that is being written.
#[derive(Debug)]
struct Open<F> {
    file: F,
    path: PathBuf,
    since: Instant,
    records: u64,
    /// What was missing before.
    missing: Missing,
}

/// The files `PREFIX-0001.EXT`, `PREFIX-0002.EXT` … of a folder. None is written over: it begins with the first number that
/// is free.
#[derive(Debug)]
pub(super) struct Series<F: Records> {
    prefix: PathBuf,
    heading: F::Heading,
    limits: Limits,
    open: Option<Open<F>>,
    number: u64,
}

impl<F: Records> Series<F> {
    pub(super) fn new(prefix: PathBuf, heading: F::Heading, limits: Limits) -> Self {
        Self { prefix, heading, limits, open: None, number: 0 }
    }

    /// Appends a record, to a new file when it is time for one.
    ///
    /// # Errors
    /// What the system says of it; the record is in no file then, and the next may get in.
    pub(super) fn append(&mut self, record: &F::Record, tally: &mut Tally) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| self.is_full(open, record)) {
            let next = self.free_path();
            self.close(Some(&next), tally)?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(tally)?);
        }
        let open = self.open.as_mut().expect("it was just begun");
        open.file.append(record)?;
        open.records += F::count_of(record);
        tally.records += F::count_of(record);
        Ok(())
    }

    /// Nothing more comes: the last file gets its mark.
    pub(super) fn end(&mut self, tally: &mut Tally) -> io::Result<()> {
        self.close(None, tally)
    }

    fn is_full(&self, open: &Open<F>, record: &F::Record) -> bool {
        let bytes = open.file.bytes() + F::bytes_of(record);
        // One record at least, however large.
        open.records > 0
            && (bytes > self.limits.bytes || self.limits.age.is_some_and(|age| open.since.elapsed() >= age))
    }

    fn begin(&mut self, tally: &mut Tally) -> io::Result<Open<F>> {
        let path = self.free_path();
        let file = F::create(&path, &self.heading)
            .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))?;
        tally.files += 1;
        // What is missing before the first file there is belongs to that one.
        let missing = if tally.files == 1 { Missing::default() } else { tally.missing };
        Ok(Open { file, path, since: Instant::now(), records: 0, missing })
    }

    fn free_path(&mut self) -> PathBuf {
        loop {
            let mut name = self.prefix.as_os_str().to_owned();
            name.push(format!("-{:04}.{}", self.number + 1, F::EXTENSION));
            let path = PathBuf::from(name);
            if !path.exists() {
                return path;
            }
            self.number += 1;
        }
    }

    fn close(&mut self, next: Option<&Path>, tally: &mut Tally) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let missing = tally.missing.since(open.missing);
        let mark = EndMark {
            complete: missing.total() == 0,
            records: open.records,
            missing,
            last_error: tally.last_error.clone().filter(|_| missing.not_written > 0),
            continued_in: next.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()),
        };
        mark.put_beside(&open.path)
    }
}
