//! The kinds of procedures that are linked into a program, and procedures whatever their type.

use std::panic::Location;
use std::path::Path;

use super::context::StepContext;
use super::step::{Procedure, Step, StepError};
use crate::config::{arguments, check};
use crate::wire::{DecodeError, EncodeError, Site, TypeSchema, codec};

/// Begins a procedure with its inputs, as JSON.
type Begin = fn(&str, &mut StepContext) -> Result<Box<dyn Alive>, StepError>;
/// Makes a procedure out of its inputs and its state.
type Load = fn(&str, &[u8]) -> Result<Box<dyn Alive>, DecodeError>;

/// A kind of procedure; what `#[procedure(kind = "…")]` submits.
#[derive(Debug, Clone, Copy)]
pub struct ProcedureRegistration {
    /// Its name.
    pub kind: &'static str,
    /// What it does, by the doc text of its type.
    pub doc: fn() -> String,
    /// Its source file.
    pub file: &'static str,
    /// Its line there.
    pub line: u32,
    /// What it is launched with.
    pub inputs: fn() -> &'static TypeSchema,
    /// What it comes to.
    pub output: fn() -> &'static TypeSchema,
    /// What its state is made of.
    pub state: fn() -> &'static TypeSchema,
    pub(super) begin: Begin,
    pub(super) load: Load,
}

inventory::collect!(ProcedureRegistration);

impl ProcedureRegistration {
    /// The registration of `P`.
    #[track_caller]
    pub const fn of<P: Procedure>(kind: &'static str) -> Self {
        let place = Location::caller();
        Self {
            kind,
            doc: || doc_of(TypeSchema::known::<P>()),
            file: place.file(),
            line: place.line(),
            inputs: TypeSchema::known::<P::Inputs>,
            output: TypeSchema::known::<P::Output>,
            state: TypeSchema::known::<P>,
            begin: begin::<P>,
            load: load::<P>,
        }
    }

    /// The kind of that name, when it is linked into this program.
    pub fn find(kind: &str) -> Option<&'static Self> {
        inventory::iter::<Self>().find(|registration| registration.kind == kind)
    }

    /// All kinds that are linked into this program, by name.
    pub fn all() -> Vec<&'static Self> {
        let mut all: Vec<_> = inventory::iter::<Self>().collect();
        all.sort_by_key(|registration| registration.kind);
        all
    }

    /// A name that two procedures have, and where they are.
    pub fn doubled() -> Option<(&'static str, [Site; 2])> {
        let all = Self::all();
        let pair = all.windows(2).find(|pair| pair[0].kind == pair[1].kind)?;
        Some((pair[0].kind, [pair[0], pair[1]].map(|one| Site::new(one.file, one.line))))
    }

    /// The inputs as they are kept: within types and bounds. Relative paths start from `folder`.
    ///
    /// # Errors
    /// Every fault, in words.
    pub fn checked_inputs(&self, json: &str, folder: &Path) -> Result<String, Vec<String>> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let given = serde_json::from_str(json).map_err(|error| vec![format!("no JSON: {error}")])?;
        let mut faults = Vec::new();
        let tree = arguments::from_json(&given, folder, &mut faults);
        let checked = check(&tree, (self.inputs)(), "inputs");
        faults.extend(checked.faults);
        match checked.json {
            Some(json) if faults.is_empty() => Ok(json.to_string()),
            _ => Err(faults
                .into_iter()
                .map(|fault| fault.hint.iter().fold(fault.message, |text, hint| format!("{text} ({hint})")))
                .collect()),
        }
    }
}

fn doc_of(schema: &TypeSchema) -> String {
    schema.definition(&schema.root).map(|definition| definition.doc.clone()).unwrap_or_default()
}

/// A procedure that runs, whatever its type.
pub(super) trait Alive: Send {
    /// Runs a step; an output is JSON.
    fn step(&mut self, context: &mut StepContext) -> Result<Step<String>, StepError>;
    /// Its state, as it is kept.
    fn state(&self) -> Result<Vec<u8>, EncodeError>;
}

struct Running<P: Procedure> {
    procedure: P,
    inputs: P::Inputs,
}

fn begin<P: Procedure>(inputs: &str, context: &mut StepContext) -> Result<Box<dyn Alive>, StepError> {
    let inputs: P::Inputs = codec::from_json(inputs.as_bytes(), TypeSchema::known::<P::Inputs>())?;
    let procedure = P::begin(&inputs, context)?;
    Ok(Box::new(Running { procedure, inputs }))
}

fn load<P: Procedure>(inputs: &str, state: &[u8]) -> Result<Box<dyn Alive>, DecodeError> {
    let inputs = codec::from_json(inputs.as_bytes(), TypeSchema::known::<P::Inputs>())?;
    let procedure = codec::from_postcard(state, TypeSchema::known::<P>())?;
    Ok(Box::new(Running::<P> { procedure, inputs }))
}

impl<P: Procedure> Alive for Running<P> {
    fn step(&mut self, context: &mut StepContext) -> Result<Step<String>, StepError> {
        Ok(match self.procedure.step(&self.inputs, context)? {
            Step::Next(note) => Step::Next(note),
            Step::Sleep(duration) => Step::Sleep(duration),
            Step::WaitUntil(condition, patience) => Step::WaitUntil(condition, patience),
            Step::Child(launch) => Step::Child(launch),
            Step::Done(output) => Step::Done(serde_json::to_string(&output)?),
        })
    }

    fn state(&self) -> Result<Vec<u8>, EncodeError> {
        codec::to_postcard(&self.procedure)
    }
}
