//! The processes of a contestant, and what their processors have done for them.

use std::fs;

use rustix::process::getpid;

/// This process, and those that it has started and not yet reaped.
pub fn own_and_children() -> Vec<i32> {
    let mut pids = vec![getpid().as_raw_nonzero().get()];
    for thread in folders("/proc/self/task") {
        let children = fs::read_to_string(format!("{thread}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    pids
}

/// The processor time that all threads of these processes have had, in nanoseconds.
pub fn cpu_ns(pids: &[i32]) -> u64 {
    let threads = pids.iter().flat_map(|pid| folders(&format!("/proc/{pid}/task")));
    threads.map(|thread| first_number(&format!("{thread}/schedstat"))).sum()
}

/// How often the threads of these processes have gone to sleep and been woken.
pub fn wakeups(pids: &[i32]) -> u64 {
    let of_thread = |thread: String| {
        let status = fs::read_to_string(format!("{thread}/status")).unwrap_or_default();
        let number = |line: &str| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok();
        status.lines().find_map(number).unwrap_or(0)
    };
    pids.iter().flat_map(|pid| folders(&format!("/proc/{pid}/task"))).map(of_thread).sum()
}

/// This process's memory in RAM in KiB: all of it, and what is no file's and nobody else's.
pub fn resident_kib() -> [u64; 2] {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["VmRSS:", "RssAnon:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    })
}

/// The folders in a folder; none where it is gone.
fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

fn first_number(path: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}
