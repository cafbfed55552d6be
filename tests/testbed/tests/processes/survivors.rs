//! Who is still alive of a rig: every process of it carries a mark in its environment.

use std::fs;

use labrig::Rig;

/// The environment variable that names the run and the manager a process is of.
const MARK: &str = "LABRIG_MARK=";

fn mark_of(pid: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    entries.find_map(|entry| entry.strip_prefix(MARK).map(str::to_owned))
}

/// The marks of a rig's managers.
pub fn marks_of(rig: &Rig) -> Vec<String> {
    let status = rig.status().expect("the rig runs");
    let marks =
        status.managers.iter().map(|manager| mark_of(&manager.pid.to_string()).expect("it is marked"));
    marks.collect()
}

/// The processes that carry one of these marks; those that only wait to be reaped have no environment any more.
pub fn marked(marks: &[String]) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("processes can be listed");
    let names = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_marked = |name: &String| mark_of(name).is_some_and(|mark| marks.contains(&mark));
    names.filter(is_marked).filter_map(|name| name.parse().ok()).collect()
}

/// Whether a process runs; one that only waits to be reaped does not.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next().map(str::to_owned));
    state.is_some_and(|state| state != "Z")
}
