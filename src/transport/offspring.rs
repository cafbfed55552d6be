//! Everything that a child has started, and how all of it is ended.
//!
//! A child is killed with its process group; then with its control group, where one could be made (see
//! [`Cgroup`]); then every process whose environment says that it comes from this child
//! ([`MARK_VARIABLE`]), wherever it has put itself.
//!
//! What can still escape where no control group is writable: a process that has left the group and has
//! cleared its environment, or overwritten it in its own memory; one that runs as another user, as setuid
//! programs do; and one whose first thread has ended while others go on.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process_group, pidfd_open, pidfd_send_signal};

use super::cgroup::Cgroup;

/// The environment variable by which all that a child starts is found again.
pub const MARK_VARIABLE: &str = "LABRIG_MARK";

/// How often /proc is looked through for processes that were forked while it was looked through.
const ROUNDS: usize = 64;

/// The longest environment that is looked through, in bytes.
const MOST_ENVIRONMENT: u64 = 16 * 1024 * 1024;

/// A child with everything that it has started.
#[derive(Debug)]
pub struct Offspring {
    group: Pid,
    mark: Option<String>,
    cgroup: Option<Cgroup>,
}

impl Offspring {
    /// The process group of that number, with the processes that bear the mark.
    pub fn new(group: Pid, mark: Option<String>, cgroup: Option<Cgroup>) -> Self {
        Self { group, mark, cgroup }
    }

    /// The number of the process group, which is that of the child itself.
    pub fn group(&self) -> Pid {
        self.group
    }

    /// What all its processes have in their environment.
    pub fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// The folder of its control group, where it has one.
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_ref().map(Cgroup::folder)
    }

    /// Its control group alone.
    pub fn into_cgroup(self) -> Option<Cgroup> {
        self.cgroup
    }

    /// Sends a signal to the child's process group.
    ///
    /// # Errors
    /// The system's, when nobody is left there.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        kill_process_group(self.group, signal)
    }

    /// Kills the child and everything it has started, and says what had to be looked for: a descriptor of
    /// each process that was in none of its groups any more, readable once it is gone. Waits for nothing.
    ///
    /// Call it before the child is reaped: from then on its number may be another's.
    pub fn kill_everything(&self) -> Vec<OwnedFd> {
        // A group that nobody is in any more is what is wanted.
        let _ = self.signal(Signal::KILL);
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        self.mark.as_deref().map(|mark| kill_marked(mark, Extent::Whole)).unwrap_or_default()
    }

    /// Waits until nothing is under way that takes the child for alive; call it before the child is reaped.
    pub(super) fn settle(&mut self) {
        if let Some(cgroup) = &mut self.cgroup {
            cgroup.settle();
        }
    }
}

/// How much of a mark is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its beginning.
    Beginning,
}

/// Kills every process with such a mark in its environment, but for this one; a descriptor of each.
pub fn kill_marked(mark: &str, extent: Extent) -> Vec<OwnedFd> {
    let entry = format!("{MARK_VARIABLE}={mark}").into_bytes();
    let is_marked = |environment: &[u8]| {
        environment.split(|byte| *byte == 0).any(|found| match extent {
            Extent::Whole => found == entry,
            Extent::Beginning => found.starts_with(&entry),
        })
    };
    let (mut seen, mut killed, mut buffer) = (HashSet::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (before, mut is_starting) = (seen.len(), false);
        for pid in processes().filter(|pid| *pid != getpid()) {
            let Some(environment) = environment_of(pid, &mut buffer) else { continue };
            is_starting |= environment.is_empty() && is_starting_its_program(pid);
            if is_marked(environment) && seen.insert(pid) {
                killed.extend(kill_if(pid, is_marked));
            }
        }
        if seen.len() == before && !is_starting {
            return killed;
        }
        // Whoever is starting its program gets the processor first.
        std::thread::yield_now();
    }
    log::error!("processes marked {mark} are started faster than they can be killed");
    killed
}

