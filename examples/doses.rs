//! A step that is run again, and a pump that gives no dose twice: it is told what it has done before.
//!
//! `cargo run --example doses`

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"doses\"
[managers.pump]
kind = \"pump\"
[managers.runner]
kind = \"labrig.procedures\"
";

/// Gives a dose; replies whether it was given now.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = bool, journaled)]
struct GiveDose {
    /// How much.
    #[schema(unit = "ul", min = 0, max = 100)]
    volume_ul: f64,
}

/// Asks how much was given in all.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = f64)]
struct HowMuch {}

/// A pump that counts what it gives.
struct Pump {
    given_ul: f64,
}

impl Manager for Pump {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { given_ul: 0.0 })
    }
}

#[manager(kind = "pump")]
impl Pump {
    #[ipc_command]
    fn give_dose(&mut self, command: GiveDose, context: &mut Context) -> io::Result<bool> {
        match context.seen_before() {
            Seen::Done => return Ok(false),
            // A pump with a flow meter would be asked.
            Seen::Started => return Err(io::Error::other("nobody knows whether that dose was given")),
            Seen::New => {}
        }
        self.given_ul += command.volume_ul;
        Ok(true)
    }

    #[ipc_command]
    fn how_much(&mut self, _: HowMuch) -> f64 {
        self.given_ul
    }
}

/// Gives so many doses, one in each step.
#[derive(Serialize, Deserialize, Schema)]
struct Treatment {
    /// What became of each.
    doses: Vec<String>,
}

#[derive(Serialize, Deserialize, Schema)]
struct TreatmentInputs {
    #[schema(min = 1, max = 100)]
    doses: u32,
}

#[procedure(kind = "treatment")]
impl Procedure for Treatment {
    type Inputs = TreatmentInputs;
    type Output = Vec<String>;

    fn begin(_: &TreatmentInputs, _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self { doses: Vec::new() })
    }

    fn step(
        &mut self,
        inputs: &TreatmentInputs,
        context: &mut StepContext,
    ) -> Result<Step<Vec<String>>, StepError> {
        let is_given_now = context.call(GiveDose { volume_ul: 10.0 })?;
        if context.step() == 2 && is_given_now {
            // Here it is interrupted, between the dose and the checkpoint that would know of it.
            context.progress(2.0, inputs.doses.into(), "dawdling");
            context.sleep(Duration::from_secs(60))?;
        }
        self.doses.push(if is_given_now { "given" } else { "given before" }.to_owned());
        Ok(if self.doses.len() == inputs.doses as usize {
            Step::Done(self.doses.clone())
        } else {
            Step::next()
        })
    }
}

fn work(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let patience = Duration::from_secs(30);
    let procedures = scope.procedures();
    let treatment = procedures.launch("treatment", &TreatmentInputs { doses: 3 })?.wait(patience)?;
    while procedures.status(&treatment)?.wait(patience)?.progress.is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The process that runs it ends in the middle of a step, as it might in a crash.
    scope.restart("runner")?.wait(patience)?;
    let doses: Vec<String> = procedures.output(&treatment, patience)?;
    println!("three doses: {}", doses.join(", "));
    println!("{} µl in all", scope.call(HowMuch {})?);
    Ok(())
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| work(&scope))
}
