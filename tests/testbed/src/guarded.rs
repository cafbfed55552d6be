//! `guarded`: moves something, and notes in a journal how and when it was made safe.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use labrig::prelude::*;

/// Longer than any test lasts.
const EVER: Duration = Duration::from_secs(3600);

/// The table `[managers.<name>.config]` of a guarded manager.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub struct GuardedConfig {
    /// Where each safe state is noted, one a line: who entered it, and why.
    pub journal: PathBuf,
    /// Its emergency handle: none when empty, `works`, or `hangs`.
    pub emergency: String,
    /// Where it hangs, besides where it is told to: nowhere, or in `setup`.
    pub hangs_in: String,
}

/// What it is at while it moves.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq)]
pub enum Moving {
    /// Nothing: it has moved already.
    Done,
    /// Sleeps, and gives up when it is told to.
    Asleep,
    /// Hangs in something that labrig knows nothing of.
    Stuck,
}

/// Leaves the safe state.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(hazardous)]
pub struct Swing {
    /// What it is at then.
    pub moving: Moving,
}

/// See the module's words.
pub struct Guarded {
    journal: PathBuf,
}

impl Manager for Guarded {
    type Config = GuardedConfig;

    fn setup(config: GuardedConfig, context: &mut Context) -> Result<Self, SetupError> {
        let journal = config.journal.clone();
        match config.emergency.as_str() {
            "works" => context.on_emergency(move |reason| note(&journal, "handle", reason)),
            "hangs" => context.on_emergency(move |_| thread::sleep(EVER)),
            _ => {}
        }
        if config.hangs_in == "setup" {
            note(&config.journal, "setup", SafeReason::StopOrdered);
            thread::sleep(EVER);
        }
        Ok(Self { journal: config.journal })
    }

    fn enter_safe_state(&mut self, reason: SafeReason) {
        note(&self.journal, "worker", reason);
    }
}

#[manager(kind = "guarded")]
impl Guarded {
    #[ipc_command]
    fn swing(&mut self, command: Swing, context: &mut Context) -> Result<(), Cancelled> {
        match command.moving {
            Moving::Done => Ok(()),
            Moving::Asleep => context.sleep(EVER),
            Moving::Stuck => {
                thread::sleep(EVER);
                Ok(())
            }
        }
    }
}

fn note(journal: &Path, who: &str, reason: SafeReason) {
    let mut file = OpenOptions::new().append(true).create(true).open(journal).expect("the test has a folder");
    // One write, so that two who note at once do not mix.
    file.write_all(format!("{who}: {reason}\n").as_bytes()).expect("the test's folder can be written to");
}
