//! A second scope: handlers of the coordinator that take their time, call managers, and fail.

use std::thread;
use std::time::Duration;

use labrig::prelude::*;

use crate::commands::TestError;
use crate::patient::{Relay, Way};

/// Works for so long, and looks up after every nap; replies how many naps it took.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = u64)]
pub struct ScopeToils {
    /// How long in all.
    pub duration_ms: u64,
    /// How long each nap is.
    pub nap_ms: u64,
}

/// Calls the first of a row of patients, of which the last toils; replies what that one did.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = u64)]
pub struct ScopeRelays {
    /// The managers to go.
    pub row: Vec<String>,
    /// How long the last one toils.
    pub duration_ms: u64,
}

/// Works for so long without looking up.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope)]
pub struct ScopeSleeps {
    /// How long.
    pub duration_ms: u64,
}

/// Fails with a typed error.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope)]
pub struct ScopeFails {
    /// The error's code.
    pub code: u32,
}

/// Panics.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope)]
pub struct ScopePanics {
    /// With these words.
    pub words: String,
}

/// See the module's words.
#[derive(Default)]
pub struct Study;

#[scope]
impl Study {
    #[ipc_command]
    fn toil(&mut self, command: ScopeToils, context: &mut Context) -> Result<u64, Cancelled> {
        let naps = command.duration_ms.div_ceil(command.nap_ms);
        for nap in 0..naps {
            context.progress(nap as f64, naps as f64, "studying");
            context.sleep(Duration::from_millis(command.nap_ms))?;
        }
        Ok(naps)
    }

    #[ipc_command]
    fn relay(&mut self, command: ScopeRelays, context: &mut Context) -> Result<u64, CallError> {
        let ScopeRelays { mut row, duration_ms } = command;
        let first = row.remove(0);
        context.to(&first).call(Relay { row, duration_ms, way: Way::Call })
    }

    #[ipc_command]
    fn sleep(&mut self, command: ScopeSleeps, context: &mut Context) {
        context.progress(0.0, 1.0, "sleeping");
        thread::sleep(Duration::from_millis(command.duration_ms));
    }

    #[ipc_command]
    fn fail(&mut self, command: ScopeFails) -> Result<(), TestError> {
        Err(TestError::Told { code: command.code })
    }

    #[ipc_command]
    fn panic(&mut self, command: ScopePanics) {
        panic!("{}", command.words)
    }
}
