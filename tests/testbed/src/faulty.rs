//! A manager that runs procedures, and falls in the middle of the first offer of a task.

use std::fs::OpenOptions;
use std::path::PathBuf;

use labrig::prelude::*;
use labrig::procedure::{ListProcedures, ProcedureError, ProcedureRecord, Service, ServiceConfig};
use labrig::remote::{OfferTask, TaskAnswer};
use rustix::process::{Signal, getpid, kill_process};

/// When it falls, and by which file it knows that it has fallen before.
#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub struct FallConfig {
    /// The file that it makes before it falls.
    pub mark: PathBuf,
    /// Whether it has recorded the task by then.
    pub has_recorded: bool,
}

/// See the module's words.
pub struct FaultyRunner {
    service: Service,
    config: FallConfig,
}

impl Manager for FaultyRunner {
    type Config = FallConfig;

    fn setup(config: FallConfig, context: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { service: Service::open(ServiceConfig::default(), context)?, config })
    }
}

impl FaultyRunner {
    fn fall_once(&self) {
        if OpenOptions::new().write(true).create_new(true).open(&self.config.mark).is_ok() {
            kill_process(getpid(), Signal::KILL).expect("it is its own");
        }
    }
}

#[manager(kind = "faulty_runner")]
impl FaultyRunner {
    #[ipc_command]
    fn take(&mut self, command: OfferTask) -> Result<TaskAnswer, ProcedureError> {
        if !self.config.has_recorded {
            self.fall_once();
        }
        let answer = self.service.take(&command);
        self.fall_once();
        answer
    }

    #[ipc_command]
    fn list(&mut self, command: ListProcedures) -> Result<Vec<ProcedureRecord>, ProcedureError> {
        self.service.list(&command)
    }
}
