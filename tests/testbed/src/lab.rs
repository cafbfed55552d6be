//! The testbed's scope: handlers that live in the coordinator.

use std::time::Duration;

use labrig::prelude::*;

use crate::commands::{Add, KeepNote, ScopeAsks, TestError};

/// See the module's words.
#[derive(Default)]
pub struct Lab {
    notes: Vec<String>,
}

#[scope]
impl Lab {
    #[ipc_command]
    fn keep_note(&mut self, command: KeepNote) -> u64 {
        self.notes.push(command.text);
        self.notes.len() as u64
    }

    #[ipc_command]
    fn ask(&mut self, command: ScopeAsks, context: &mut Context) -> Result<i64, TestError> {
        let asked = context.to(&command.whom).request(Add { a: 1, b: 2 }).map_err(CallError::from);
        let answer = asked.and_then(|reply| reply.wait(Duration::from_secs(20)));
        answer.map_err(|error| TestError::NoAnswer { why: error.to_string() })
    }
}
