//! `careful`: does what it is asked for by a key, once, as far as that can be known; and dies on command.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use labrig::prelude::*;
use labrig::registry::{DeedError, Seen};

/// The table `[managers.<name>.config]` of a careful manager.
#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub struct CarefulConfig {
    /// The file that its deeds are written to.
    pub file: PathBuf,
}

/// A deed with a name of its own.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = String)]
pub struct DoOnce {
    /// Its name.
    pub key: IdempotencyKey,
    /// When its process dies.
    pub dies: Dies,
}

/// A moment in a deed.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dies {
    /// It lives on.
    Never,
    /// It was asked whether it is new.
    BeforeTheDeed,
    /// It is done, and not marked so.
    AfterTheDeed,
    /// It is marked as done.
    AfterTheMark,
}

/// See the module's words.
pub struct Careful {
    config: CarefulConfig,
}

impl Manager for Careful {
    type Config = CarefulConfig;

    fn setup(config: CarefulConfig, _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { config })
    }
}

#[manager(kind = "careful")]
impl Careful {
    #[ipc_command]
    fn do_once(&mut self, command: DoOnce, context: &mut Context) -> Result<String, DeedError> {
        let DoOnce { key, dies } = command;
        let seen = context.seen_before(&key)?;
        die_if(dies == Dies::BeforeTheDeed);
        if seen != Seen::Done {
            let file = OpenOptions::new().append(true).create(true).open(&self.config.file);
            file.and_then(|mut file| writeln!(file, "{key}")).expect("the deed can be done");
            die_if(dies == Dies::AfterTheDeed);
            context.mark_done(&key)?;
        }
        die_if(dies == Dies::AfterTheMark);
        Ok(format!("{seen:?}"))
    }
}

fn die_if(dies: bool) {
    if dies {
        std::process::abort();
    }
}
