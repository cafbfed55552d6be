//! What a handler may return, and how its errors cross.
//!
//! A handler returns its command's reply, or a `Result` with any error that can cross: whole when the
//! error is `Debug + Serialize + Deserialize + Schema`, as text when it only converts into a boxed error.
//! The macros choose between the two by method resolution on [`ErrorProbe`], so users implement no trait.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::{Debug, Display};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::remote::{Remote, RemoteRef, RemoteValue, Scope};
use crate::wire::{Failure, Schema};

/// A value that a handler of a command with reply `R` may return.
#[diagnostic::on_unimplemented(
    message = "this handler returns `{Self}`, but its command declares `reply = {R}`",
    label = "expected `{R}` or `Result<{R}, _>`",
    note = "change the handler's return type, or `#[command(reply = …)]` on the command"
)]
pub trait Outcome<R> {
    /// The handler's error.
    type Error;
    /// The reply or the handler's error; a value that stays is kept in the process of that scope.
    ///
    /// # Errors
    /// A [`Failure`] when labrig itself cannot make the reply, because too many values are kept already.
    fn into_outcome(self, keeper: &Scope) -> Result<Result<R, Self::Error>, Failure>;
}

#[diagnostic::do_not_recommend]
impl<R> Outcome<R> for R {
    type Error = Infallible;
    fn into_outcome(self, _: &Scope) -> Result<Result<R, Infallible>, Failure> {
        Ok(Ok(self))
    }
}

#[diagnostic::do_not_recommend]
impl<R, E> Outcome<R> for Result<R, E> {
    type Error = E;
    fn into_outcome(self, _: &Scope) -> Result<Self, Failure> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: RemoteValue> Outcome<RemoteRef<T>> for Remote<T> {
    type Error = Infallible;
    fn into_outcome(self, keeper: &Scope) -> Result<Result<RemoteRef<T>, Infallible>, Failure> {
        keep(self, keeper).map(Ok)
    }
}

#[diagnostic::do_not_recommend]
impl<T: RemoteValue, E> Outcome<RemoteRef<T>> for Result<Remote<T>, E> {
    type Error = E;
    fn into_outcome(self, keeper: &Scope) -> Result<Result<RemoteRef<T>, E>, Failure> {
        match self {
            Ok(value) => keep(value, keeper).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}

fn keep<T: RemoteValue>(value: Remote<T>, keeper: &Scope) -> Result<RemoteRef<T>, Failure> {
    keeper.remote(value.0).map_err(|error| Failure::typed(&error, error.to_string()))
}

/// An error on its way out; see the module's words.
pub struct ErrorProbe<E>(Cell<Option<E>>);

impl<E> ErrorProbe<E> {
    /// Holds the error until one of the traits takes it.
    pub fn of(error: E) -> Self {
        Self(Cell::new(Some(error)))
    }

    fn take(&self) -> E {
        self.0.take().expect("a probe is asked once")
    }
}

/// Errors that cross whole, with the text of their `Display`.
pub trait FailTyped {
    /// The failure as it travels.
    fn fail(&self) -> Failure;
}

impl<E: Debug + Display + Serialize + DeserializeOwned + Schema> FailTyped for &&&ErrorProbe<E> {
    fn fail(&self) -> Failure {
        let error = self.take();
        Failure::typed(&error, error.to_string())
    }
}

/// Errors that cross whole, with the text of their `Debug`.
pub trait FailTypedDebug {
    /// The failure as it travels.
    fn fail(&self) -> Failure;
}

impl<E: Debug + Serialize + DeserializeOwned + Schema> FailTypedDebug for &&ErrorProbe<E> {
    fn fail(&self) -> Failure {
        let error = self.take();
        Failure::typed(&error, format!("{error:?}"))
    }
}

/// Errors that cross as text with their causes.
pub trait FailText {
    /// The failure as it travels.
    fn fail(&self) -> Failure;
}

impl<E: Into<Box<dyn Error + Send + Sync>>> FailText for &ErrorProbe<E> {
    fn fail(&self) -> Failure {
        Failure::from_error(&*self.take().into())
    }
}

/// Nothing implements this: it is what the compiler names when an error can cross in no way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross to the caller as a handler's error",
    label = "this error is neither typed nor text",
    note = "derive `Debug, Serialize, Deserialize, Schema` on `{Self}` to let it cross whole, or implement `std::error::Error` to let it cross as text"
)]
pub trait CrossingError {}

/// The last rung, reached only to say what is missing. The bound stands on the method, so that the
/// compiler finds it, and then names the one thing that is missing instead of all rungs.
pub trait FailNot<E> {
    /// Never called.
    fn fail(&self) -> Failure
    where
        E: CrossingError;
}

impl<E> FailNot<E> for ErrorProbe<E> {
    fn fail(&self) -> Failure
    where
        E: CrossingError,
    {
        Failure::text("")
    }
}

/// Asks whether a scope's type is `Default`, for the `#[scope]` macro.
pub struct DefaultProbe<T>(std::marker::PhantomData<T>);

impl<T> Default for DefaultProbe<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// The answer for types that are.
pub trait HasDefault<T> {
    /// The default value.
    fn value(&self) -> Option<T>;
}

impl<T: Default> HasDefault<T> for &DefaultProbe<T> {
    fn value(&self) -> Option<T> {
        Some(T::default())
    }
}

/// The answer for types that are not.
pub trait HasNoDefault<T> {
    /// Nothing.
    fn value(&self) -> Option<T>;
}

impl<T> HasNoDefault<T> for DefaultProbe<T> {
    fn value(&self) -> Option<T> {
        None
    }
}

/// Asks whether a field's default can be written down, for the `Schema` derive.
pub struct TextProbe<'a, T>(pub &'a T);

/// The answer for values that serde can write.
pub trait HasText {
    /// The value as JSON.
    fn text(&self) -> Option<String>;
}

impl<T: Serialize> HasText for &TextProbe<'_, T> {
    fn text(&self) -> Option<String> {
        serde_json::to_string(self.0).ok()
    }
}

/// The answer for values that it cannot.
pub trait HasNoText {
    /// Nothing.
    fn text(&self) -> Option<String>;
}

impl<T> HasNoText for TextProbe<'_, T> {
    fn text(&self) -> Option<String> {
        None
    }
}
