//! Control groups (version 2), by which the system itself keeps together what a child starts.
//!
//! All of this is optional. Where the system gives this process no part of the hierarchy to write to, as is
//! usual outside of containers and delegated services, nothing is lost but certainty about processes that
//! hide: see [`Offspring`](super::Offspring).

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::{Access, access};
use rustix::process::Pid;

/// A control group of one child, below that of this process; removed when it is dropped, if nobody is left.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
    /// Ends when the child is there, or cannot be.
    entering: Option<Receiver<()>>,
}

/// A child that is to be put into a group of its own.
struct Entry {
    folder: PathBuf,
    pid: Pid,
    /// Dropped when that is done.
    _done: Sender<()>,
}

/// Those that are to be put into their groups, and whether a thread is at it.
///
/// The first move in a while waits some 10 ms for all processors, and nobody else can make or remove a group meanwhile.
/// So one thread does all of it, and whoever starts children waits for none.
#[derive(Default)]
struct Entries {
    waiting: VecDeque<Entry>,
    has_thread: bool,
}

static ENTRIES: LazyLock<Mutex<Entries>> = LazyLock::new(Mutex::default);

fn entries() -> MutexGuard<'static, Entries> {
    // Nothing that can panic is done under this lock.
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cgroup {
    /// Begins to put the process into a group of that name; none where that is not possible.
    pub fn enclose(name: &str, pid: Pid) -> Option<Self> {
        static OWN: LazyLock<Option<PathBuf>> = LazyLock::new(own_folder);
        let own = OWN.as_ref()?;
        if let Err(errno) = access(own, Access::WRITE_OK | Access::EXEC_OK) {
            log::debug!("no control groups in `{}`: {errno}", own.display());
            return None;
        }
        let folder = own.join(name);
        let (done, entering) = channel();
        let mut entries = entries();
        entries.waiting.push_back(Entry { folder: folder.clone(), pid, _done: done });
        if !entries.has_thread {
            let thread = thread::Builder::new().name("labrig-cgroup".to_owned()).spawn(enter_all);
            match thread {
                Ok(_) => entries.has_thread = true,
                Err(error) => {
                    log::debug!("no thread for control groups: {error}");
                    entries.waiting.clear();
                }
            }
        }
        Some(Self { folder, entering: Some(entering) })
    }

    /// The group in that folder, which another process has made.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, entering: None }
    }

    /// The groups below that of this process whose names begin so, whoever has made them.
    pub fn named(beginning: &str) -> Vec<Self> {
        let entries = own_folder().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten();
        let begins = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(beginning);
        let entries = entries.filter_map(Result::ok).filter(begins);
        entries.map(|entry| Self::at(entry.path())).collect()
    }

    /// What the name of a child's group begins with, by the child's mark or the beginning of it.
    pub fn name_of(mark: &str) -> String {
        format!("labrig-{mark}")
    }

    /// Where it is in the file system.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills everything in it.
    pub fn kill(&self) {
        if let Err(error) = fs::write(self.folder.join("cgroup.kill"), "1") {
            log::debug!("`{}` is not killed as a group: {error}", self.folder.display());
        }
    }

    /// Removes it; says whether it is gone. It is not while somebody in it lives.
    pub fn remove(&self) -> bool {
        match fs::remove_dir(&self.folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Waits until the child is in it, or cannot be: a child that was reaped may have given its number to another.
    pub(super) fn settle(&mut self) {
        if let Some(entering) = self.entering.take() {
            // Nothing is ever sent: the channel's end is the news.
            let _ = entering.recv();
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.settle();
        if !self.remove() {
            log::debug!("`{}` is not empty yet", self.folder.display());
        }
    }
}

/// Puts everybody who waits into their groups, as a thread of its own.
fn enter_all() {
    loop {
        let mut entries = entries();
        let Some(entry) = entries.waiting.pop_front() else {
            entries.has_thread = false;
            return;
        };
        drop(entries);
        entry.enter();
    }
}

impl Entry {
    fn enter(&self) {
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return log::debug!("no control group `{}`: {error}", self.folder.display());
            }
            _ => {}
        }
        let procs = self.folder.join("cgroup.procs");
        if let Err(error) = fs::write(&procs, self.pid.as_raw_nonzero().to_string()) {
            log::debug!("process {} is not put into `{}`: {error}", self.pid, procs.display());
        }
    }
}

/// The folder of the group that this process is in; none without a hierarchy of version 2.
fn own_folder() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    folder_of(&groups, &mounts)
}

/// In a hybrid layout, version 2 is one hierarchy among those of version 1: the one with number 0.
fn folder_of(groups: &str, mounts: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = fields.next().zip(fields.next())?;
        // A container sees its own part of the hierarchy as the whole.
        let below = Path::new(group).strip_prefix(root).ok()?;
        kind.starts_with("cgroup2 ").then(|| Path::new(&unescaped(point)).join(below))
    })
}

/// Blanks and the like are written as octal numbers there.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_folder(groups: &str, mounts: &str, expected: Option<&str>) {
        assert_eq!(folder_of(groups, mounts), expected.map(PathBuf::from), "{groups}{mounts}");
    }

    #[test]
    fn the_own_group_is_found_in_every_layout() {
        let unified = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        check_folder("0::/user.slice/a\n", unified, Some("/sys/fs/cgroup/user.slice/a"));
        let hybrid = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        check_folder("4:memory:/m\n1:cpu:/\n0::/b\n", hybrid, Some("/sys/fs/cgroup/unified/b"));
        let part = "41 31 0:38 /docker/7 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        check_folder("0::/docker/7/c\n", part, Some("/sys/fs/cgroup/c"));
        check_folder("0::/elsewhere\n", part, None);
        check_folder("4:memory:/m\n", hybrid, None);
        let blank = "41 31 0:38 / /sys/my\\040groups rw - cgroup2 cgroup2 rw\n";
        check_folder("0::/\n", blank, Some("/sys/my groups/"));
    }
}
