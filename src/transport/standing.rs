//! What the threads of a process are at, as the system sees it: for whoever asks why it does not end.

use std::fs;
use std::path::Path;

/// How many threads are told of at most.
const MOST_THREADS: usize = 16;

/// A clause for each thread, with its state and the place in the kernel where it waits, as far as the system tells. A
/// thread in state D waits in the kernel, for a device or a disk, and ends only when that lets it go.
pub fn standing(pid: u32) -> String {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.take(MOST_THREADS).filter_map(|thread| clause_of(&thread.path())).collect()
}

fn clause_of(thread: &Path) -> Option<String> {
    let status = fs::read_to_string(thread.join("status")).ok()?;
    let word = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let (name, state) = word("Name:").zip(word("State:"))?;
    let place = fs::read_to_string(thread.join("wchan")).unwrap_or_default();
    let place = Some(place.trim()).filter(|place| !matches!(*place, "" | "0"));
    let place = place.map(|place| format!(", waits in `{place}`")).unwrap_or_default();
    Some(format!("; thread `{name}` is in state {state}{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn every_thread_is_told_with_its_name_and_state() {
        let own = clause_of(Path::new("/proc/thread-self")).expect("it is there");
        assert!(own.ends_with("` is in state R (running)"), "{own}");
        let mut child = Command::new("sleep").arg("600").spawn().expect("`sleep` can be started");
        let told = standing(child.id());
        child.kill().expect("it lives");
        child.wait().expect("it ends");
        assert!(told.starts_with("; thread `sleep` is in state "), "{told}");
        assert_eq!(standing(u32::MAX), "");
    }
}
