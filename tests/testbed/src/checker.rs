//! `checker`: a kind whose self-checks pass, fail, panic, sleep and reach out.

use std::time::Duration;

use labrig::prelude::*;

use crate::commands::{Add, TestError};

/// Asks a checker whether its check `is_well` fails.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = bool)]
pub struct AskWhetherIll {}

/// The table `[managers.<name>.config]` of a checker.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub struct CheckerConfig {
    /// Whether it asks the rig to quit at once.
    pub quits: bool,
    /// Whether the check `is_well` fails.
    pub is_ill: bool,
}

/// See the module's words.
pub struct Checker {
    config: CheckerConfig,
}

impl Manager for Checker {
    type Config = CheckerConfig;

    fn setup(config: CheckerConfig, context: &mut Context) -> Result<Self, SetupError> {
        if config.quits {
            context.quit();
        }
        Ok(Self { config })
    }
}

#[manager(kind = "checker")]
impl Checker {
    #[ipc_command]
    fn ask_whether_ill(&mut self, _command: AskWhetherIll) -> bool {
        self.config.is_ill
    }

    /// The device says that it is well.
    #[self_check]
    fn is_well(&mut self) -> Result<(), TestError> {
        if self.config.is_ill { Err(TestError::Told { code: 13 }) } else { Ok(()) }
    }

    /// A worker adds for it.
    #[self_check]
    fn others_answer(&mut self, context: &mut Context) -> Result<(), CallError> {
        context.to("helper").request(Add { a: 1, b: 1 })?.wait(Duration::from_secs(20)).map(drop)
    }

    /// Nobody but its own process runs it.
    #[self_check]
    fn panics(&mut self) {
        panic!("the shutter is stuck")
    }

    /// Ends only when it is cancelled.
    #[self_check]
    fn takes_for_ever(&mut self, context: &mut Context) -> Result<(), Cancelled> {
        context.progress(0.0, 1.0, "");
        context.sleep(Duration::from_secs(3600))
    }

    /// Is not marked, and so cannot be called by its name.
    pub fn open_the_door(&mut self) {
        panic!("this was not to be called")
    }
}
