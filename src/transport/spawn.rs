//! Starting a child with its pipe on descriptor 0, and finding it there.
//!
//! The role travels in one environment variable together with the inode of the pipe, and is believed
//! only when descriptor 0 really is that pipe: a vendor tool started by a manager inherits the variable
//! but not the pipe, and so never takes itself for a manager.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use rustix::stdio::dup2_stdin;

use super::cgroup::Cgroup;
use super::offspring::{MARK_VARIABLE, Offspring};
use super::pipe::{Pipe, PipeError};
use super::scheduling::schedule;

/// The environment variable that names a child's role.
pub const ROLE_VARIABLE: &str = "LABRIG_ROLE";

/// What a process was started as.
#[derive(Debug)]
pub enum Role {
    /// A manager, with the pipe to its coordinator.
    Manager(Pipe),
    /// A program that is asked for its manifest, with the socket to write it to.
    Manifest(OwnedFd),
    /// The guardian of a rig, with the pipe to its coordinator.
    Guardian(Pipe),
}

/// A program to start.
#[derive(Debug, Clone, Default)]
pub struct Child {
    /// The program; none stands for the one that is running.
    pub program: Option<PathBuf>,
    /// Its arguments.
    pub args: Vec<String>,
    /// How it shows in a list of processes, such as `labrig:motor`.
    pub label: String,
    /// Variables to set.
    pub env: BTreeMap<String, String>,
    /// Variables to take away.
    pub env_remove: Vec<String>,
    /// Folders in which its shared libraries are looked for first.
    pub library_path: Vec<PathBuf>,
    /// Where it runs; none stands for here.
    pub working_dir: Option<PathBuf>,
    /// Its priority, from -20 for the highest to 19; none stands for ours.
    pub nice: Option<i32>,
    /// The processors it may use; all when there is none.
    pub cpus: Vec<u32>,
    /// What it and all that it starts have in their environment, to be found by; nothing else has it.
    pub mark: Option<String>,
}

/// A child that was just started, with what connects it to us.
#[derive(Debug)]
pub struct Spawned {
    /// Our end of its pipe.
    pub pipe: Pipe,
    /// What it prints.
    pub stdout: ChildStdout,
    /// What it prints as errors.
    pub stderr: ChildStderr,
    /// The process itself.
    pub process: ChildProcess,
}

/// A child's process.
#[derive(Debug)]
pub struct ChildProcess {
    /// Becomes readable when it has ended.
    pub pidfd: OwnedFd,
    /// Its process number.
    pub pid: u32,
    /// The child with everything that it starts.
    pub offspring: Offspring,
    child: std::process::Child,
}

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The program could not be run.
    #[error("cannot start `{program}`")]
    Program {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No pipe could be made.
    #[error("cannot make a pipe for `{label}`")]
    Pipe {
        /// For whom.
        label: String,
        /// What the system said.
        source: PipeError,
    },
    /// The child's priority could not be set; it has been ended.
    #[error(
        "its priority cannot be set to nice {nice}: {source}\nhelp: leave `nice` out or make it higher; below the coordinator's own it needs the right to do so (CAP_SYS_NICE, or `ulimit -e`)"
    )]
    Priority {
        /// What it was to be.
        nice: i32,
        /// What the system said.
        source: Errno,
    },
    /// The processors the child may use could not be set; it has been ended.
    #[error("the processors it may use cannot be set: {source}\nhelp: leave `cpus` out")]
    Processors {
        /// What the system said.
        source: Errno,
    },
    /// The child was to use processors that are not there for it; it has been ended.
    #[error(
        "it cannot use the processors {missing}: this machine has {online}, and gives no others\nhelp: correct `cpus`"
    )]
    NoSuchProcessors {
        /// Which.
        missing: String,
        /// Those that are there.
        online: String,
    },
    /// The child runs but cannot be watched.
    #[error("cannot watch `{label}`")]
    Watch {
        /// Whom.
        label: String,
        /// What the system said.
        source: Errno,
    },
}

impl Child {
    /// Starts the child as a manager. Call it from a thread that lives as long as the coordinator: the
    /// death of the thread that started a child is what a parent-death signal tells of.
    ///
    /// # Errors
    /// [`SpawnError`], naming the program.
    pub fn spawn(&self) -> Result<Spawned, SpawnError> {
        let (pipe, mut child) = self.start_with_pipe("manager", || [Stdio::piped(), Stdio::piped()])?;
        let (stdout, stderr) =
            child.stdout.take().zip(child.stderr.take()).expect("both outputs were asked for as pipes");
        let process = self.equipped(child)?;
        for output in [stdout.as_fd(), stderr.as_fd()] {
            rustix::io::ioctl_fionbio(output, true).map_err(|source| self.unwatched(source))?;
        }
        Ok(Spawned { pipe, stdout, stderr, process })
    }

    /// Starts the child as a guardian; what it prints is lost.
    ///
    /// # Errors
    /// [`SpawnError`], naming the program.
    pub fn spawn_guardian(&self) -> Result<(Pipe, ChildProcess), SpawnError> {
        let (pipe, child) = self.start_with_pipe("guardian", || [Stdio::null(), Stdio::null()])?;
        Ok((pipe, self.equipped(child)?))
    }

    fn start_with_pipe(
        &self,
        role: &str,
        outputs: impl FnOnce() -> [Stdio; 2],
    ) -> Result<(Pipe, std::process::Child), SpawnError> {
        let pipe_error = |source| SpawnError::Pipe { label: self.label.clone(), source };
        let (ours, theirs) = Pipe::pair().map_err(pipe_error)?;
        let child = self.start(role, theirs.into_socket(), outputs())?;
        Ok((ours, child))
    }

