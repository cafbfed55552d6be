//! What a rig needs around it: programs that can be started, folders that can be used, processors that are there.
//!
//! All of it is looked at before anything is started, and every fault is told at once. Nothing here is changed or
//! made; whoever takes a folder later may still be refused by the system, and says so then.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::thread::sched_getaffinity;

use super::program_file::{Unfit, unfit_to_start};
use super::state_folder;
use crate::config::{Code, Fault, ManagerPlan, RigPlan, quoted_list};

/// What is wrong with what the managers' processes are to find around them.
pub(super) fn of_managers(plan: &RigPlan) -> Vec<Fault> {
    let faults = plan.managers.iter().map(|manager| {
        let mut faults: Vec<_> = working_dir(manager).into_iter().collect();
        faults.extend(safe_program(manager));
        faults.extend(processors(manager));
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

fn processors(manager: &ManagerPlan) -> Option<Fault> {
    let wanted = &manager.environment.cpus;
    if wanted.is_empty() {
        return None;
    }
    let allowed = sched_getaffinity(None).ok()?;
    // A set has room for so many; what lies beyond cannot be in it.
    let is_there =
        |cpu: &u32| (*cpu as usize) < rustix::thread::CpuSet::MAX_CPU && allowed.is_set(*cpu as usize);
    let missing: Vec<_> = wanted.iter().filter(|cpu| !is_there(cpu)).collect();
    if missing.is_empty() {
        return None;
    }
    let there = (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    let message =
        format!("`{}` cannot run on {}: no such processor here", manager.name, quoted_list(missing));
    let fault = Fault::new(Code::NoSuchProcessor, message).at(manager.site.clone(), "its `cpus`");
    Some(fault.hint(format!("there are {}", quoted_list(there))))
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
