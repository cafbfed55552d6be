//! `journal`: writes down, in a file that outlives it, when it is set up and when it is in its safe state; in one of its
//! roles it does one thing that makes it hard to get rid of.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use labrig::prelude::*;
use labrig::shm::monotonic_ns;
use rustix::process::{Signal, getpid, kill_process};

/// What a journal is to be.
#[derive(Deserialize, Schema, Debug)]
pub struct JournalConfig {
    /// The file that it writes to, together with all others.
    pub file: PathBuf,
    /// What it does once the rig has begun.
    #[serde(default)]
    pub role: Role,
}

/// What a journal does.
#[derive(Deserialize, Schema, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Nothing.
    #[default]
    Good,
    /// Its worker never returns.
    Hung,
    /// It stops itself, as by SIGSTOP.
    Stopped,
    /// It lets a process go that leaves its group and its session, and keeps its outputs open.
    Forking,
    /// As `Forking`, and its worker never returns.
    ForkingAndHung,
    /// Its set-up never returns.
    HungAtSetUp,
}

/// See the module's words.
pub struct Journal {
    name: String,
    config: JournalConfig,
}

impl Journal {
    /// One line, in one write.
    fn write(&self, word: &str, what: impl std::fmt::Display) -> std::io::Result<()> {
        let line = format!("{word} {} {} {what}\n", self.name, monotonic_ns());
        OpenOptions::new().append(true).create(true).open(&self.config.file)?.write_all(line.as_bytes())
    }
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

impl Manager for Journal {
    type Config = JournalConfig;

    fn setup(config: JournalConfig, context: &mut Context) -> Result<Self, SetupError> {
        let journal = Self { name: context.manager().to_owned(), config };
        if matches!(journal.config.role, Role::Forking | Role::ForkingAndHung) {
            let mut stray = Program::new("setsid");
            stray.args(["--fork", "sleep", "600"]).stdin(Stdio::null()).status()?;
        }
        if journal.config.role == Role::HungAtSetUp {
            hang();
        }
        journal.write("up", std::process::id())?;
        Ok(journal)
    }

    fn enter_safe_state(&mut self, reason: SafeReason) {
        self.write("safe", reason.code()).expect("the journal can be written");
    }
}

#[manager(kind = "journal")]
impl Journal {
    #[every(milliseconds = 20)]
    fn play(&mut self) {
        match std::mem::take(&mut self.config.role) {
            Role::Good | Role::Forking => {}
            Role::Stopped => kill_process(getpid(), Signal::STOP).expect("it may stop itself"),
            Role::Hung | Role::ForkingAndHung | Role::HungAtSetUp => hang(),
        }
    }
}
