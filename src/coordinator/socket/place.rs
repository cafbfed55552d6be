//! Where a rig's socket is: in a folder of its own below the user's runtime folder, for that user alone.
//!
//! The folder's name is the rig's and a hash of its state folder, and a state folder has one coordinator: so has a
//! socket. What a crash has left behind is taken over; a socket that answers belongs to somebody, and is an error.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::process::geteuid;

/// The longest path that a socket can have, in bytes: the system keeps one more for the end.
const LONGEST_PATH: usize = 107;
/// How often it is tried to listen, when the file is taken away meanwhile.
const MOST_ATTEMPTS: usize = 3;
/// The folder in a runtime folder in which the rigs are.
const FOLDER: &str = "labrig";
/// The name of every rig's socket.
const NAME: &str = "socket";

/// Why a rig has no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The path does not fit what the system takes for a socket.
    #[error(
        "the path of the rig's socket has {length} bytes, {LONGEST_PATH} is the limit: `{}`\nhelp: name a folder with a shorter path with `--runtime-dir`",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// A rig answers there.
    #[error(
        "another rig answers at the socket `{}`\nhelp: end it with `labrig quit --rig {}`, or give this one a state folder of its own with `--state-dir`",
        path.display(), path.display()
    )]
    Answers {
        /// The socket.
        path: PathBuf,
    },
    /// The folder is open to other users, or belongs to one.
    #[error(
        "the folder `{}` {what}; a rig's socket lies where only its user can reach it\nhelp: remove it, or name another one with `--runtime-dir`",
        folder.display()
    )]
    Unsafe {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The system refused.
    #[error("the rig's socket `{}` cannot be made: {source}\nhelp: name another folder with `--runtime-dir`", path.display())]
    System {
        /// The folder or the socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The user's runtime folder.
pub(crate) fn default_runtime_dir() -> PathBuf {
    let told = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    told.unwrap_or_else(|| PathBuf::from(format!("/tmp/labrig-{}", geteuid().as_raw())))
}

/// The socket of the rig of that name with that state folder.
pub(crate) fn socket_path(runtime_dir: &Path, rig: &str, state_dir: &Path) -> PathBuf {
    let hash = hash_of(state_dir.as_os_str().as_encoded_bytes());
    runtime_dir.join(FOLDER).join(format!("{rig}-{hash:08x}")).join(NAME)
}

/// Every socket below a runtime folder with the name of its rig, by path; whether anybody answers there is not asked.
pub(crate) fn sockets_in(runtime_dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(runtime_dir.join(FOLDER)).into_iter().flatten().flatten();
    let socket = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rig = name.rsplit_once('-')?.0.to_owned();
        let path = entry.path().join(NAME);
        path.exists().then_some((rig, path))
    };
    let mut sockets: Vec<_> = entries.filter_map(socket).collect();
    sockets.sort();
    sockets
}

/// The socket that somebody means by a path: the socket itself, or the folder in which it is.
pub(crate) fn socket_at(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(NAME) } else { path.to_owned() }
}

/// A connection to the socket at that path, made at once or not at all. It blocks when it is read and written.
///
/// # Errors
/// The system's: refused when nobody listens, `WouldBlock` when too many wait already to be let in.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// FNV-1a, folded to 32 bits: the same on every machine and in every version.
fn hash_of(bytes: &[u8]) -> u32 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash ^ (hash >> 32)) as u32
}

