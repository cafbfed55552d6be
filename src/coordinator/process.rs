//! One manager's process as the main loop follows it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdout, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lines::RecordBudget;
use super::ordering::Orders;
use super::outputs::Output;
use super::safe_programs::Securing;
use super::status::SafeStatus;
use super::summary::Death;
use crate::config::Supervision;
use crate::shm::{Doorbell, StatusPage, Urgent};
use crate::supervisor::{Supervisor, Watch};
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
    /// Its process has ended; its safe program runs, or it is to be started again.
    Down,
    /// Has ended, or was never started.
    Ended,
}

/// See the module's words. All but `history` is about one life.
pub(crate) struct Process {
    pub(crate) history: History,
    pub(crate) phase: Phase,
    /// Which life of it.
    pub(crate) generation: u32,
    /// Whether it is on the rungs from which there is no way back: it hung, or was not ready in time.
    pub(crate) is_condemned: bool,
    /// Whether it is optional and absent; `fault` says why. What is left of it still ends.
    pub(crate) is_absent: bool,
    /// Whether it was absent before, and is tried once more: it is absent again when that fails.
    pub(crate) is_on_trial: bool,
    pub(crate) child: Option<ChildProcess>,
    pub(crate) page: Option<Arc<StatusPage>>,
    pub(crate) urgent: Option<Arc<Doorbell>>,
    /// Readable when a thread has ended that lasts as long as its process.
    pub(crate) witnesses: Vec<OwnedFd>,
    pub(crate) stdout: Option<Output<ChildStdout>>,
    pub(crate) stderr: Option<Output<ChildStderr>>,
    pub(crate) records: RecordBudget,
    pub(crate) started_at: Option<Instant>,
    pub(crate) ended_at: Option<Instant>,
    pub(crate) safe_state: Option<Duration>,
    pub(crate) exit: Option<ExitStatus>,
    /// What went wrong, if anything did.
    pub(crate) fault: Option<String>,
    /// When it is killed because its pipe has ended and it has not.
    pub(crate) kill_at: Option<Instant>,
    /// When it is terminated because it was told to end, alone, and has not.
    pub(crate) terminate_at: Option<Instant>,
    /// What is remembered from look to look at its page; none when nobody is to look.
    pub(crate) watch: Option<Watch>,
    /// When it last said that it is busy while nobody watched.
    pub(crate) said_busy_at: Option<Instant>,
    /// When it last said that it is in its safe state and goes on.
    pub(crate) safe_at: Option<Instant>,
    /// The last stop that it knew of then.
    pub(crate) safe_stop: u64,
    /// Whether its process is stopped by a signal.
    pub(crate) is_frozen: bool,
    /// Its start-up commands that it has not done yet, in order.
    pub(crate) in_startup: VecDeque<usize>,
    /// Those that move or emit something, until it is armed.
    pub(crate) put_off: Vec<usize>,
    /// Its safe program, while that runs.
    pub(crate) safe_program: Option<Securing>,
    last_lines: VecDeque<String>,
}

/// What outlives a manager's lives.
pub(crate) struct History {
    pub(crate) supervisor: Supervisor,
    pub(crate) deaths: Vec<Death>,
    /// How many commands earlier lives have taken.
    pub(crate) taken_before: u64,
    /// Whether it refuses what moves or emits until somebody arms it.
    pub(crate) is_inactive: bool,
    /// When it last entered its safe state, and how.
    pub(crate) safe_entry: Option<SafeStatus>,
    /// Who waits for it to be armed or started again.
    pub(crate) orders: Orders,
}

impl Process {
    /// A manager that was not started yet.
    pub(crate) fn new(rules: &Supervision, safe_deadline: Duration) -> Self {
        let supervisor = Supervisor::new(rules, safe_deadline);
        let history = History {
            supervisor,
            deaths: Vec::new(),
            taken_before: 0,
            is_inactive: false,
            safe_entry: None,
            orders: Orders::default(),
        };
        Self::life(history, 1, rules.watchdog)
    }

    /// From now on this is about its next life.
    pub(crate) fn begin_life(self, rules: &Supervision) -> Self {
        let (taken, is_on_trial) = (self.taken(), self.is_absent);
        let mut history = self.history;
        history.taken_before += taken;
        Self { is_on_trial, ..Self::life(history, self.generation + 1, rules.watchdog) }
    }

    fn life(history: History, generation: u32, watchdog: Option<Duration>) -> Self {
        Self {
            history,
            phase: Phase::Waiting,
            generation,
            is_condemned: false,
            is_absent: false,
            is_on_trial: false,
            child: None,
            page: None,
            urgent: None,
            witnesses: Vec::new(),
            stdout: None,
            stderr: None,
            records: RecordBudget::new(Instant::now()),
            started_at: None,
            ended_at: None,
            safe_state: None,
            exit: None,
            fault: None,
            kill_at: None,
            terminate_at: None,
            watch: watchdog.map(Watch::new),
            said_busy_at: None,
            safe_at: None,
            safe_stop: 0,
            is_frozen: false,
            in_startup: VecDeque::new(),
            put_off: Vec::new(),
            safe_program: None,
            last_lines: VecDeque::new(),
        }
    }

    /// Whether its process runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.child.is_some() && self.exit.is_none()
    }

    /// Whether it was brought into its safe state, and has not left it since.
    pub(crate) fn is_stopped(&self) -> bool {
        self.safe_at.is_some() && self.page.as_ref().is_some_and(|page| page.is_safe())
    }

    /// Whether its safe program runs.
    pub(crate) fn is_being_secured(&self) -> bool {
        self.safe_program.is_some()
    }

    /// Whether it can be asked for something: it runs, and is neither starting nor ending.
    pub(crate) fn is_at_work(&self) -> bool {
        self.is_alive() && matches!(self.phase, Phase::Preparing(_) | Phase::Prepared | Phase::Running)
    }

    /// Whether it has said that its hardware is safe, and has not left that state since.
    pub(crate) fn has_said_safe(&self) -> bool {
        self.safe_state.is_some() || self.page.as_ref().is_some_and(|page| page.is_safe())
    }

    /// How many commands it has taken in this life.
    pub(crate) fn taken(&self) -> u64 {
        self.page.as_ref().map_or(0, |page| page.activity().taken)
    }

    /// Whether it takes part in the start-up and has not come to its end.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Starting | Phase::SettingUp | Phase::Preparing(_))
    }

    /// When it is late, if it is to be ready in such a time; none when that is decided.
    pub(crate) fn start_deadline(&self, patience: Duration) -> Option<Instant> {
        let is_open = self.is_starting() && !self.is_condemned;
        self.started_at.filter(|_| is_open).map(|at| at + patience)
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
