//! How the errors of handlers cross: whole, as text with causes, or not at all.

use std::convert::Infallible;
use std::fmt;
use std::io;

use labrig::prelude::*;
use labrig::registry::Handles;
use labrig::wire::{Failure, FailureKind};

use super::call;

macro_rules! commands {
    ($($name:ident),*) => {$(
        #[derive(Command, Serialize, Deserialize, Schema)]
        struct $name;
    )*};
}

commands!(FailTyped, FailQuietly, FailText, FailIo, FailBoxed, FailChained, FailNever, FailByAlias);

#[derive(Serialize, Deserialize, Schema, Debug, PartialEq)]
enum MotorError {
    OutOfTravel { height_um: f64 },
}

impl fmt::Display for MotorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::OutOfTravel { height_um } = self;
        write!(f, "height {height_um} µm is out of travel")
    }
}

impl std::error::Error for MotorError {}

/// An error without text of its own.
#[derive(Serialize, Deserialize, Schema, Debug, PartialEq)]
struct Jammed {
    at_um: f64,
}

/// As `anyhow::Error`: no error itself, but convertible into a box of one.
#[derive(Debug)]
struct AnyError(io::Error);

impl From<AnyError> for Box<dyn std::error::Error + Send + Sync> {
    fn from(error: AnyError) -> Self {
        Box::new(error.0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot open the stage")]
struct Chained(#[source] io::Error);

type MotorResult = Result<(), MotorError>;

struct Motor;

impl Manager for Motor {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "motor.errors")]
impl Motor {
    #[ipc_command]
    fn fail_typed(&mut self, _: FailTyped) -> Result<(), MotorError> {
        Err(MotorError::OutOfTravel { height_um: 300.0 })
    }

    #[ipc_command]
    fn fail_quietly(&mut self, _: FailQuietly) -> Result<(), Jammed> {
        Err(Jammed { at_um: 2.0 })
    }

    #[ipc_command]
    fn fail_text(&mut self, _: FailText) -> Result<(), String> {
        Err("no light".to_owned())
    }

    #[ipc_command]
    fn fail_io(&mut self, _: FailIo) -> io::Result<()> {
        Err(io::Error::other("unplugged"))
    }

    #[ipc_command]
    fn fail_boxed(&mut self, _: FailBoxed) -> Result<(), AnyError> {
        Err(AnyError(io::Error::other("anyhow")))
    }

    #[ipc_command]
    fn fail_chained(&mut self, _: FailChained) -> Result<(), Chained> {
        Err(Chained(io::Error::other("unplugged")))
    }

    #[ipc_command]
    fn fail_never(&mut self, _: FailNever) -> Result<(), Infallible> {
        Ok(())
    }

    #[ipc_command]
    fn fail_by_alias(&mut self, _: FailByAlias) -> MotorResult {
        Err(MotorError::OutOfTravel { height_um: 1.0 })
    }
}

fn failure<C: labrig::wire::Command<Reply = ()>>(command: &C) -> Failure {
    *call(&Motor::table().handlers, &mut Motor, command).expect_err("the handler fails")
}

#[test]
fn a_typed_error_crosses_whole_with_its_text() {
    for failure in [failure(&FailTyped), failure(&FailByAlias)] {
        assert!(matches!(failure.downcast(), Some(MotorError::OutOfTravel { .. })));
        assert_eq!(failure.type_name().as_deref(), Some("MotorError"));
        assert!(failure.text.ends_with("is out of travel"));
        assert_eq!(failure.downcast::<Jammed>(), None);
    }
}

#[test]
fn a_typed_error_without_text_shows_its_debug_form() {
    let failure = failure(&FailQuietly);
    assert_eq!(failure.downcast(), Some(Jammed { at_um: 2.0 }));
    assert_eq!(failure.text, "Jammed { at_um: 2.0 }");
}

fn check_text(failure: &Failure, text: &str, causes: &[&str]) {
    assert_eq!(failure.kind, FailureKind::Text);
    assert_eq!(failure.text, text);
    assert_eq!(failure.causes, causes);
}

#[test]
fn any_other_error_crosses_as_text_with_its_causes() {
    check_text(&failure(&FailIo), "unplugged", &[]);
    check_text(&failure(&FailBoxed), "anyhow", &[]);
    check_text(&failure(&FailChained), "cannot open the stage", &["unplugged"]);
    check_text(&failure(&FailText), "no light", &[]);
}

#[test]
fn an_error_that_cannot_happen_needs_nothing() {
    assert_eq!(call(&Motor::table().handlers, &mut Motor, &FailNever), Ok(()));
}
