//! The priority of a child, and the processors it may use.
//!
//! Both belong to threads and are inherited by new ones, so they are set right after the start, before the
//! child's own code has had the time to start any; those that are there already are found.

use std::collections::HashSet;
use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::spawn::SpawnError;

/// Sets the priority, where one is given, and the processors, where some are.
pub(super) fn schedule(pid: Pid, nice: Option<i32>, cpus: &[u32]) -> Result<(), SpawnError> {
    if nice.is_none() && cpus.is_empty() {
        return Ok(());
    }
    let mut seen = HashSet::new();
    loop {
        let new: Vec<_> = threads_of(pid).filter(|thread| seen.insert(*thread)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for thread in new {
            give_priority(thread, nice)?;
            give_processors(thread, cpus)?;
        }
    }
}

/// At least the process's own thread, which has its number.
fn threads_of(pid: Pid) -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten();
    let listed = entries.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?));
    std::iter::once(pid).chain(listed)
}

fn give_priority(thread: Pid, nice: Option<i32>) -> Result<(), SpawnError> {
    let Some(nice) = nice else { return Ok(()) };
    match setpriority_process(Some(thread), nice) {
        // It has ended meanwhile, which others will notice.
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(source) => Err(SpawnError::Priority { nice, source }),
    }
}

fn give_processors(thread: Pid, cpus: &[u32]) -> Result<(), SpawnError> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut wanted = CpuSet::new();
    let known = |cpu: &&u32| (**cpu as usize) < CpuSet::MAX_CPU;
    cpus.iter().filter(known).for_each(|cpu| wanted.set(*cpu as usize));
    let given = match sched_setaffinity(Some(thread), &wanted) {
        // Those that are not there are left out without a word.
        Ok(()) => sched_getaffinity(Some(thread)),
        // None of them is there.
        Err(Errno::INVAL) => Ok(CpuSet::new()),
        Err(error) => Err(error),
    };
    let given = match given {
        Ok(given) => given,
        Err(Errno::SRCH) => return Ok(()),
        Err(source) => return Err(SpawnError::Processors { source }),
    };
    let is_missing = |cpu: &&u32| !known(cpu) || !given.is_set(**cpu as usize);
    let missing: Vec<_> = cpus.iter().filter(is_missing).map(u32::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let online =
        fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_else(|_| "unknown".to_owned());
    Err(SpawnError::NoSuchProcessors { missing: missing.join(", "), online: online.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("`sleep` can be started")
    }

    fn end(mut child: Child) {
        child.kill().and_then(|()| child.wait()).expect("it ends");
    }

    #[test]
    fn a_child_gets_its_priority_and_its_processors() {
        let child = sleeper();
        let pid = Pid::from_child(&child);
        schedule(pid, Some(7), &[0]).expect("the first processor is there");
        let nice = rustix::process::getpriority_process(Some(pid)).expect("it lives");
        let cpus = sched_getaffinity(Some(pid)).expect("it lives");
        assert_eq!((nice, cpus.count(), cpus.is_set(0)), (7, 1, true));
        end(child);
    }

    #[test]
    fn processors_that_are_not_there_are_named() {
        let child = sleeper();
        for cpus in [&[0, 999, 70_000][..], &[999, 70_000]] {
            let error = schedule(Pid::from_child(&child), None, cpus).expect_err("no machine has these");
            assert!(error.to_string().contains("999, 70000"), "{error}");
        }
        end(child);
    }
}
