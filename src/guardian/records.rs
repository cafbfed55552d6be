//! What the coordinator tells its guardian: records of fixed layout, little-endian, one per packet.
//!
//! Numbers are 1, 2 or 4 bytes, texts are two bytes of length and that many bytes. A record is read whole or not at
//! all: lengths are checked, and nothing may be left over. Descriptors travel beside it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The layout's number; both are of one version of labrig, so that another one is a mistake.
const VERSION: u16 = 2;
/// The longest record, in bytes.
pub(super) const MAX_RECORD_BYTES: usize = 64 * 1024;
/// The most words of a safe program's command line, and variables that are set or taken away.
const MAX_WORDS: usize = 256;

/// One thing that the guardian is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Which rig it guards; comes first, with the coordinator's pidfd.
    Begin(Begin),
    /// A manager's life has begun; comes with its pidfd and its status page.
    Watch(Watch),
    /// That life has ended, and whatever was to be done for its safety is done.
    Gone {
        /// Which manager.
        index: u16,
        /// Which life.
        generation: u32,
    },
    /// A file or folder that is to be removed when the coordinator was killed.
    Remove {
        /// Which.
        path: PathBuf,
    },
    /// The rig has ended in good order.
    Release,
}

/// Which rig is guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// How much longer than its safe deadline a manager is given.
    pub grace: Duration,
    /// What the marks of its processes begin with.
    pub mark: String,
    /// Where the guardian writes down what it did.
    pub log: PathBuf,
}

/// One life of a manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Which manager.
    pub index: u16,
    /// Which life of it.
    pub generation: u32,
    /// How long its safe state may take.
    pub safe_deadline: Duration,
    /// Its process group.
    pub group: u32,
    /// Its name.
    pub name: String,
    /// What its processes have in their environment.
    pub mark: String,
    /// The folder of its control group; empty when it has none.
    pub cgroup: PathBuf,
    /// What brings its hardware into the safe state when it cannot.
    pub safe_program: Option<SafeCommand>,
}

/// A program that brings hardware into its safe state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// How long it may take.
    pub deadline: Duration,
    /// Where it runs; empty stands for here.
    pub working_dir: PathBuf,
    /// Folders in which its shared libraries are looked for first.
    pub library_path: Vec<PathBuf>,
    /// Variables that it gets.
    pub env: Vec<(String, String)>,
    /// Variables that it does not inherit.
    pub env_remove: Vec<String>,
}

/// Why a record cannot be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It does not fit.
    #[error(
        "what its guardian is to know exceeds {MAX_RECORD_BYTES} bytes or {MAX_WORDS} words: shorten `safe_program`"
    )]
    TooLong,
    /// The bytes are no record.
    #[error("a record for the guardian cannot be read: {0}")]
    Unreadable(&'static str),
}

impl Record {
    /// The record as bytes.
    ///
    /// # Errors
    /// [`RecordError::TooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, RecordError> {
        let mut writer = Writer { bytes: Vec::new(), fits: true };
        match self {
            Self::Begin(begin) => writer.begin(begin),
            Self::Watch(watch) => writer.watch(watch),
            Self::Gone { index, generation } => writer.u8(3).u16(*index).u32(*generation),
            Self::Remove { path } => writer.u8(4).path(path),
            Self::Release => writer.u8(5),
        };
        match writer.fits && writer.bytes.len() <= MAX_RECORD_BYTES {
            true => Ok(writer.bytes),
            false => Err(RecordError::TooLong),
        }
    }

    /// The record that these bytes are.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader(bytes);
        let record = match reader.u8()? {
            1 => Self::Begin(reader.begin()?),
            2 => Self::Watch(reader.watch()?),
            3 => Self::Gone { index: reader.u16()?, generation: reader.u32()? },
            4 => Self::Remove { path: reader.path()? },
            5 => Self::Release,
            _ => return Err(RecordError::Unreadable("its kind is not known")),
        };
        match reader.0 {
            [] => Ok(record),
            _ => Err(RecordError::Unreadable("bytes are left over")),
        }
    }
}

struct Writer {
    bytes: Vec<u8>,
    fits: bool,
}

