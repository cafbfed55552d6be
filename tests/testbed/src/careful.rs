//! `careful`: does what it is asked for by a key, once, as far as that can be known; and dies on command.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use labrig::prelude::*;

/// The table `[managers.<name>.config]` of a careful manager.
#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub struct CarefulConfig {
    /// The file that its deeds are written to: their names, what was known of them, and their keys.
    pub file: PathBuf,
}

/// A deed; replies what was known of it before.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = String, journaled, scriptable)]
pub struct DoOnce {
    /// What it is called.
    pub name: String,
    /// What comes in between when it is new.
    #[serde(default)]
    pub mishap: Mishap,
}

/// The same without a journal.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = String)]
pub struct DoPlainly {
    /// What it is called.
    pub name: String,
}

/// The same, of everybody.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = String, journaled)]
pub struct AllDoOnce {
    /// What it is called.
    pub name: String,
}

/// The same, of the scope.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = String, journaled)]
pub struct ScopeDoesOnce {}

/// Its process dies.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(name = "DieCarefully")]
pub struct Die {}

/// What comes in between.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing.
    #[default]
    None,
    /// The manager's process dies before the deed.
    DeathBefore,
    /// The manager's process dies when the deed is done.
    DeathAfter,
    /// The handler fails when the deed is done.
    Failure,
    /// The handler panics when the deed is done.
    Panic,
    /// The process that has asked dies when it has the answer.
    DeathOfAsker,
    /// Both die then, the manager first.
    DeathOfBoth,
    /// The answer is put off, and the manager's process dies when its handler has returned.
    DeathWhilePutOff,
    /// The answer is put off, and given.
    PutOff,
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
    fn do_once(&mut self, command: DoOnce, context: &mut Context) -> io::Result<String> {
        let DoOnce { name, mishap } = command;
        let seen = context.seen_before();
        let mishap = if seen == Seen::New { mishap } else { Mishap::None };
        die_if(mishap == Mishap::DeathBefore);
        write(&self.config.file, &name, context)?;
        die_if(mishap == Mishap::DeathAfter);
        match mishap {
            Mishap::Failure => return Err(io::Error::other("it was told to fail")),
            Mishap::Panic => panic!("it was told to panic"),
            Mishap::PutOff => {
                let later = context.answer_later::<DoOnce>();
                thread::spawn(move || later.done(&"later".to_owned()));
            }
            Mishap::DeathWhilePutOff => {
                let later = context.answer_later::<DoOnce>();
                thread::spawn(move || {
                    // Long after the handler has returned, on most machines; if not, nothing is missed.
                    thread::sleep(Duration::from_millis(50));
                    std::mem::forget(later);
                    die_if(true);
                });
            }
            _ => {}
        }
        Ok(format!("{seen:?}"))
    }

    #[ipc_command]
    fn die(&mut self, _: Die) {
        die_if(true);
    }

    #[ipc_command]
    fn do_plainly(&mut self, command: DoPlainly, context: &mut Context) -> io::Result<String> {
        write(&self.config.file, &command.name, context)
    }

    #[ipc_command]
    fn all_do_once(&mut self, command: AllDoOnce, context: &mut Context) -> io::Result<String> {
        write(&self.config.file, &command.name, context)
    }
}

/// The scope's part in it.
#[derive(Default)]
pub struct CarefulScope;

#[scope]
impl CarefulScope {
    #[ipc_command]
    fn scope_does_once(&mut self, _: ScopeDoesOnce, context: &mut Context) -> String {
        format!("{:?}", context.seen_before())
    }
}

/// A line for what was asked for, in one piece.
fn write(file: &Path, name: &str, context: &Context) -> io::Result<String> {
    let seen = context.seen_before();
    let key = context.key().map_or_else(|| "-".to_owned(), ToString::to_string);
    let line = format!("{name} {seen:?} {key}\n");
    OpenOptions::new().append(true).create(true).open(file)?.write_all(line.as_bytes())?;
    Ok(format!("{seen:?}"))
}

fn die_if(dies: bool) {
    if dies {
        std::process::abort();
    }
}

/// Asks for one deed after the other; when a step does not get what it asks for, its process dies with it, and the step is
/// run again in the next.
#[derive(Serialize, Deserialize, Schema, Debug)]
pub struct Errands {
    done: u32,
}

/// Which deeds.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub struct ErrandInputs {
    /// How many deeds are asked for by `DoOnce`, in a step each.
    pub steps: u32,
    /// What comes in between, in each.
    pub mishap: Mishap,
    /// Whether the first step fails when its call does, and does not die.
    pub gives_up: bool,
    /// Whether each step asks for the other deeds before: one without journal, one of everybody, and one of the scope.
    pub asks_for_all: bool,
    /// Whether there is a step more, of a minute.
    pub dawdles: bool,
}

#[procedure(kind = "errands")]
impl Procedure for Errands {
    type Inputs = ErrandInputs;
    type Output = u32;

    fn begin(_: &ErrandInputs, _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self { done: 0 })
    }

    fn step(&mut self, inputs: &ErrandInputs, context: &mut StepContext) -> Result<Step<u32>, StepError> {
        let ErrandInputs { steps, mishap, gives_up, asks_for_all, dawdles } = *inputs;
        if self.done == steps {
            if dawdles {
                context.sleep(Duration::from_secs(60))?;
            }
            return Ok(Step::Done(self.done));
        }
        let name = context.step().to_string();
        if asks_for_all {
            context.call(DoPlainly { name: name.clone() })?;
            context.broadcast(AllDoOnce { name: name.clone() })?.wait(Duration::from_secs(30))?;
            let seen = context.call(ScopeDoesOnce {})?;
            context.call(DoPlainly { name: format!("scope-{seen}") })?;
        }
        match context.call(DoOnce { name, mishap }) {
            Ok(seen) if seen == "New" && mishap == Mishap::DeathOfBoth => {
                // It does not answer that.
                let _ = context.call(Die {});
                die_if(true);
            }
            Ok(seen) => die_if(seen == "New" && mishap == Mishap::DeathOfAsker),
            Err(error) if gives_up => return Err(error.into()),
            Err(_) => die_if(true),
        }
        self.done += 1;
        Ok(Step::next())
    }
}