    fn unwatched(&self, source: Errno) -> SpawnError {
        SpawnError::Watch { label: self.label.clone(), source }
    }

    /// What a child gets once it is there. One that cannot get it is ended.
    fn equipped(&self, mut child: std::process::Child) -> Result<ChildProcess, SpawnError> {
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|source| self.unwatched(source));
        let scheduled = pidfd.and_then(|pidfd| schedule(pid, self.nice, &self.cpus).map(|()| pidfd));
        match scheduled {
            Ok(pidfd) => {
                // A name of its own for each life: the one before may not be gone yet.
                let enclose =
                    |mark: &String| Cgroup::enclose(&format!("{}.{pid}", Cgroup::name_of(mark)), pid);
                let cgroup = self.mark.as_ref().and_then(enclose);
                let offspring = Offspring::new(pid, self.mark.clone(), cgroup);
                Ok(ChildProcess { pidfd, pid: child.id(), offspring, child })
            }
            Err(error) => {
                Offspring::new(pid, self.mark.clone(), None).kill_everything();
                if let Err(error) = child.wait() {
                    log::error!("`{}` cannot be waited for: {error}", self.label);
                }
                Err(error)
            }
        }
    }

    /// Starts the program only to be told its manifest; returns our end of the stream it is written to.
    ///
    /// # Errors
    /// [`SpawnError`], naming the program.
    pub fn ask_manifest(&self) -> Result<(std::process::Child, OwnedFd), SpawnError> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(|error| SpawnError::Pipe { label: self.label.clone(), source: error.into() })?;
        let process = self.start("manifest", theirs, [Stdio::null(), Stdio::null()])?;
        Ok((process, ours))
    }

    fn start(
        &self,
        role: &str,
        socket: OwnedFd,
        outputs: [Stdio; 2],
    ) -> Result<std::process::Child, SpawnError> {
        let own = Path::new("/proc/self/exe");
        let program = self.program.as_deref().unwrap_or(own);
        let [stdout, stderr] = outputs;
        let mut command = self.surrounded(program);
        command.args(&self.args).arg0(&self.label);
        // Last, so that no config can take the role away.
        command.env(ROLE_VARIABLE, format!("{role}:{}", inode(socket.as_fd())));
        command.stdin(socket).stdout(stdout).stderr(stderr);
        command.spawn().map_err(|source| SpawnError::Program { program: program.to_owned(), source })
    }

    /// A command that runs a program where the child runs: with its environment, its libraries and its mark, in a
    /// process group of its own.
    pub fn surrounded(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(&self.env).process_group(0);
        for name in &self.env_remove {
            command.env_remove(name);
        }
        if let Some(path) = self.joined_library_path() {
            command.env("LD_LIBRARY_PATH", path);
        }
        if let Some(folder) = &self.working_dir {
            command.current_dir(folder);
        }
        // Last, so that no config can take the mark away. Who has no mark does not bear ours.
        match &self.mark {
            Some(mark) => command.env(MARK_VARIABLE, mark),
            None => command.env_remove(MARK_VARIABLE),
        };
        command
    }

    fn joined_library_path(&self) -> Option<OsString> {
        if self.library_path.is_empty() {
            return None;
        }
        let before = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let paths = self.library_path.iter().cloned().chain(std::env::split_paths(&before));
        std::env::join_paths(paths).ok()
    }
}

impl ChildProcess {
    /// How it ended, once it has.
    ///
    /// # Errors
    /// The system's, when it cannot be waited for.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.offspring.settle();
        self.child.try_wait()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// The system's, when it cannot be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.offspring.settle();
        self.child.wait()
    }

    /// Sends a signal to the child and everything in its process group.
    ///
    /// # Errors
    /// The system's, when nobody is left there.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        self.offspring.signal(signal)
    }
}

/// Whether this process runs labrig's main, so that starting its program again makes a manager of it.
static PLAYS_MANAGERS: AtomicBool = AtomicBool::new(false);

/// Says that this program, when it is started again, plays whatever role it is started in.
pub fn declare_that_this_program_plays_managers() {
    PLAYS_MANAGERS.store(true, Ordering::Relaxed);
}

/// Whether this program can be started again as a manager; a test harness would run its tests again.
pub fn this_program_plays_managers() -> bool {
    PLAYS_MANAGERS.load(Ordering::Relaxed)
}

fn inode(descriptor: BorrowedFd<'_>) -> u64 {
    fstat(descriptor).map_or(0, |status| status.st_ino)
}

/// What this process was started as, if it was started by a coordinator; takes the pipe off descriptor 0.
///
/// # Errors
/// When the role is named but descriptor 0 is another socket, or cannot be taken over.
pub fn inherited_role() -> io::Result<Option<Role>> {
    let Ok(text) = std::env::var(ROLE_VARIABLE) else { return Ok(None) };
    let stdin = io::stdin();
    let Some((role, number)) = text.split_once(':') else { return Ok(None) };
    if number.parse() != Ok(inode(stdin.as_fd())) {
        return Ok(None);
    }
    let socket = stdin.as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    match role {
        "manager" => Ok(Some(Role::Manager(Pipe::from_socket(socket)))),
        "guardian" => Ok(Some(Role::Guardian(Pipe::from_socket(socket)))),
        "manifest" => Ok(Some(Role::Manifest(socket))),
        other => Err(io::Error::other(format!(
            "this program was started in the role `{other}`, which it does not know"
        ))),
    }
}
