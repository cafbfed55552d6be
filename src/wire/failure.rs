//! How a handler's failure looks to a far caller.
//!
//! A typed error crosses whole, with its text; any other error crosses as text with its chain of
//! causes; a panic crosses as its message and place.

use std::error::Error;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::attached::Parcel;
use super::codec::{self, CodecId};
use super::ids::Site;
use super::schema::{Node, Schema, TypeSchema, short_path};

/// A handler's failure, as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// The error's own text, or the panic's message.
    pub text: String,
    /// The texts of the error's sources, outermost first.
    pub causes: Vec<String>,
    /// Where a panic happened.
    pub location: Option<Site>,
    /// The backtrace, when backtraces are enabled there.
    pub backtrace: Option<String>,
}

/// What kind of failure crossed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub enum FailureKind {
    /// The handler returned a typed error, which crossed whole.
    Typed {
        /// The type's path.
        path: String,
        /// Its fingerprint.
        fingerprint: u64,
        /// The value, by postcard, with what travels beside it.
        value: Parcel,
    },
    /// The handler returned an error that has only text.
    Text,
    /// The handler panicked.
    Panic,
    /// The command's bytes were not what its type expects; the handler did not run.
    Malformed,
}

impl Failure {
    /// A failure that has only text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Text,
            text: text.into(),
            causes: Vec::new(),
            location: None,
            backtrace: None,
        }
    }

    /// A failure to read the command.
    pub fn malformed(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Malformed, ..Self::text(text) }
    }

    /// An error with its chain of causes.
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let causes =
            std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
        Self { causes: causes.map(ToString::to_string).collect(), ..Self::text(error.to_string()) }
    }

    /// An error whose type both sides know, with the text people read. One that is text crosses as text.
    pub fn typed<E: Serialize + Schema>(error: &E, text: String) -> Self {
        let schema = TypeSchema::of::<E>();
        if schema.root == Node::Text {
            return Self::text(text);
        }
        match codec::pack(error, CodecId::Postcard) {
            Ok(value) => {
                let kind = FailureKind::Typed {
                    path: schema.root.identity(),
                    fingerprint: schema.fingerprint(),
                    value,
                };
                Self { kind, ..Self::text(text) }
            }
            Err(_) => Self::text(text),
        }
    }

    /// The handler's own error, when it is an `E`.
    pub fn downcast<E: DeserializeOwned + Schema>(&self) -> Option<E> {
        let FailureKind::Typed { path, fingerprint, value } = &self.kind else { return None };
        let schema = TypeSchema::of::<E>();
        if *path != schema.root.identity() || *fingerprint != schema.fingerprint() {
            return None;
        }
        codec::unpack(value, value.attached.as_deref(), CodecId::Postcard, &schema).ok()
    }

    /// The short name of the error's type, when it has one.
    pub fn type_name(&self) -> Option<String> {
        match &self.kind {
            FailureKind::Typed { path, .. } => Some(short_path(path)),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FailureKind::Panic => write!(f, "panicked: {}", self.text)?,
            _ => write!(f, "{}", self.text)?,
        }
        for cause in self.causes.iter().filter(|cause| !self.text.contains(cause.as_str())) {
            write!(f, ": {cause}")?;
        }
        match &self.location {
            Some(site) => write!(f, " (at {site})"),
            None => Ok(()),
        }
    }
}
