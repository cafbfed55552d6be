//! The folder of a rig's stored environments: a file each, one of them active, changed by one session at a time.
//!
//! Files are replaced whole: whoever reads finds the old text or the new one. Nothing here knows whether an
//! environment works; who saves one has tried it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::environments::StoredEnvironment;
use super::fault::Report;
use crate::wire::ManagerName;
use crate::wire::ids::NameError;

/// The variable by which what is started within a session knows that it is.
pub(crate) const SESSION_VARIABLE: &str = "LABRIG_ENV_SESSION";
/// The file that names the active environment. No environment can have such a name.
const ACTIVE: &str = ".active";
const LOCK: &str = ".lock";

/// Where the environments of one rig are stored.
#[derive(Clone, Debug)]
pub struct EnvironmentStore {
    folder: PathBuf,
}

/// The right to change a store; nobody else has it before this is dropped. A crash lets go of it too.
#[derive(Debug)]
pub struct EnvironmentSession {
    store: EnvironmentStore,
    _lock: File,
}

/// Why stored environments could not be read or changed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// That cannot be the name of an environment.
    #[error("{source}")]
    BadName {
        /// What is wrong with it.
        source: NameError,
    },
    /// No environment has that name.
    #[error("there is no stored environment `{name}`; there are: {}", listed(known))]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// An environment has that name.
    #[error(
        "there is an environment `{name}` already\nhelp: choose another name, or replace it with `--replace`"
    )]
    Exists {
        /// The name.
        name: String,
    },
    /// The active environment is not removed.
    #[error(
        "`{name}` is the active environment\nhelp: activate another one first, or remove it with `--force`"
    )]
    Active {
        /// Its name.
        name: String,
    },
    /// Another process has a session.
    #[error(
        "the environments are being changed by the process with number {pid}\nhelp: try again when it has ended"
    )]
    Held {
        /// Its process number.
        pid: String,
    },
    /// A session was asked for within a session.
    #[error(
        "the environments are being changed by a session that this process is part of: sessions do not nest"
    )]
    Nested,
    /// What is stored cannot be understood.
    #[error("the environment `{name}` is damaged\n\n{report}")]
    Damaged {
        /// Its name.
        name: String,
        /// What is wrong with it.
        report: Report,
    },
    /// The system refused.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether there is nothing, for whatever reason; a state folder that cannot be is told where it is taken.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { format!("`{}`", known.join("`, `")) }
}

impl EnvironmentStore {
    /// The store in a rig's state folder; it need not exist.
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("environments") }
    }

    /// The names of all environments, in order.
    ///
    /// # Errors
    /// [`EnvironmentError::Io`].
    pub fn names(&self) -> Result<Vec<String>, EnvironmentError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(source) => return Err(EnvironmentError::Io { path: self.folder.clone(), source }),
        };
        let name = |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned());
        let mut names: Vec<_> = entries.flatten().filter_map(name).collect();
        names.retain(|name| ManagerName::new(name).is_ok());
        names.sort();
        Ok(names)
    }

    /// The name of the active environment.
    ///
    /// # Errors
    /// [`EnvironmentError::Io`].
    pub fn active(&self) -> Result<Option<String>, EnvironmentError> {
        let name = self.text(&self.folder.join(ACTIVE))?;
        Ok(name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()))
    }

    /// The environment of that name.
    ///
    /// # Errors
    /// [`EnvironmentError`], by its variants up to `Unknown` and from `Damaged` on.
    pub fn read(&self, name: &str) -> Result<StoredEnvironment, EnvironmentError> {
        let path = self.path_of(name)?;
        let Some(text) = self.text(&path)? else {
            return Err(EnvironmentError::Unknown { name: name.to_owned(), known: self.names()? });
        };
        StoredEnvironment::read(&text, &path.display().to_string()).map_err(|faults| {
            EnvironmentError::Damaged { name: name.to_owned(), report: Report::new(faults) }
        })
    }

    /// Begins to change the store.
    ///
    /// # Errors
    /// [`EnvironmentError::Held`], [`EnvironmentError::Nested`], or [`EnvironmentError::Io`].
    pub fn session(&self) -> Result<EnvironmentSession, EnvironmentError> {
        if std::env::var_os(SESSION_VARIABLE).is_some() {
            return Err(EnvironmentError::Nested);
        }
        let path = self.folder.join(LOCK);
        let error = |source| EnvironmentError::Io { path: path.clone(), source };
        fs::create_dir_all(&self.folder).map_err(error)?;
        let mut options = OpenOptions::new();
        let mut lock =
            options.create(true).truncate(false).read(true).write(true).open(&path).map_err(error)?;
        let own = std::process::id().to_string();
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                lock.read_to_string(&mut pid).map_err(error)?;
                let pid = pid.trim().to_owned();
                return Err(if pid == own {
                    EnvironmentError::Nested
                } else {
                    EnvironmentError::Held { pid }
                });
            }
            Err(errno) => return Err(error(errno.into())),
        }
        lock.set_len(0).map_err(error)?;
        lock.seek(SeekFrom::Start(0)).map_err(error)?;
        writeln!(lock, "{own}").map_err(error)?;
        Ok(EnvironmentSession { store: self.clone(), _lock: lock })
    }

    fn path_of(&self, name: &str) -> Result<PathBuf, EnvironmentError> {
        let name = ManagerName::new(name).map_err(|source| EnvironmentError::BadName { source })?;
        Ok(self.folder.join(format!("{name}.toml")))
    }

    fn text(&self, path: &Path) -> Result<Option<String>, EnvironmentError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(source) => Err(EnvironmentError::Io { path: path.to_owned(), source }),
        }
    }
}

