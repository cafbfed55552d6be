//! Why a command was not accepted.

use serde::{Deserialize, Serialize};

use super::ids::ManagerName;

/// A command was refused: it did not run and will not.
///
/// Each variant says what the sender can do now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, labrig::Schema)]
#[non_exhaustive]
pub enum Refusal {
    /// The manager's queue is full; try again when it has worked some off.
    #[error("`{command}` was refused: the queue of `{manager}` is full ({depth} waiting)")]
    Busy {
        /// Whose queue.
        manager: ManagerName,
        /// The command's name.
        command: String,
        /// How many commands may wait there.
        depth: u32,
    },
    /// The manager has died and did not come back.
    #[error("`{command}` was refused: `{manager}` is dead")]
    Dead {
        /// Who died.
        manager: ManagerName,
        /// The command's name.
        command: String,
    },
    /// The manager is part of the rig but is not ready yet.
    #[error("`{command}` was refused: `{manager}` has not started yet")]
    NotReady {
        /// Who is not ready.
        manager: ManagerName,
        /// The command's name.
        command: String,
    },
    /// No manager of this rig has that name or serves the command.
    #[error("`{command}` was refused: {} in this rig", absent_text(.manager.as_deref()))]
    Absent {
        /// The name that was addressed, if one was.
        manager: Option<String>,
        /// The command's name or id.
        command: String,
    },
    /// Several managers serve the command; address one with `scope.to(name)`.
    #[error("`{command}` needs an address: {} serve it", names(.candidates))]
    AddressNeeded {
        /// The command's name.
        command: String,
        /// Who could take it.
        candidates: Vec<ManagerName>,
    },
    /// The addressed manager has no handler of the command.
    #[error("`{command}` was refused: `{manager}` has no handler for it; {} can take it", names(.candidates))]
    NotServed {
        /// Who was addressed.
        manager: ManagerName,
        /// The command's name.
        command: String,
        /// Who could take it.
        candidates: Vec<ManagerName>,
    },
    /// The rig, or that manager, is ending and takes nothing new.
    #[error("`{command}` was refused: the rig, or the manager it is for, is ending")]
    Quitting {
        /// The command's name.
        command: String,
    },
    /// The rig has ended. A call that was under way then may have run.
    #[error("the rig has ended")]
    Closed,
    /// The command does not fit an envelope.
    #[error("`{command}` was refused: {bytes} bytes exceed the limit of {limit}")]
    TooLarge {
        /// The command's name.
        command: String,
        /// Its encoded size.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// The value could not be written by its codec.
    #[error("`{command}` could not be encoded: {reason}")]
    NotEncodable {
        /// The command's name.
        command: String,
        /// What the codec said.
        reason: String,
    },
    /// Calls within calls have gone too deep.
    #[error("`{command}` was refused: the chain of calls is {depth} deep, {limit} is the limit")]
    TooDeep {
        /// The command's name.
        command: String,
        /// How many calls led here.
        depth: usize,
        /// The largest depth allowed.
        limit: usize,
    },
    /// Nothing more can be waited for: too many calls are in flight.
    #[error("`{command}` was refused: {limit} calls are in flight already")]
    TooManyCalls {
        /// The command's name.
        command: String,
        /// How many may be in flight.
        limit: usize,
    },
    /// Programs of this rig know the command by different shapes.
    #[error("`{command}` was refused: its fingerprint is not known in this rig")]
    UnknownCommand {
        /// The command's name or id.
        command: String,
    },
    /// The pipe from this manager to its coordinator has no room, because the manager says more than it may or
    /// the coordinator is frozen; try again later.
    #[error("`{command}` was refused: the pipe to the coordinator is full")]
    PipeFull {
        /// The command's name.
        command: String,
    },
    /// The handler that asks would wait for someone who, directly or not, waits for that handler. Ask without
    /// waiting, or let someone ask who is not waited for.
    #[error("`{command}` was refused: its caller would wait for ever ({})", .cycle.join(" → "))]
    WouldDeadlock {
        /// The command's name.
        command: String,
        /// Who would wait for whom: it begins and ends with the same name.
        cycle: Vec<String>,
    },
    /// The manager is optional and was found absent when the rig started; this run goes on without it.
    #[error("`{command}` was refused: `{manager}` is optional and absent ({why})")]
    NotPresent {
        /// Who is absent.
        manager: ManagerName,
        /// The command's name.
        command: String,
        /// What was found when it was to start.
        why: String,
    },
    /// The command moves or emits something, and the manager came back from an unplanned end: look at the
    /// hardware, then arm it (`labrig arm`, `scope.arm`).
    #[error("`{command}` was refused: `{manager}` is inactive after an unplanned end, until it is armed")]
    Inactive {
        /// Who is inactive.
        manager: ManagerName,
        /// The command's name.
        command: String,
    },
    /// The value is gone, with the life of the process that had it or because nobody held it any longer. No other
    /// value ever takes its place: ask for a new handle.
    #[error("`{command}` was refused: `{handle}` is stale, its value is gone")]
    StaleHandle {
        /// The handle, as it prints.
        handle: String,
        /// The method's name.
        command: String,
    },
    /// The method changes its value, and the handle is read-only.
    #[error("`{command}` was refused: it changes its value, and `{handle}` is read-only")]
    ReadOnlyHandle {
        /// The handle, as it prints.
        handle: String,
        /// The method's name.
        command: String,
    },
}

impl Refusal {
    /// The command that was refused; nothing when the rig has ended, which refuses everything.
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Closed => None,
            Self::Busy { command, .. }
            | Self::Dead { command, .. }
            | Self::NotReady { command, .. }
            | Self::Absent { command, .. }
            | Self::AddressNeeded { command, .. }
            | Self::NotServed { command, .. }
            | Self::Quitting { command }
            | Self::TooLarge { command, .. }
            | Self::NotEncodable { command, .. }
            | Self::TooDeep { command, .. }
            | Self::TooManyCalls { command, .. }
            | Self::UnknownCommand { command }
            | Self::PipeFull { command }
            | Self::WouldDeadlock { command, .. }
            | Self::NotPresent { command, .. }
            | Self::Inactive { command, .. }
            | Self::StaleHandle { command, .. }
            | Self::ReadOnlyHandle { command, .. } => Some(command),
        }
    }

    /// The manager that it was for, as far as that was decided or said.
    pub fn manager(&self) -> Option<&str> {
        match self {
            Self::Busy { manager, .. }
            | Self::Dead { manager, .. }
            | Self::NotReady { manager, .. }
            | Self::NotServed { manager, .. }
            | Self::NotPresent { manager, .. }
            | Self::Inactive { manager, .. } => Some(manager.as_str()),
            Self::Absent { manager, .. } => manager.as_deref(),
            _ => None,
        }
    }

    /// Whether it was refused because the rig quits or has ended.
    pub fn is_shutdown(&self) -> bool {
        matches!(self, Self::Quitting { .. } | Self::Closed)
    }
}

fn absent_text(manager: Option<&str>) -> String {
    match manager {
        Some(name) => format!("no manager is called `{name}`"),
        None => "no manager serves it".to_owned(),
    }
}

fn names(managers: &[ManagerName]) -> String {
    let quoted: Vec<_> = managers.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_message(refusal: Refusal, expected: &str) {
        assert_eq!(refusal.to_string(), expected);
    }

    #[test]
    fn a_refusal_names_the_culprit_and_the_cure() {
        let name = |text: &str| ManagerName::new(text).expect("a valid name");
        let command = || "MoveTo".to_owned();
        check_message(
            Refusal::AddressNeeded { command: command(), candidates: vec![name("x"), name("y"), name("z")] },
            "`MoveTo` needs an address: `x`, `y` and `z` serve it",
        );
        check_message(
            Refusal::Absent { manager: Some("zed".into()), command: command() },
            "`MoveTo` was refused: no manager is called `zed` in this rig",
        );
        let why = "could not be set up: no device".to_owned();
        check_message(
            Refusal::NotPresent { manager: name("stage_z"), command: command(), why },
            "`MoveTo` was refused: `stage_z` is optional and absent (could not be set up: no device)",
        );
    }
}
