//! Why a rig was not launched. Whatever had been started is ended again.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::socket::place::SocketError;
use crate::config::Report;
use crate::guardian::RecordError;
use crate::remote::CallError;
use crate::shm::{DoorbellError, RingCreateError, SegmentCreateError, SegmentSealError};
use crate::transport::SpawnError;
use crate::wire::Failure;

/// Why a rig was not launched.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The proof found faults; no process was started.
    #[error("the rig is refused\n\n{0}")]
    Refused(Report),
    /// Another coordinator works on the same state folder.
    #[error(
        "`{folder}` is in use by {holder}\nhelp: quit that one, or give this one a folder of its own with `--state-dir`"
    )]
    StateFolderHeld {
        /// The state folder.
        folder: PathBuf,
        /// Who holds it: process number, rig, and since when.
        holder: String,
    },
    /// The manager that is to be started alone is none of the rig's.
    #[error("no manager is called `{manager}` in this rig; there are `{}`", known.join("`, `"))]
    NoSuchManager {
        /// The name.
        manager: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A folder that the run needs cannot be used.
    #[error("cannot use the folder `{folder}`")]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The coordinator could not get what it needs from the system.
    #[error("the coordinator cannot begin")]
    System(#[source] io::Error),
    /// The rig's socket could not be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A descriptor for waking a thread could not be made.
    #[error(transparent)]
    Doorbell(#[from] DoorbellError),
    /// The value that serves the scope's commands could not be built.
    #[error("the scope cannot be built: {0}")]
    Scope(Box<Failure>),
    /// A manager's program could not be started.
    #[error("`{manager}` was not started")]
    Spawn {
        /// Which manager.
        manager: String,
        /// Why.
        source: SpawnError,
    },
    /// The guardian, which sees to the rig should the coordinator be killed, could not be started.
    #[error("the rig's guardian was not started")]
    Guardian(#[source] SpawnError),
    /// The guardian cannot be told all that it is to know.
    #[error(transparent)]
    GuardianRecord(RecordError),
    /// A stream's memory could not be made.
    #[error("the memory of the stream `{stream}` cannot be made")]
    Ring {
        /// Which stream.
        stream: String,
        /// Why.
        source: RingCreateError,
    },
    /// A page of shared memory could not be made.
    #[error("a page of shared memory for `{manager}` cannot be made")]
    Page {
        /// For whom.
        manager: String,
        /// Why.
        source: SegmentCreateError,
    },
    /// A stream's memory could not be sealed against other writers.
    #[error("the memory of the stream `{stream}` cannot be sealed")]
    Seal {
        /// Which stream.
        stream: String,
        /// Why.
        source: SegmentSealError,
    },
    /// The page of a manager's signals could not be sealed against other writers.
    #[error("the page for the signals of `{manager}` cannot be sealed")]
    SealSignals {
        /// Whose.
        manager: String,
        /// Why.
        source: SegmentSealError,
    },
    /// A manager was not ready in time.
    #[error("`{manager}` was not ready within {after:?}: {missing}")]
    TimedOut {
        /// Which manager.
        manager: String,
        /// How long was waited.
        after: Duration,
        /// What had not come.
        missing: &'static str,
    },
    /// A manager's devices could not be opened.
    #[error("`{manager}` could not be set up: {failure}")]
    SetupFailed {
        /// Which manager.
        manager: String,
        /// What it said.
        failure: Box<Failure>,
    },
    /// A manager ended before it was ready.
    #[error("`{manager}` ended during start-up: {how}{}", tail(.last_lines))]
    Died {
        /// Which manager.
        manager: String,
        /// Its exit status or signal.
        how: String,
        /// The last lines it printed.
        last_lines: Vec<String>,
    },
    /// A manager's program knows a command by another shape.
    #[error(
        "`{manager}` knows the command `{command}` by another shape: fingerprint {theirs}, expected {ours}\nhelp: build both programs from the same source"
    )]
    CommandDiffers {
        /// Which manager.
        manager: String,
        /// The command's path.
        command: String,
        /// Its fingerprint there.
        theirs: String,
        /// Its fingerprint here.
        ours: String,
    },
    /// A manager's program was built with another version of labrig, though it said otherwise when it was asked.
    #[error(
        "`{manager}` speaks {theirs}, this coordinator {ours}\nhelp: build both with the same version of labrig"
    )]
    VersionDiffers {
        /// Which manager.
        manager: String,
        /// The version there, of the protocol or of labrig.
        theirs: String,
        /// The version here.
        ours: String,
    },
    /// A start-up command was not done.
    #[error("the start-up command `{command}` of `{manager}` was not done")]
    StartupCommand {
        /// Which manager.
        manager: String,
        /// Which command.
        command: String,
        /// Why.
        source: Box<CallError>,
    },
    /// The rig was told to quit before it was ready.
    #[error("told to quit during start-up: {reason}")]
    Interrupted {
        /// By whom.
        reason: String,
    },
}

impl LaunchError {
    /// The manager whose own failure this is: without it, if it is optional, the rig can start all the same.
    pub(super) fn culprit(&self) -> Option<&str> {
        match self {
            Self::Spawn { manager, .. }
            | Self::TimedOut { manager, .. }
            | Self::SetupFailed { manager, .. }
            | Self::Died { manager, .. }
            | Self::StartupCommand { manager, .. } => Some(manager),
            _ => None,
        }
    }

    /// The manager that does not come to work for this reason.
    pub(super) fn manager(&self) -> Option<&str> {
        match self {
            Self::CommandDiffers { manager, .. }
            | Self::VersionDiffers { manager, .. }
            | Self::Page { manager, .. }
            | Self::SealSignals { manager, .. } => Some(manager),
            other => other.culprit(),
        }
    }

    /// What went wrong, for a text that names the manager already.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Spawn { source, .. } => match source.source() {
                Some(cause) => format!("{source}: {cause}"),
                None => source.to_string(),
            },
            Self::TimedOut { after, missing, .. } => format!("was not ready within {after:?}: {missing}"),
            Self::SetupFailed { failure, .. } => format!("could not be set up: {failure}"),
            Self::Died { how, .. } => format!("ended during start-up: {how}"),
            Self::StartupCommand { command, source, .. } => {
                format!("the start-up command `{command}` was not done: {source}")
            }
            other => other.to_string(),
        }
    }
}

fn tail(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    | {line}")).collect()
}

/// The text for people, so that `Rig::launch(…).expect("…")` prints the report as it should be read.
impl std::fmt::Debug for LaunchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