/// Kills the process, if it is still the one that was meant.
fn kill_if(pid: Pid, is_meant: impl Fn(&[u8]) -> bool) -> Option<OwnedFd> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // From here on the number may be another's, but not the descriptor.
    if !environment_of(pid, &mut Vec::new()).is_some_and(is_meant) {
        return None;
    }
    match pidfd_send_signal(&pidfd, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Some(pidfd),
        Err(errno) => {
            log::error!("the marked process {pid} cannot be killed: {errno}");
            None
        }
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

/// None of processes that have ended, and of those that this one may not look into, however often it tries.
fn environment_of(pid: Pid, buffer: &mut Vec<u8>) -> Option<&[u8]> {
    buffer.clear();
    let file = File::open(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    // Nothing of it is of use when it cannot be read to its end: the process has ended meanwhile.
    file.take(MOST_ENVIRONMENT).read_to_end(buffer).ok()?;
    Some(buffer)
}

/// Whether the process, whose environment is empty, is in the middle of `execve`: for some microseconds it has the new
/// program's memory, and its environment is not in place yet. Those of the system have no memory at all.
fn is_starting_its_program(pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else { return false };
    // The name before may have anything in it but the last `)`. Numbers are those of proc_pid_stat(5).
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    let (memory, environment_end) = (number(23), number(51));
    memory.is_some_and(|bytes| bytes > 0) && environment_end == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    /// A process in a group of its own, which was given that mark.
    fn marked(mark: &str) -> Child {
        let mut command = Command::new("sleep");
        command.arg("600").env(MARK_VARIABLE, mark).process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`sleep` can be started")
    }

    fn is_killed(mut child: Child) -> bool {
        child.wait().expect("it can be waited for").signal() == Some(9)
    }

    /// Right after `spawn` a process is still in the middle of `execve`, for some microseconds.
    #[test]
    fn whoever_is_just_starting_its_program_is_killed_too() {
        for round in 0..25 {
            let mark = format!("starting-{}.{round}", std::process::id());
            let children = [(); 4].map(|()| marked(&mark));
            assert_eq!(kill_marked(&mark, Extent::Whole).len(), children.len());
            assert!(children.into_iter().all(is_killed));
        }
    }

    /// Where the system has no control group to give, there is nothing to be seen.
    #[test]
    fn who_hides_from_its_mark_is_killed_with_its_control_group() {
        let mut command = Command::new("sh");
        command.args(["-c", "read go; env -i setsid --fork sleep 600; echo hidden; exec sleep 600"]);
        let mut first =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().expect("sh");
        let pid = Pid::from_child(&first);
        let Some(cgroup) = Cgroup::enclose(&format!("labrig-test-{pid}"), pid) else {
            println!("no control group can be made here");
            first.kill().expect("it ends");
            return assert!(is_killed(first));
        };
        let mut offspring = Offspring::new(pid, Some(format!("test-hidden-{pid}")), Some(cgroup));
        offspring.settle();
        writeln!(first.stdin.take().expect("a pipe"), "go").expect("it reads");
        let mut word = String::new();
        let mut stdout = BufReader::new(first.stdout.take().expect("a pipe"));
        stdout.read_line(&mut word).expect("it speaks");
        offspring.kill_everything();
        assert!(is_killed(first));
        // Both held that pipe: it ends when both are gone.
        stdout.read_line(&mut word).expect("its end");
        assert_eq!(word, "hidden\n");
    }

    #[test]
    fn whoever_bears_the_mark_is_killed_and_nobody_else() {
        let own = format!("test-{}.a", std::process::id());
        let (first, second, mut other) = (marked(&own), marked(&own), marked(&format!("{own}b")));
        // A group that the marked ones are not in: who is in it may be gone before it is looked for.
        let alone = marked("nobody's");
        let offspring = Offspring::new(Pid::from_child(&alone), Some(own), None);
        let begin = Instant::now();
        assert_eq!(offspring.kill_everything().len(), 2);
        println!("figure: to look for what bears a mark: {:?}", begin.elapsed());
        assert!(is_killed(alone) && is_killed(first) && is_killed(second));
        assert_eq!(other.try_wait().expect("it can be asked"), None);
        let killed = kill_marked(&format!("test-{}.", std::process::id()), Extent::Beginning);
        assert_eq!(killed.len(), 1);
        assert!(is_killed(other));
    }
}