impl EnvironmentSession {
    /// Whether an environment of that name may be saved.
    ///
    /// # Errors
    /// [`EnvironmentError::BadName`], and [`EnvironmentError::Exists`] unless it may be replaced.
    pub fn may_save(&self, name: &str, replaces: bool) -> Result<(), EnvironmentError> {
        match self.store.path_of(name)?.exists() && !replaces {
            true => Err(EnvironmentError::Exists { name: name.to_owned() }),
            false => Ok(()),
        }
    }

    /// Saves the text of an environment that has worked.
    ///
    /// # Errors
    /// As [`may_save`](Self::may_save), [`EnvironmentError::Damaged`] for a text that would not be read again, and
    /// [`EnvironmentError::Io`].
    pub fn save(&self, name: &str, text: &str, replaces: bool) -> Result<(), EnvironmentError> {
        self.may_save(name, replaces)?;
        let path = self.store.path_of(name)?;
        StoredEnvironment::read(text, &path.display().to_string()).map_err(|faults| {
            EnvironmentError::Damaged { name: name.to_owned(), report: Report::new(faults) }
        })?;
        self.replace(&path, text)
    }

    /// Makes that environment the active one, or none.
    ///
    /// # Errors
    /// As [`EnvironmentStore::read`]: what cannot be read cannot be active.
    pub fn activate(&self, name: Option<&str>) -> Result<(), EnvironmentError> {
        let path = self.store.folder.join(ACTIVE);
        match name {
            Some(name) => {
                self.store.read(name)?;
                self.replace(&path, &format!("{name}\n"))
            }
            None => self.delete(&path),
        }
    }

    /// Removes an environment; the active one only when `forced`, and then none is active.
    ///
    /// # Errors
    /// [`EnvironmentError::Active`], [`EnvironmentError::Unknown`], [`EnvironmentError::BadName`], or
    /// [`EnvironmentError::Io`].
    pub fn remove(&self, name: &str, forced: bool) -> Result<(), EnvironmentError> {
        let path = self.store.path_of(name)?;
        let is_active = self.store.active()?.as_deref() == Some(name);
        if !path.exists() {
            return Err(EnvironmentError::Unknown { name: name.to_owned(), known: self.store.names()? });
        }
        if is_active && !forced {
            return Err(EnvironmentError::Active { name: name.to_owned() });
        }
        if is_active {
            self.activate(None)?;
        }
        self.delete(&path)
    }

    /// Puts a whole text in a file's place, on the disk before it has that name.
    fn replace(&self, path: &Path, text: &str) -> Result<(), EnvironmentError> {
        let write = || -> io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.store.folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            File::open(&self.store.folder)?.sync_all()
        };
        write().map_err(|source| EnvironmentError::Io { path: path.to_owned(), source })
    }

    fn delete(&self, path: &Path) -> Result<(), EnvironmentError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(EnvironmentError::Io { path: path.to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }
}
