//! `labourer`: does numbered tasks, and writes each of them down when it begins and when it is done, in a file that
//! outlives it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use labrig::prelude::*;

use crate::commands::TestError;

/// How often a labourer looks whether the door is open.
const LOOK: Duration = Duration::from_millis(1);

/// The table `[managers.<name>.config]` of a labourer.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub struct LabourerConfig {
    /// Where it writes what it does, together with all others.
    pub journal: PathBuf,
    /// A file: as long as it is not there, tasks that wait for it are not done.
    pub door: PathBuf,
    /// Whether it is in its safe state only when the door is open.
    pub is_slow_to_be_safe: bool,
}

/// How a task ends.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TaskEnd {
    /// It is done at once.
    #[default]
    AtOnce,
    /// It is done when the door is open.
    WhenTheDoorIsOpen,
    /// It fails with a typed error.
    Fails,
    /// Its handler panics.
    Panics,
}

/// A task; replied to when it is done.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = TaskDone)]
pub struct Labour {
    /// Its number.
    pub number: u64,
    /// How it ends.
    #[serde(default)]
    pub end: TaskEnd,
}

/// A task that may be done twice.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = TaskDone, idempotent)]
pub struct LabourAgain {
    /// Its number.
    pub number: u64,
    /// How it ends.
    #[serde(default)]
    pub end: TaskEnd,
}

/// A task is done.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct TaskDone {
    /// The task's number.
    pub number: u64,
    /// Who did it.
    pub by: String,
    /// In which life.
    pub generation: u32,
}

/// See the module's words.
pub struct Labourer {
    config: LabourerConfig,
    name: String,
    generation: u32,
}

impl Manager for Labourer {
    type Config = LabourerConfig;

    fn setup(config: LabourerConfig, context: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { config, name: context.manager().to_owned(), generation: context.generation() })
    }

    fn enter_safe_state(&mut self, _: SafeReason) {
        if self.config.is_slow_to_be_safe {
            self.write("becomes-safe", 0);
            while !self.config.door.exists() {
                thread::sleep(LOOK);
            }
            self.write("is-safe", 0);
        }
    }
}

#[manager(kind = "labourer")]
impl Labourer {
    #[ipc_command]
    fn labour(&mut self, command: Labour, context: &mut Context) -> Result<TaskDone, TestError> {
        let Labour { number, end } = command;
        self.write("begins", number);
        match end {
            TaskEnd::AtOnce => {}
            TaskEnd::WhenTheDoorIsOpen => self.wait_at_the_door(context)?,
            TaskEnd::Fails => return Err(TestError::Told { code: number as u32 }),
            TaskEnd::Panics => panic!("task {number} is too much"),
        }
        self.write("ends", number);
        Ok(TaskDone { number, by: self.name.clone(), generation: self.generation })
    }

    #[ipc_command]
    fn labour_again(&mut self, command: LabourAgain, context: &mut Context) -> Result<TaskDone, TestError> {
        self.labour(Labour { number: command.number, end: command.end }, context)
    }
}

impl Labourer {
    fn wait_at_the_door(&self, context: &mut Context) -> Result<(), TestError> {
        while !self.config.door.exists() {
            let slept = context.sleep(LOOK);
            slept.map_err(|cancelled| TestError::NoAnswer { why: cancelled.to_string() })?;
        }
        Ok(())
    }

    /// One line, in one write.
    fn write(&self, what: &str, number: u64) {
        let line = format!("{} {} {what} {number}\n", self.name, self.generation);
        let file = OpenOptions::new().append(true).create(true).open(&self.config.journal);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the test's folder can be written");
    }
}
