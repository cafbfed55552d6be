//! What is said about a run when it has ended.

use std::path::PathBuf;

use serde::Serialize;

use super::router::Totals;
use super::status::StreamStatus;

/// How a run ended, and exactly what was lost.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// The rig's name.
    pub rig: String,
    /// The run's folder.
    pub run_dir: PathBuf,
    /// How long it ran, in s.
    pub duration_s: f64,
    /// Why it ended.
    pub reason: String,
    /// Whether nothing went wrong with the rig itself, and every manager ended in good order, but for optional ones
    /// that were absent.
    pub is_clean: bool,
    /// How each manager ended.
    pub managers: Vec<ManagerSummary>,
    /// What went wrong with the rig itself, such as the end of its guardian.
    pub faults: Vec<String>,
    /// What went through each stream.
    pub streams: Vec<StreamStatus>,
    /// The ends that nobody asked for, in their order; most were followed by a restart.
    pub deaths: Vec<Death>,
    /// What managers have reported as lost.
    pub losses: Vec<Loss>,
    /// How calls ended.
    pub totals: Totals,
    /// The most calls that were in flight at once.
    pub in_flight_high_water: usize,
}

/// How a manager ended.
#[derive(Debug, Clone, Serialize)]
pub struct ManagerSummary {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Which life of it was the last.
    pub generation: u32,
    /// Commands it has taken, in all its lives.
    pub taken: u64,
    /// How its last life ended.
    pub end: ManagerEnd,
}

/// A manager has ended though nobody asked for that.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Death {
    /// Its name.
    pub manager: String,
    /// Which life of it ended.
    pub generation: u32,
    /// Its process number; 0 when it could not be started.
    pub pid: u32,
    /// When, in s from the beginning of the run.
    pub at_s: f64,
    /// Its exit status or signal, or why it could not be started.
    pub how: String,
    /// What was wrong before, when it was ended for that: it hung, say.
    pub because: Option<String>,
    /// The command it was at.
    pub command: Option<String>,
    /// Whether it had said that it is in its safe state.
    pub was_safe: bool,
    /// The last lines that it printed or logged.
    pub last_lines: Vec<String>,
    /// How its safe program ended, if it was run.
    pub safe_program: Option<String>,
    /// What followed: a restart, or why there was none.
    pub then: String,
}

impl Death {
    /// In a few words: what happened.
    pub(super) fn in_short(&self) -> String {
        let during = self.command.as_ref().map(|command| format!(", while at `{command}`"));
        format!("ended by itself: {}{}", self.how, during.unwrap_or_default())
    }
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { manager, generation, pid, how, .. } = self;
        write!(f, "`{manager}` ended in its life {generation} (process {pid}): {how}")?;
        if let Some(command) = &self.command {
            write!(f, ", while at `{command}`")?;
        }
        self.because.iter().try_for_each(|because| write!(f, "; {because}"))?;
        self.safe_program.iter().try_for_each(|how| write!(f, "; its safe program {how}"))?;
        if self.then.is_empty() { Ok(()) } else { write!(f, "; {}", self.then) }
    }
}

/// How a manager ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManagerEnd {
    /// Told to, in its safe state, with exit code 0.
    Clean {
        /// How long entering the safe state took, in µs.
        safe_state_us: u64,
    },
    /// Any other way.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// It was never started.
    NotStarted,
    /// It is optional and was found absent when the rig started.
    Absent {
        /// What was found.
        why: String,
    },
}

impl ManagerEnd {
    /// Whether the run is none the worse for it.
    pub(super) fn is_in_order(&self) -> bool {
        matches!(self, Self::Clean { .. } | Self::Absent { .. })
    }
}

/// Something that was to be kept and is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Who lost it.
    pub manager: String,
    /// What.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Which was the first, and why.
    pub first: String,
}

impl RunSummary {
    /// Whether anything that was to be kept is lost: reported, dropped from a lossless stream, undelivered, or
    /// with the life of a manager.
    pub fn has_losses(&self) -> bool {
        let dropped = self.streams.iter().any(|stream| stream.dropped() > 0);
        dropped || !self.losses.is_empty() || !self.deaths.is_empty() || self.totals.undelivered > 0
    }

    /// The managers that did not end in good order, with the reason.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.managers.iter().filter_map(|manager| match &manager.end {
            ManagerEnd::Failed { why } => Some((manager.name.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// The optional managers that the run went without, with the reason.
    pub fn absent(&self) -> impl Iterator<Item = (&str, &str)> {
        self.managers.iter().filter_map(|manager| match &manager.end {
            ManagerEnd::Absent { why } => Some((manager.name.as_str(), why.as_str())),
            _ => None,
        })
    }
}
