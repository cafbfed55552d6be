//! What a rig needs around it: programs that can be started, folders that can be used, processors that are there.
//!
//! All of it is looked at before anything is started, and every fault is told at once. Nothing here is changed or
//! made; whoever takes a folder later may still be refused by the system, and says so then.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::{Resource, getpriority_process, getrlimit};

use super::program_file::{Unfit, unfit_to_start};
use super::state_folder;
use crate::config::{Code, Fault, ManagerPlan, RigPlan, quoted_list};

/// The number of the capability to give any priority.
const CAP_SYS_NICE: u32 = 23;

/// What is wrong with what the managers' processes are to find around them.
pub(super) fn of_managers(plan: &RigPlan) -> Vec<Fault> {
    let faults = plan.managers.iter().map(|manager| {
        let mut faults: Vec<_> = safe_program(manager).into_iter().collect();
        // What keeps an optional manager from being started makes it absent.
        if !manager.is_optional {
            faults.extend(working_dir(manager));
            faults.extend(processors(manager));
            faults.extend(priority(manager));
        }
        faults
    });
    faults.flatten().collect()
}

/// What is wrong with the folders that the rig itself writes to, where it names them.
pub(super) fn of_folders(plan: &RigPlan) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Some(folder) = &plan.state_dir {
        faults.extend(unusable(folder, "state", "--state-dir"));
        faults.extend(state_folder::holder_of(folder).map(|holder| {
            let message = format!("the state folder `{}` is in use by {holder}", folder.display());
            let hint = "quit that one, or give this one a folder of its own with `--state-dir`";
            Fault::new(Code::StateFolderHeld, message).hint(hint)
        }));
    }
    faults.extend(plan.runtime_dir.as_ref().and_then(|folder| unusable(folder, "runtime", "--runtime-dir")));
    faults.extend(plan.run_dir.as_ref().and_then(|folder| unusable(folder, "run", "--run-dir")));
    faults
}

fn working_dir(manager: &ManagerPlan) -> Option<Fault> {
    let folder = manager.environment.working_dir.as_ref()?;
    let why = match fs::metadata(folder) {
        Ok(metadata) if !metadata.is_dir() => "it is not a folder".to_owned(),
        Ok(_) if access(folder, Access::EXEC_OK).is_err() => "it may not be entered".to_owned(),
        Ok(_) => return None,
        Err(error) if error.kind() == ErrorKind::NotFound => "it is not there".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("`{}` cannot run in `{}`: {why}", manager.name, folder.display());
    let fault = Fault::new(Code::WorkingDir, message).at(manager.site.clone(), "its `working_dir`");
    Some(fault.hint("make the folder, or correct `working_dir`"))
}

/// Whether the manager's process can be started in its folder; where not, that is a fault of its own.
pub(super) fn has_working_dir(manager: &ManagerPlan) -> bool {
    working_dir(manager).is_none()
}

/// The last resort is looked at before it is needed.
fn safe_program(manager: &ManagerPlan) -> Option<Fault> {
    let program = &manager.supervision.safe_program.as_ref()?.program;
    let Unfit { why, cure } = match program.components().count() {
        1 => match found_in_path(program) {
            Some(found) => unfit_to_start(&found)?,
            None => Unfit {
                why: "no folder of PATH has it".to_owned(),
                cure: "write its path, with a slash in it".to_owned(),
            },
        },
        _ => unfit_to_start(program)?,
    };
    let message =
        format!("the safe program `{}` of `{}` cannot be started: {why}", program.display(), manager.name);
    let fault = Fault::new(Code::SafeProgramUnfit, message).at(manager.site.clone(), "its `safe_program`");
    Some(fault.hint(cure))
}

fn found_in_path(program: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Only what the machine does not have is a fault here; what else the system refuses is told at the start.
fn processors(manager: &ManagerPlan) -> Option<Fault> {
    if manager.environment.cpus.is_empty() {
        return None;
    }
    let online = fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    let online = online.trim();
    let is_there = |cpu: &u32| ranges(online).any(|(first, last)| (first..=last).contains(cpu));
    let missing: Vec<_> = manager.environment.cpus.iter().filter(|cpu| !is_there(cpu)).collect();
    if missing.is_empty() || ranges(online).next().is_none() {
        return None;
    }
    let message =
        format!("`{}` cannot run on {}: no such processor here", manager.name, quoted_list(missing));
    let fault = Fault::new(Code::NoSuchProcessor, message).at(manager.site.clone(), "its `cpus`");
    Some(fault.hint(format!("this machine has {online}")))
}

/// What this process may do to priorities.
struct Rights {
    /// Its own: a child has it, and may be given a lower one, whoever it is.
    nice: i32,
    /// The number down to which its user may go.
    lowest: i32,
    /// Whether it has the capability to do as it likes.
    is_free: bool,
}

impl Rights {
    fn ours() -> Option<Self> {
        let limit = getrlimit(Resource::Nice).current.map_or(40, |limit| limit.min(40));
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        let effective = u64::from_str_radix(effective.trim(), 16).ok()?;
        let nice = getpriority_process(None).ok()?;
        Some(Self { nice, lowest: 20 - limit as i32, is_free: effective >> CAP_SYS_NICE & 1 == 1 })
    }

    fn allow(&self, nice: i32) -> bool {
        self.is_free || nice >= self.nice.min(self.lowest)
    }
}

/// A priority that this process may not give. What the system refuses for other reasons is told at the start.
fn priority(manager: &ManagerPlan) -> Option<Fault> {
    let nice = manager.environment.nice?;
    let rights = Rights::ours().filter(|rights| !rights.allow(nice))?;
    let message =
        format!("`{}` cannot have the priority `nice = {nice}`: only CAP_SYS_NICE gives it", manager.name);
    let fault = Fault::new(Code::PriorityDenied, message).at(manager.site.clone(), "its `nice`");
    let lowest = rights.nice.min(rights.lowest);
    Some(fault.hint(format!(
        "write {lowest} or more, raise the user's limit (`ulimit -e`), or grant CAP_SYS_NICE to the rig"
    )))
}

/// The ranges of a list such as `0-3,8`.
fn ranges(list: &str) -> impl Iterator<Item = (u32, u32)> {
    list.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    })
}