/// A socket that listens; its file goes with it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Place {
    /// Makes the folders and listens.
    ///
    /// # Errors
    /// [`SocketError`]; folders that were made stay.
    pub(super) fn take(path: &Path) -> Result<Self, SocketError> {
        let length = path.as_os_str().len();
        if length > LONGEST_PATH {
            return Err(SocketError::TooLong { path: path.to_owned(), length });
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let rigs = folder.parent().unwrap_or(Path::new("/"));
        let runtime = rigs.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(runtime).map_err(system(runtime))?;
        for folder in [rigs, folder] {
            own(folder)?;
        }
        remove_stale(path)?;
        let mut place = Self::listen(path);
        // The guardian of a rig that was killed just now may have taken the new file for the old one.
        for _ in 0..MOST_ATTEMPTS {
            match &place {
                Err(SocketError::System { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                _ => break,
            }
            own(folder)?;
            place = Self::listen(path);
        }
        place
    }

    fn listen(path: &Path) -> Result<Self, SocketError> {
        let listener = UnixListener::bind(path).map_err(system(path))?;
        listener.set_nonblocking(true).map_err(system(path))?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(system(path))?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for Place {
    /// Takes the file away, and the folder with it.
    fn drop(&mut self) {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let removed = fs::remove_file(&self.path).and_then(|()| fs::remove_dir(folder));
        if let Err(error) = removed {
            log::warn!("the rig's socket `{}` was not removed: {error}", self.path.display());
        }
    }
}

fn system(path: &Path) -> impl FnOnce(io::Error) -> SocketError + '_ {
    |source| SocketError::System { path: path.to_owned(), source }
}

/// A folder that only this user can look into.
fn own(folder: &Path) -> Result<(), SocketError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(system(folder)(error)),
    }
    // Not through a link: that could lead anywhere.
    let found = fs::symlink_metadata(folder).map_err(system(folder))?;
    let what = match () {
        () if !found.is_dir() => "is no folder",
        () if found.uid() != geteuid().as_raw() => "belongs to another user",
        () if found.mode() & 0o077 != 0 => "is open to other users",
        () => return Ok(()),
    };
    Err(SocketError::Unsafe { folder: folder.to_owned(), what })
}

/// What a crash has left behind goes; what answers stays.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    match connect(path) {
        Ok(_) => Err(SocketError::Answers { path: path.to_owned() }),
        // Nobody takes connections, but somebody listens.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(SocketError::Answers { path: path.to_owned() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            log::info!("took over the socket `{}` that a crash had left", path.display());
            match fs::remove_file(path) {
                // The guardian of the rig that was killed was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed.map_err(system(path)),
            }
        }
        Err(error) => Err(system(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(path: &Path, part: &str) {
        let error = Place::take(path).expect_err("it cannot be taken");
        assert!(error.to_string().contains(part), "{error}");
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").mode() & 0o777
    }

    #[test]
    fn a_socket_lies_where_only_its_user_can_reach_it_and_goes_in_the_end() {
        let runtime = tempfile::tempdir().expect("a folder");
        let path = socket_path(&runtime.path().join("deep/er"), "microscope", Path::new("/state"));
        let place = Place::take(&path).expect("nobody has it");
        assert_eq!(mode_of(&path), 0o600);
        assert_eq!(mode_of(path.parent().expect("a folder")), 0o700);
        let found = sockets_in(&runtime.path().join("deep/er"));
        assert_eq!(found, [("microscope".to_owned(), path.clone())]);
        assert_eq!(socket_at(path.parent().expect("a folder")), path);
        drop(place);
        assert!(!path.parent().expect("a folder").exists());
    }

    #[test]
    fn a_socket_that_answers_is_not_taken_and_one_that_a_crash_left_is() {
        let runtime = tempfile::tempdir().expect("a folder");
        let path = socket_path(runtime.path(), "rig", Path::new("/state"));
        let place = Place::take(&path).expect("nobody has it");
        check_refused(&path, "another rig answers at the socket");
        drop(place);
        // As after a crash: the file is there, and nobody listens.
        let folder = path.parent().expect("a folder");
        DirBuilder::new().mode(0o700).create(folder).expect("it can be made");
        drop(UnixListener::bind(&path).expect("nobody has it"));
        assert!(path.exists(), "a socket without a listener");
        Place::take(&path).expect("a stale socket is taken over");
    }

    #[test]
    fn places_that_cannot_be_used_are_refused_with_the_cure() {
        let runtime = tempfile::tempdir().expect("a folder");
        let long = runtime.path().join("x".repeat(100));
        check_refused(&socket_path(&long, "rig", Path::new("/state")), "`--runtime-dir`");
        let open = runtime.path().join("labrig");
        fs::create_dir(&open).expect("it can be made");
        fs::set_permissions(&open, Permissions::from_mode(0o755)).expect("it is ours");
        check_refused(&socket_path(runtime.path(), "rig", Path::new("/state")), "is open to other users");
        fs::remove_dir(&open).expect("it is empty");
        std::os::unix::fs::symlink(runtime.path(), &open).expect("a link can be made");
        check_refused(&socket_path(runtime.path(), "rig", Path::new("/state")), "is no folder");
    }

    #[test]
    fn the_name_of_a_socket_stays_the_same() {
        let path = socket_path(Path::new("/run/user/1000"), "microscope", Path::new("/home/ada/state"));
        assert_eq!(path, Path::new("/run/user/1000/labrig/microscope-f66077f5/socket"));
    }
}
