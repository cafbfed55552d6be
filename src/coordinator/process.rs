//! One manager's process as the main loop follows it.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdout, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lines::RecordBudget;
use super::outputs::Output;
use super::rate::Bucket;
use crate::shm::{Doorbell, StatusPage, Urgent};
use crate::transport::ChildProcess;

/// How many of a manager's last lines are kept for its death's report.
const LAST_LINES: usize = 8;

/// How far a manager's life has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Waits for those it is to be started after.
    Waiting,
    /// Started; its hello has not come.
    Starting,
    /// Has said hello; opens its devices.
    SettingUp,
    /// Ready; this many of its start-up commands are still to be done.
    Preparing(usize),
    /// Waits for all others to be ready.
    Prepared,
    /// Works.
    Running,
    /// Was told to end.
    Stopping,
    /// Has ended, or was never started.
    Ended,
}

/// See the module's words.
pub(crate) struct Process {
    pub(crate) phase: Phase,
    /// Whether it is optional and was found absent; `fault` says why. What is left of it still ends.
    pub(crate) is_absent: bool,
    pub(crate) child: Option<ChildProcess>,
    pub(crate) page: Option<Arc<StatusPage>>,
    pub(crate) urgent: Option<Arc<Doorbell>>,
    pub(crate) stdout: Option<Output<ChildStdout>>,
    pub(crate) stderr: Option<Output<ChildStderr>>,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) records: RecordBudget,
    pub(crate) throttled_until: Option<Instant>,
    pub(crate) throttles: u64,
    pub(crate) started_at: Option<Instant>,
    pub(crate) ended_at: Option<Instant>,
    pub(crate) safe_state: Option<Duration>,
    pub(crate) exit: Option<ExitStatus>,
    /// What went wrong, if anything did.
    pub(crate) fault: Option<String>,
    /// When it is killed because its pipe has ended and it has not.
    pub(crate) kill_at: Option<Instant>,
    last_lines: VecDeque<String>,
}

impl Process {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Waiting,
            is_absent: false,
            child: None,
            page: None,
            urgent: None,
            stdout: None,
            stderr: None,
            bucket: None,
            records: RecordBudget::new(Instant::now()),
            throttled_until: None,
            throttles: 0,
            started_at: None,
            ended_at: None,
            safe_state: None,
            exit: None,
            fault: None,
            kill_at: None,
            last_lines: VecDeque::new(),
        }
    }

    /// Whether its process runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.child.is_some() && self.exit.is_none()
    }

    /// Whether it takes part in the start-up and has not come to its end.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Starting | Phase::SettingUp | Phase::Preparing(_))
    }

    /// Notes what went wrong first; what follows from it is not worth a word.
    pub(crate) fn blame(&mut self, fault: impl Into<String>) {
        self.fault.get_or_insert_with(|| fault.into());
    }

    /// Sets urgent words and rings for them.
    pub(crate) fn urge(&self, words: Urgent) {
        if let (Some(page), Some(urgent)) = (&self.page, &self.urgent) {
            page.raise(words);
            urgent.ring();
        }
    }

    pub(crate) fn keep_line(&mut self, line: &str) {
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line.to_owned());
    }

    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.last_lines.iter().cloned().collect()
    }

    /// Whether it ended as it should: told to, safe, with exit code 0.
    pub(crate) fn ended_well(&self) -> bool {
        self.fault.is_none() && self.safe_state.is_some() && self.exit.is_some_and(|status| status.success())
    }
}

/// An exit status in words.
pub(crate) fn describe_exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("unknown");
            format!("signal {signal} ({name})")
        }
        (None, None) => status.to_string(),
    }
}
