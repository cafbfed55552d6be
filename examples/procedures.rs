//! A long job that survives: paused, played, and continued by the next process when the one that runs it has ended.
//!
//! `cargo run --example procedures`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"long_jobs\"
[managers.runner]
kind = \"labrig.procedures\"
";

/// Adds numbers up, one in each step.
#[derive(Serialize, Deserialize, Schema)]
struct AddUp {
    next: u64,
    sum: u64,
}

#[derive(Serialize, Deserialize, Schema)]
struct AddUpInputs {
    /// The last number.
    #[schema(min = 1, max = 1000)]
    up_to: u64,
}

#[procedure(kind = "add_up")]
impl Procedure for AddUp {
    type Inputs = AddUpInputs;
    type Output = u64;

    fn begin(_: &AddUpInputs, _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self { next: 1, sum: 0 })
    }

    fn step(&mut self, inputs: &AddUpInputs, context: &mut StepContext) -> Result<Step<u64>, StepError> {
        context.sleep(Duration::from_millis(2))?;
        self.sum += self.next;
        self.next += 1;
        context.progress(context.step() as f64, inputs.up_to as f64, "adding up");
        Ok(if self.next > inputs.up_to {
            Step::Done(self.sum)
        } else {
            Step::Next(format!("{} so far", self.sum))
        })
    }
}

fn work(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let patience = Duration::from_secs(30);
    let procedures = scope.procedures();
    let sum = procedures.launch("add_up", &AddUpInputs { up_to: 200 })?.wait(patience)?;
    let paused = procedures.pause(&sum, "a pause for everybody to see")?.wait(patience)?;
    println!("{sum}: pause {:?}", paused.outcome);
    let played = procedures.play(&sum, "on with it")?.wait(patience)?;
    println!("{sum}: play {:?}", played.outcome);
    // The process that runs it ends and is started again. It would be the same had it been killed, but for the summary.
    let restarted = scope.restart("runner")?.wait(patience)?;
    println!("runner: life {} has begun", restarted.generation);
    let end = procedures.end(&sum)?.wait(patience)?;
    let lives = end.lives;
    println!("{sum}: {} after {lives} lives, of which the last began behind an acknowledged step", end.state);
    println!("the sum is {}", procedures.output::<u64>(&sum, patience)?);
    Ok(())
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| work(&scope))
}
