//! Procedures that write down what they do, and misbehave on command.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use labrig::prelude::*;
use labrig::procedure::Whom;
use rustix::process::{Signal, getpid, kill_process};

use crate::careful::{DoOnce, Mishap};

/// Writes a line for each of its steps.
#[derive(Serialize, Deserialize, Schema, Debug)]
pub struct Tally {
    done: u64,
}

/// What a tally is to do.
#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub struct TallyInputs {
    /// How many steps.
    #[schema(min = 1, max = 100000)]
    pub steps: u64,
    /// The file that it writes to.
    #[serde(default)]
    pub journal: Option<PathBuf>,
    /// How long each step takes.
    #[schema(unit = "ms", max = 60000)]
    #[serde(default)]
    pub step_ms: u64,
    /// A careful manager that writes the lines for it; none when empty.
    #[serde(default)]
    pub hand: String,
    /// Which of its steps misbehaves; none when 0.
    #[serde(default)]
    pub at: u64,
    /// How.
    #[serde(default)]
    pub misdeed: Misdeed,
}

impl TallyInputs {
    /// So many steps, written to a file if there is one.
    pub fn of(steps: u64, journal: Option<PathBuf>) -> Self {
        Self { steps, journal, step_ms: 0, hand: String::new(), at: 0, misdeed: Misdeed::None }
    }
}

/// What a step does.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// Nothing.
    #[default]
    None,
    /// It fails.
    Fail,
    /// It panics.
    Panic,
    /// It takes a minute, and looks whether it is to stop.
    Dawdle,
    /// It waits a minute, as a step of its own.
    Sleep,
    /// It waits a minute at most for the level of `gauge` to rise to 5 mm, as a step of its own.
    Level,
    /// It waits in vain for that, for 50 ms.
    LevelInVain,
    /// It launches a child that dawdles in its first step, and waits for it.
    Child,
    /// It launches a child of three steps, and waits for it.
    QuickChild,
    /// It offers a tally of one step to any runner, and kills its own process when that is taken: once, as a file beside the
    /// journal tells.
    OfferAndFall,
}

impl Tally {
    fn misbehave(
        &self,
        inputs: &TallyInputs,
        context: &mut StepContext,
    ) -> Result<Option<Step<u64>>, StepError> {
        let child =
            |at, misdeed| ChildLaunch::new("tally", &TallyInputs { at, misdeed, steps: 3, ..inputs.clone() });
        match inputs.misdeed {
            Misdeed::Fail => return Err(StepError::new("it was told to fail")),
            Misdeed::Panic => panic!("it was told to panic"),
            Misdeed::Dawdle => context.sleep(Duration::from_secs(60))?,
            Misdeed::Sleep => return Ok(Some(Step::Sleep(Duration::from_secs(60)))),
            Misdeed::Level => return Ok(Some(Step::WaitUntil(level(), Duration::from_secs(60)))),
            Misdeed::LevelInVain => return Ok(Some(Step::WaitUntil(level(), Duration::from_millis(50)))),
            Misdeed::Child => return Ok(Some(Step::Child(child(1, Misdeed::Dawdle)?))),
            Misdeed::QuickChild => return Ok(Some(Step::Child(child(0, Misdeed::None)?))),
            Misdeed::OfferAndFall => offer_and_fall(inputs, context)?,
            Misdeed::None => {}
        }
        Ok(None)
    }
}

fn offer_and_fall(inputs: &TallyInputs, context: &mut StepContext) -> Result<(), StepError> {
    let procedures = context.procedures().as_user("a step");
    let task = procedures.task("tally", &TallyInputs::of(1, None))?.named(context.key().to_string());
    procedures.offer(task, Whom::Any)?.wait(Duration::from_secs(30))?;
    let mark = inputs.journal.as_ref().expect("it has one").with_extension("fallen");
    if OpenOptions::new().write(true).create_new(true).open(mark).is_ok() {
        kill_process(getpid(), Signal::KILL)?;
    }
    Ok(())
}

fn level() -> Condition {
    Condition::new("gauge.level_mm", Comparison::AtLeast(5.0))
}

#[procedure(kind = "tally")]
impl Procedure for Tally {
    type Inputs = TallyInputs;
    type Output = u64;

    fn begin(_: &TallyInputs, _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self { done: 0 })
    }

    fn step(&mut self, inputs: &TallyInputs, context: &mut StepContext) -> Result<Step<u64>, StepError> {
        if !inputs.hand.is_empty() {
            let name = context.step().to_string();
            let done = context.to(&inputs.hand).call(DoOnce { name, mishap: Mishap::None });
            // The step is run again in the next life of its process.
            done.unwrap_or_else(|_| std::process::abort());
        }
        if let Some(journal) = &inputs.journal {
            let key = context.key();
            let line = format!("{} {} {key}\n", context.step(), self.done);
            OpenOptions::new().append(true).create(true).open(journal)?.write_all(line.as_bytes())?;
        }
        context.sleep(Duration::from_millis(inputs.step_ms))?;
        self.done += 1;
        context.progress(self.done as f64, inputs.steps as f64, "tallying");
        if context.child().is_some() {
            self.done += context.child_output::<u64>()?;
        }
        if self.done == 2 {
            context.checkpoint("second");
        }
        if context.step() == inputs.at
            && let Some(step) = self.misbehave(inputs, context)?
        {
            return Ok(step);
        }
        Ok(if context.step() < inputs.steps {
            Step::Next(format!("{} done", self.done))
        } else {
            Step::Done(self.done)
        })
    }
}
