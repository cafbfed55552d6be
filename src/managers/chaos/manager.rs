//! `chaos.sim`: misdeeds as a manager.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::abort;
use std::time::Duration;

use rustix::process::Signal;

use super::commands::{Aftermath, Drip, Misbehave, Misdeed, WhatWasDone, Work, WorkDone};
use super::journal::{self, Way};
use super::misdeeds;
use crate::prelude::*;

/// The table `[managers.<name>.config]` of a `chaos.sim`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Default)]
#[serde(default)]
pub struct ChaosConfig {
    /// A file to which a line is added whenever the safe state has been entered; none when empty.
    pub journal: PathBuf,
    /// Where it sleeps for ever, besides what it is told.
    pub hang: Hang,
    /// Whether it hands out an emergency handle, which writes into the journal, too.
    pub has_emergency_handle: bool,
    /// Whether every life but the first exits in `setup`.
    pub relapses: bool,
    /// How much memory it holds from the start.
    #[schema(unit = "MB", min = 0, max = 100000)]
    pub memory_mb: u64,
}

/// Where a chaos manager sleeps for ever.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Hang {
    /// Nowhere.
    #[default]
    Never,
    /// While it is set up.
    SetUp,
    /// While it enters its safe state, before that is in the journal.
    SafeState,
}

/// Why a chaos manager did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum ChaosError {
    /// It was to fail.
    #[error("failed, as it was told to")]
    AsTold {},
    /// It was cancelled, and heeded that.
    #[error("gave up, because it was cancelled")]
    GaveUp {},
    /// The system did not let it misbehave; it goes on as before.
    #[error("cannot misbehave: {why}")]
    NotPossible {
        /// What the system said.
        why: String,
    },
}

impl From<io::Error> for ChaosError {
    fn from(error: io::Error) -> Self {
        Self::NotPossible { why: error.to_string() }
    }
}

/// A manager that misbehaves when it is told to.
pub struct ChaosSim {
    config: ChaosConfig,
    name: String,
    generation: u32,
    works: u64,
    drips: u64,
    safe_states: u64,
    stops_reading: bool,
    descriptors: Vec<File>,
    memory: Vec<Vec<u8>>,
}

impl Manager for ChaosSim {
    type Config = ChaosConfig;

    fn setup(config: ChaosConfig, context: &mut Context) -> Result<Self, SetupError> {
        let (name, generation) = (context.manager().to_owned(), context.generation());
        if config.relapses && generation > 1 {
            println!("this is life {generation}, and it ends here");
            std::process::exit(70);
        }
        if config.hang == Hang::SetUp {
            misdeeds::sleep_for_ever();
        }
        if config.has_emergency_handle {
            let (path, name) = (config.journal.clone(), name.clone());
            context.on_emergency(move |reason| {
                note(&path, &name, generation, Way::EmergencyHandle, reason);
            });
        }
        let mut memory = Vec::new();
        misdeeds::allocate(config.memory_mb, &mut memory);
        Ok(Self {
            config,
            name,
            generation,
            works: 0,
            drips: 0,
            safe_states: 0,
            stops_reading: false,
            descriptors: Vec::new(),
            memory,
        })
    }

    fn enter_safe_state(&mut self, reason: SafeReason) {
        if self.config.hang == Hang::SafeState {
            misdeeds::sleep_for_ever();
        }
        self.safe_states += 1;
        note(&self.config.journal, &self.name, self.generation, Way::Worker, reason);
    }
}

/// Adds a line to the journal, where there is one.
fn note(journal: &Path, name: &str, generation: u32, way: Way, reason: SafeReason) {
    if journal.as_os_str().is_empty() {
        return;
    }
    if let Err(error) = journal::append(journal, name, generation, way, reason) {
        log::error!("cannot write to `{}`: {error}", journal.display());
    }
}