impl Writer {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend(value.to_le_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// In ms; what does not fit is as long as can be told, seven weeks.
    fn duration(&mut self, value: Duration) -> &mut Self {
        self.u32(u32::try_from(value.as_millis()).unwrap_or(u32::MAX))
    }

    fn text(&mut self, bytes: &[u8]) -> &mut Self {
        let Ok(length) = u16::try_from(bytes.len()) else {
            self.fits = false;
            return self;
        };
        self.u16(length).bytes.extend(bytes);
        self
    }

    fn path(&mut self, path: &Path) -> &mut Self {
        self.text(path.as_os_str().as_bytes())
    }

    fn texts<T: AsRef<OsStr>>(&mut self, texts: &[T]) -> &mut Self {
        self.fits &= texts.len() <= MAX_WORDS;
        self.u16(texts.len() as u16);
        texts.iter().for_each(|text| {
            self.text(text.as_ref().as_bytes());
        });
        self
    }

    fn begin(&mut self, begin: &Begin) -> &mut Self {
        self.u8(1).u16(VERSION).duration(begin.grace).text(begin.mark.as_bytes()).path(&begin.log)
    }

    fn watch(&mut self, watch: &Watch) -> &mut Self {
        self.u8(2).u16(watch.index).u32(watch.generation).duration(watch.safe_deadline).u32(watch.group);
        self.text(watch.name.as_bytes()).text(watch.mark.as_bytes()).path(&watch.cgroup);
        let Some(command) = &watch.safe_program else { return self.u16(0) };
        self.u16(1).path(&command.program).texts(&command.args).duration(command.deadline);
        let env = command.env.iter().map(|(name, value)| format!("{name}={value}"));
        self.path(&command.working_dir).texts(&command.library_path);
        self.texts(&env.collect::<Vec<_>>()).texts(&command.env_remove)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(RecordError::Unreadable("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, RecordError> {
        Ok(u16::from_le_bytes(self.take(2)?.try_into().expect("two bytes were taken")))
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken")))
    }

    fn duration(&mut self) -> Result<Duration, RecordError> {
        Ok(Duration::from_millis(u64::from(self.u32()?)))
    }

    fn text(&mut self) -> Result<String, RecordError> {
        let length = usize::from(self.u16()?);
        let text = std::str::from_utf8(self.take(length)?);
        text.map(str::to_owned).map_err(|_| RecordError::Unreadable("a text is not UTF-8"))
    }

    fn path(&mut self) -> Result<PathBuf, RecordError> {
        let length = usize::from(self.u16()?);
        Ok(PathBuf::from(OsString::from_vec(self.take(length)?.to_vec())))
    }

    fn begin(&mut self) -> Result<Begin, RecordError> {
        if self.u16()? != VERSION {
            return Err(RecordError::Unreadable("it is of another version of labrig"));
        }
        Ok(Begin { grace: self.duration()?, mark: self.text()?, log: self.path()? })
    }

    fn watch(&mut self) -> Result<Watch, RecordError> {
        Ok(Watch {
            index: self.u16()?,
            generation: self.u32()?,
            safe_deadline: self.duration()?,
            group: self.u32()?,
            name: self.text()?,
            mark: self.text()?,
            cgroup: self.path()?,
            safe_program: self.safe_command()?,
        })
    }

    fn safe_command(&mut self) -> Result<Option<SafeCommand>, RecordError> {
        match self.u16()? {
            0 => return Ok(None),
            1 => {}
            _ => return Err(RecordError::Unreadable("it has more than one program")),
        }
        let (program, args, deadline) = (self.path()?, self.texts()?, self.duration()?);
        let (working_dir, library_path) = (self.path()?, self.several(Self::path)?);
        let (env, env_remove) = (self.texts()?, self.texts()?);
        let pair =
            |text: String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = env.into_iter().map(pair).collect::<Option<_>>();
        let env = env.ok_or(RecordError::Unreadable("a variable has no value"))?;
        Ok(Some(SafeCommand { program, args, deadline, working_dir, library_path, env, env_remove }))
    }

    fn texts(&mut self) -> Result<Vec<String>, RecordError> {
        self.several(Self::text)
    }

    fn several<T>(&mut self, one: fn(&mut Self) -> Result<T, RecordError>) -> Result<Vec<T>, RecordError> {
        match usize::from(self.u16()?) {
            count @ 0..=MAX_WORDS => (0..count).map(|_| one(self)).collect(),
            _ => Err(RecordError::Unreadable("it has too many words")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch {
            index: 3,
            generation: 2,
            safe_deadline: Duration::from_millis(200),
            group: 4711,
            name: "stage".to_owned(),
            mark: "1f-2e.stage".to_owned(),
            cgroup: PathBuf::new(),
            safe_program: Some(SafeCommand {
                program: PathBuf::from("/opt/park"),
                args: vec!["-x".to_owned()],
                deadline: Duration::from_secs(1),
                working_dir: PathBuf::from("/w"),
                library_path: vec![PathBuf::from("/l")],
                env: vec![("V".to_owned(), "1".to_owned())],
                env_remove: vec!["L".to_owned()],
            }),
        }
    }

    fn check_layout(record: &Record, expected: &str) {
        let bytes = record.to_bytes().expect("it is short");
        let written: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written.join(" "), expected, "{record:?}");
        assert_eq!(Record::from_bytes(&bytes).as_ref(), Ok(record));
        for length in 0..bytes.len() {
            let cut = Record::from_bytes(&bytes[..length]);
            assert!(matches!(cut, Err(RecordError::Unreadable(_))), "{length} bytes: {cut:?}");
        }
        assert!(Record::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "one byte more");
    }

    #[test]
    fn every_record_has_its_layout_and_is_read_whole_or_not_at_all() {
        let begin = Begin {
            grace: Duration::from_millis(100),
            mark: "1f-2e.".to_owned(),
            log: PathBuf::from("/r/guardian.log"),
        };
        check_layout(
            &Record::Begin(begin),
            "01 02 00 64 00 00 00 06 00 31 66 2d 32 65 2e 0f 00 2f 72 2f 67 75 61 72 64 69 61 6e 2e 6c 6f 67",
        );
        check_layout(
            &Record::Watch(watch()),
            "02 03 00 02 00 00 00 c8 00 00 00 67 12 00 00 05 00 73 74 61 67 65 0b 00 31 66 2d 32 65 2e 73 74 61 67 \
             65 00 00 01 00 09 00 2f 6f 70 74 2f 70 61 72 6b 01 00 02 00 2d 78 e8 03 00 00 02 00 2f 77 01 00 02 00 \
             2f 6c 01 00 03 00 56 3d 31 01 00 01 00 4c",
        );
        let bare = Watch { safe_program: None, cgroup: PathBuf::from("/c"), ..watch() };
        check_layout(
            &Record::Watch(bare),
            "02 03 00 02 00 00 00 c8 00 00 00 67 12 00 00 05 00 73 74 61 67 65 0b 00 31 66 2d 32 65 2e 73 74 61 67 \
             65 02 00 2f 63 00 00",
        );
        check_layout(&Record::Gone { index: 258, generation: 7 }, "03 02 01 07 00 00 00");
        check_layout(&Record::Remove { path: PathBuf::from("/s") }, "04 02 00 2f 73");
        check_layout(&Record::Release, "05");
    }

    #[test]
    fn what_does_not_fit_is_refused_by_whoever_writes_it() {
        let with = |args| {
            let command = SafeCommand { args, ..watch().safe_program.expect("it has one") };
            Record::Watch(Watch { safe_program: Some(command), ..watch() }).to_bytes()
        };
        assert!(with(vec![String::new(); MAX_WORDS]).is_ok());
        assert_eq!(with(vec![String::new(); MAX_WORDS + 1]), Err(RecordError::TooLong));
        assert_eq!(with(vec!["x".repeat(40_000); 2]), Err(RecordError::TooLong));
        assert_eq!(with(vec!["x".repeat(70_000)]), Err(RecordError::TooLong));
    }

    #[test]
    fn a_record_of_another_version_or_kind_is_refused() {
        for bytes in [&[1, 1, 0][..], &[0], &[6], &[]] {
            assert!(matches!(Record::from_bytes(bytes), Err(RecordError::Unreadable(_))), "{bytes:?}");
        }
    }
}
