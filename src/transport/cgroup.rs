//! Control groups (version 2), by which the system itself keeps together what a child starts.
//!
//! All of this is optional. Where the system gives this process no part of the hierarchy to write to, as is
//! usual outside of containers and delegated services, nothing is lost but certainty about processes that
//! hide: see [`Offspring`](super::Offspring).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::process::Pid;

/// A control group of one child, below that of this process; removed when it is dropped, if nobody is left.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
    /// The child is being put there. The first such move in a while takes some 20 ms in the kernel.
    entering: Option<JoinHandle<()>>,
}

impl Cgroup {
    /// Makes a group of that name and begins to put the process there; none where that is not possible.
    pub fn enclose(name: &str, pid: Pid) -> Option<Self> {
        let folder = own_folder()?.join(name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                log::debug!("no control group `{}`: {error}", folder.display());
                return None;
            }
            _ => {}
        }
        let procs = folder.join("cgroup.procs");
        let enter = move || {
            if let Err(error) = fs::write(&procs, pid.as_raw_nonzero().to_string()) {
                log::debug!("process {pid} is not put into `{}`: {error}", procs.display());
            }
        };
        let entering = std::thread::Builder::new().name("labrig-cgroup".to_owned()).spawn(enter);
        let entering = entering.map_err(|error| log::debug!("no thread for a control group: {error}")).ok();
        Some(Self { folder, entering })
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
        if self.entering.take().is_some_and(|entering| entering.join().is_err()) {
            log::error!("the thread that fills `{}` has panicked", self.folder.display());
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
