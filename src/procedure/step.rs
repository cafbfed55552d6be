//! What a person writes: a procedure, its steps, and what a step may end with.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::context::StepContext;
use crate::macros::Schema;
use crate::remote::{CallError, Cancelled};
use crate::wire::{EncodeError, Failure, Refusal, Schema};

/// A long job made of steps. Its fields are its state: they are kept after every step, and read again when it goes on
/// in another process, after a pause or a crash. `#[procedure(kind = "…")]` on the block registers it.
///
/// ```no_run
/// use labrig::prelude::*;
///
/// #[derive(Serialize, Deserialize, Schema)]
/// struct Count {
///     next: u32,
/// }
///
/// #[derive(Serialize, Deserialize, Schema)]
/// struct CountInputs {
///     /// How far to count.
///     #[schema(min = 1, max = 1000)]
///     up_to: u32,
/// }
///
/// #[procedure(kind = "count")]
/// impl Procedure for Count {
///     type Inputs = CountInputs;
///     type Output = u32;
///
///     fn begin(_: &CountInputs, _: &mut StepContext) -> Result<Self, StepError> {
///         Ok(Self { next: 0 })
///     }
///
///     fn step(&mut self, inputs: &CountInputs, context: &mut StepContext) -> Result<Step<u32>, StepError> {
///         self.next += 1;
///         context.progress(self.next.into(), inputs.up_to.into(), "counting");
///         Ok(if self.next == inputs.up_to { Step::Done(self.next) } else { Step::next() })
///     }
/// }
/// ```
///
/// **What is guaranteed.** A step that was acknowledged, which is to say that its checkpoint is in the store, is never run
/// again and never skipped. A step that a crash has interrupted is run again from its beginning, so each runs at least
/// once; what it had asked managers for by then may have been done. Its commands have the same [`key`](StepContext::key)s
/// again: a manager whose command is `#[command(journaled)]` is told by
/// [`Context::seen_before`](crate::registry::Context::seen_before) whether it had begun or done that; what exactly is guaranteed
/// of it, and what is not, is said there.
pub trait Procedure: Serialize + DeserializeOwned + Schema + Send + Sized + 'static {
    /// What it is launched with: checked against types, bounds and defaults before there is a record of it.
    type Inputs: Serialize + DeserializeOwned + Schema + Send + 'static;
    /// What it comes to. Floats that are to be read back are finite: JSON knows no others.
    type Output: Serialize + DeserializeOwned + Schema + Send + 'static;

    /// The state before the first step. It counts as step 0.
    ///
    /// # Errors
    /// Whatever keeps it from beginning; it ends as excepted.
    fn begin(inputs: &Self::Inputs, context: &mut StepContext) -> Result<Self, StepError>;

    /// One step. When it returns, the state is kept, and the step is acknowledged.
    ///
    /// # Errors
    /// Whatever keeps it from going on; it ends as excepted, with the checkpoint of the step before.
    fn step(
        &mut self,
        inputs: &Self::Inputs,
        context: &mut StepContext,
    ) -> Result<Step<Self::Output>, StepError>;
}

/// How a step ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<O> {
    /// Another step follows; the note says where it stands, for people.
    Next(String),
    /// Another step follows after that time. It is kept as a moment of the calendar's clock: a pause or a crash does
    /// not make it longer.
    Sleep(Duration),
    /// Another step follows when a signal meets the condition; when it does not within that time, the procedure ends as
    /// excepted.
    WaitUntil(Condition, Duration),
    /// Another step follows when that procedure has ended, in whichever way; see
    /// [`StepContext::child_output`](super::StepContext::child_output).
    Child(ChildLaunch),
    /// It has come to its end.
    Done(O),
}

impl<O> Step<O> {
    /// Another step follows, and there is nothing to say.
    pub fn next() -> Self {
        Self::Next(String::new())
    }
}

/// A procedure that a step launches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
pub struct ChildLaunch {
    /// Its kind.
    pub kind: String,
    /// Its inputs as JSON.
    pub inputs: String,
}

impl ChildLaunch {
    /// A procedure of that kind, with these inputs.
    ///
    /// # Errors
    /// [`EncodeError`] when the inputs cannot be written as JSON.
    pub fn new(kind: &str, inputs: &impl Serialize) -> Result<Self, EncodeError> {
        Ok(Self { kind: kind.to_owned(), inputs: as_json(inputs)? })
    }
}

/// Writes inputs as JSON text.
pub(super) fn as_json(inputs: &impl Serialize) -> Result<String, EncodeError> {
    serde_json::to_string(inputs).map_err(|error| EncodeError { reason: error.to_string() })
}

/// What a signal is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
pub struct Condition {
    /// The signal, as `manager.signal`: a number, or a truth value that counts as 1 or 0.
    pub signal: String,
    /// What it is held against.
    pub is: Comparison,
}

/// How a signal is held against a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// It is that, or more.
    AtLeast(f64),
    /// It is that, or less.
    AtMost(f64),
    /// It is exactly that.
    Equal(f64),
    /// It is anything else.
    NotEqual(f64),
}

impl Comparison {
    /// Whether a value meets it.
    pub fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(other) => value != other,
        }
    }
}

impl Condition {
    /// That signal is to be so.
    pub fn new(signal: &str, is: Comparison) -> Self {
        Self { signal: signal.to_owned(), is }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, number) = match self.is {
            Comparison::AtLeast(number) => ("≥", number),
            Comparison::AtMost(number) => ("≤", number),
            Comparison::Equal(number) => ("=", number),
            Comparison::NotEqual(number) => ("≠", number),
        };
        write!(f, "{} {sign} {number}", self.signal)
    }
}

/// Why a step did not come to its end. Every error converts into it through `?`.
#[derive(Debug, Clone)]
pub struct StepError {
    failure: Box<Failure>,
    cause: Cause,
}

/// What a step's error comes from, as far as it matters for what becomes of the procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The step itself.
    Own,
    /// A call was cancelled, as by an order to stop: the step can be run again.
    Cancelled,
    /// The rig quits: so does the procedure, until the next run.
    Shutdown,
}

impl StepError {
    /// An error with nothing but text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { failure: Box::new(Failure::text(text)), cause: Cause::Own }
    }

    /// The error as it is kept.
    pub fn into_failure(self) -> Failure {
        *self.failure
    }

    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    pub(super) fn of(failure: Failure) -> Self {
        Self { failure: Box::new(failure), cause: Cause::Own }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for StepError {
    fn from(error: E) -> Self {
        let error = error.into();
        let cause = cause_of(&*error);
        Self { failure: Box::new(Failure::from_error(&*error)), cause }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

fn cause_of(error: &(dyn Error + 'static)) -> Cause {
    let (call, refusal) = (error.downcast_ref::<CallError>(), error.downcast_ref::<Refusal>());
    let is_shutdown = call.is_some_and(CallError::is_shutdown) || refusal.is_some_and(Refusal::is_shutdown);
    match error.source() {
        _ if is_shutdown => Cause::Shutdown,
        _ if call.is_some_and(CallError::is_cancelled) || error.is::<Cancelled>() => Cause::Cancelled,
        Some(source) => cause_of(source),
        None => Cause::Own,
    }
}
