//! The procedure that plays a script: one step of the file is one step of the procedure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::score::{self, Act, Here, Score, Spot};
use crate::macros::{Schema, procedure};
use crate::procedure::{ChildLaunch, Procedure, Step, StepContext, StepError};
use crate::remote::{CheckScript, Scope, ScriptChecked};
use crate::wire::CommandSpec;

/// How long a command is waited for before its step looks whether it is to stop.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Plays a file of steps.
#[derive(Serialize, Deserialize, Schema, Debug)]
pub struct Script {
    /// The step that comes next; empty behind the last.
    path: Vec<Spot>,
    done: u64,
    /// Whether the step before has launched a procedure that has to have finished.
    awaits_child: bool,
    /// The checked script: checked anew in each life, as the rig may be another.
    #[serde(skip)]
    score: Option<Score>,
}

/// What is to be played.
#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub struct ScriptInputs {
    /// The file's name, by which faults are told.
    pub name: String,
    /// Its text: TOML, or JSON.
    pub text: String,
    /// The folder from which relative paths in it start.
    #[serde(default)]
    pub folder: String,
}

/// What a script comes to.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct ScriptReport {
    /// How many steps were done.
    pub steps: u64,
}

#[procedure(kind = "script")]
impl Procedure for Script {
    type Inputs = ScriptInputs;
    type Output = ScriptReport;

    fn begin(inputs: &ScriptInputs, context: &mut StepContext) -> Result<Self, StepError> {
        let score = checked(inputs, context)?;
        let path = score.first();
        Ok(Self { path, done: 0, awaits_child: false, score: Some(score) })
    }

    fn step(
        &mut self,
        inputs: &ScriptInputs,
        context: &mut StepContext,
    ) -> Result<Step<ScriptReport>, StepError> {
        if std::mem::take(&mut self.awaits_child) {
            let child = context.child().ok_or_else(|| StepError::new("nothing is known of its procedure"))?;
            if child.output.is_none() {
                return Err(StepError::new(format!("`{}` is {}: {}", child.id, child.state, child.text)));
            }
        }
        let score = match self.score.take() {
            Some(score) => score,
            None => checked(inputs, context)?,
        };
        let ended = self.do_next(&score, context);
        self.score = Some(score);
        ended
    }
}

impl Script {
    fn do_next(&mut self, score: &Score, context: &mut StepContext) -> Result<Step<ScriptReport>, StepError> {
        let Some(Here { step, variables }) = score.at(&self.path) else {
            return match self.path.is_empty() {
                true => Ok(Step::Done(ScriptReport { steps: self.done })),
                false => Err(StepError::new("the script is another than the one that was begun")),
            };
        };
        let text = format!("{}: {}", score::written(&self.path), step.text);
        let filled = |value| score::filled_in(value, &variables).to_string();
        context.progress(self.done as f64, score.length() as f64, &text);
        let ended = match &step.act {
            Act::Command { spec, to, args, deadline_ms } => {
                call(context, spec, to.as_deref(), &filled(args), *deadline_ms)?;
                Step::Next(text)
            }
            Act::Sleep(ms) => Step::Sleep(Duration::from_millis(*ms)),
            Act::Wait { manager, within_ms } => {
                context.ping(manager, Duration::from_millis(*within_ms))?;
                Step::Next(text)
            }
            Act::WaitUntil { condition, within_ms } => {
                Step::WaitUntil(condition.clone(), Duration::from_millis(*within_ms))
            }
            Act::Procedure { kind, inputs } => {
                self.awaits_child = true;
                Step::Child(ChildLaunch { kind: kind.clone(), inputs: filled(inputs) })
            }
            Act::Repeat(..) | Act::ForEach(..) => {
                return Err(StepError::new("the script is another than the one that was begun"));
            }
        };
        self.done += 1;
        self.path = score.after(std::mem::take(&mut self.path));
        Ok(ended)
    }
}

/// The coordinator knows the rig: it checks, and says all that is wrong.
fn checked(inputs: &ScriptInputs, context: &StepContext) -> Result<Score, StepError> {
    let ScriptInputs { name, text, folder } = inputs.clone();
    let ScriptChecked { score, faults, .. } = context.call(CheckScript { name, text, folder })?;
    if !faults.is_empty() {
        return Err(StepError::new(format!("the script cannot be played:\n{}", faults.join("\n"))));
    }
    Ok(serde_json::from_str(&score)?)
}

/// Has a command done, and gives up when the step is to stop.
fn call(
    context: &StepContext,
    spec: &CommandSpec,
    to: Option<&str>,
    args: &str,
    deadline_ms: Option<u64>,
) -> Result<(), StepError> {
    let scope = match deadline_ms {
        Some(limit) => context.with_deadline(Duration::from_millis(limit)),
        None => Scope::clone(context),
    };
    let pending = scope.request_by_spec(spec.kept(), to, args.as_bytes())?.cancel_on_drop();
    while !pending.ready_within(BETWEEN_LOOKS) {
        context.check()?;
    }
    pending.wait(Duration::MAX)?;
    Ok(())
}