#[manager(kind = "chaos.sim")]
impl ChaosSim {
    /// Misbehaves.
    #[ipc_command]
    fn misbehave(&mut self, command: Misbehave, context: &mut Context) -> Result<Aftermath, ChaosError> {
        log::info!("told to misbehave: {:?}", command.how);
        match command.how {
            Misdeed::Error => Err(ChaosError::AsTold {}),
            Misdeed::Panic => panic!("as it was told to"),
            Misdeed::Abort => abort(),
            Misdeed::Segfault => never(misdeeds::die_of(Signal::SEGV)),
            Misdeed::OverflowStack => Ok(counted(misdeeds::overflow_stack(0))),
            Misdeed::Exit { code } => std::process::exit(i32::from(code)),
            Misdeed::Dawdle => dawdle(context),
            Misdeed::Sleep => misdeeds::sleep_for_ever(),
            Misdeed::Spin => misdeeds::spin_for_ever(),
            Misdeed::SpinBesideThread => {
                never(misdeeds::spin_beside_thread(context.scope(), self.name.clone()))
            }
            Misdeed::StopReading => {
                self.stops_reading = true;
                Ok(Aftermath::default())
            }
            Misdeed::IgnoreTerm => {
                misdeeds::ignore_term();
                Ok(Aftermath::default())
            }
            Misdeed::ClosePipe => never(misdeeds::close_pipe()),
            Misdeed::Flood { whom, duration_ms } => {
                Ok(counted(misdeeds::flood(context, &whom, Duration::from_millis(duration_ms))))
            }
            Misdeed::Print { megabytes } => Ok(counted(misdeeds::print(megabytes * 1_000_000)?)),
            Misdeed::KeepPipe => Ok(left_behind(misdeeds::keep_pipe()?)),
            Misdeed::Daemonise => Ok(left_behind(misdeeds::daemonise()?)),
            Misdeed::LeakDescriptors { count } => {
                Ok(counted(misdeeds::leak_descriptors(count, &mut self.descriptors)?))
            }
            Misdeed::Allocate { megabytes } => Ok(counted(misdeeds::allocate(megabytes, &mut self.memory))),
            Misdeed::StopItself => {
                misdeeds::stop_itself()?;
                Ok(Aftermath::default())
            }
        }
    }

    /// Works for a while, and gives up when it is cancelled.
    #[ipc_command]
    fn work(&mut self, command: Work, context: &mut Context) -> Result<u64, Cancelled> {
        context.sleep(Duration::from_millis(command.duration_ms))?;
        self.works += 1;
        Ok(self.works)
    }

    /// Counts a drip.
    #[ipc_command]
    fn drip(&mut self, command: Drip) {
        let Drip {} = command;
        self.drips += 1;
    }

    /// Says what it has done.
    #[ipc_command]
    fn what_was_done(&mut self, command: WhatWasDone) -> WorkDone {
        let WhatWasDone {} = command;
        let Self { generation, works, drips, safe_states, .. } = *self;
        WorkDone { generation, works, drips, safe_states }
    }

    /// Where a worker that is to leave its pipe unread goes to sleep.
    #[every(milliseconds = 250)]
    fn rest(&mut self) {
        if self.stops_reading {
            misdeeds::sleep_for_ever();
        }
    }
}

/// A misdeed that is not survived, unless the system does not allow it.
fn never(end: io::Result<Infallible>) -> Result<Aftermath, ChaosError> {
    match end {
        Ok(impossible) => match impossible {},
        Err(error) => Err(error.into()),
    }
}

fn dawdle(context: &Context) -> Result<Aftermath, ChaosError> {
    while context.sleep(Duration::from_secs(3600)).is_ok() {}
    Err(ChaosError::GaveUp {})
}

fn counted(count: u64) -> Aftermath {
    Aftermath { count, left_behind: Vec::new() }
}

fn left_behind(pid: u32) -> Aftermath {
    Aftermath { count: 1, left_behind: vec![pid] }
}