/// Why a folder cannot be used, or made where it is not there.
fn unusable(folder: &Path, what: &str, flag: &str) -> Option<Fault> {
    let why = refusal_of(folder)?;
    let message = format!("the {what} folder `{}` cannot be used: {why}", folder.display());
    Some(Fault::new(Code::FolderUnusable, message).hint(format!("name another one with `{flag}`")))
}

fn refusal_of(folder: &Path) -> Option<String> {
    for (depth, here) in folder.ancestors().enumerate() {
        let name = || if depth == 0 { "it".to_owned() } else { format!("`{}`", here.display()) };
        match fs::metadata(here) {
            Ok(metadata) if !metadata.is_dir() => return Some(format!("{} is not a folder", name())),
            Ok(_) => {
                let refused = access(here, Access::WRITE_OK | Access::EXEC_OK).err()?;
                return Some(format!("{} cannot be written ({refused})", name()));
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Some(format!("{} cannot be reached ({error})", name())),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_of_a_machine_are_read_from_ranges() {
        assert_eq!(ranges("0-3,8").collect::<Vec<_>>(), [(0, 3), (8, 8)]);
        assert_eq!(ranges("0").collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(ranges("").count(), 0);
    }

    #[test]
    fn a_priority_is_given_by_right_down_to_the_users_limit_and_never_above_ones_own_without() {
        let user = Rights { nice: 5, lowest: 20, is_free: false };
        assert!(user.allow(5) && user.allow(19) && !user.allow(4));
        let trusted = Rights { nice: 5, lowest: -3, is_free: false };
        assert!(trusted.allow(-3) && !trusted.allow(-4));
        assert!(Rights { nice: 0, lowest: 20, is_free: true }.allow(-20));
        assert!(Rights::ours().expect("the system tells").allow(19));
    }

    #[test]
    fn a_folder_is_usable_when_it_or_the_last_one_on_the_way_to_it_can_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(refusal_of(folder.path()), None);
        assert_eq!(refusal_of(&folder.path().join("a/b/c")), None);
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a file");
        assert_eq!(refusal_of(&file).as_deref(), Some("it is not a folder"));
        let below = refusal_of(&file.join("a/b")).expect("nothing can be made below a file");
        assert_eq!(below, format!("`{}` is not a folder", file.display()));
    }
}
