//! `listener`: a second kind that hears broadcasts, and has nothing that would wake it while it is idle.

use labrig::prelude::*;

use crate::commands::{SetMode, TestError};

/// See the module's words.
pub struct Listener;

impl Manager for Listener {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "listener")]
impl Listener {
    #[ipc_command]
    fn set_mode(&mut self, command: SetMode) -> Result<u32, TestError> {
        match command.mode {
            13 => Err(TestError::UnknownMode { mode: 13 }),
            mode => Ok(mode + 1000),
        }
    }
}
