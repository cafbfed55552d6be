//! Names and numbers that identify things across processes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::schema::{Node, Schema, SchemaBuilder};

/// The fingerprint of a command: its path, fields, types, their order and its reply, hashed.
///
/// Two programs that know the same command by different shapes have different ids, so bytes are
/// never decoded as the wrong type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({self})")
    }
}

#[diagnostic::do_not_recommend]
impl Schema for CommandId {
    fn schema(_: &mut SchemaBuilder) -> Node {
        Node::U64
    }
}

/// Which life of a manager: 1, 2, 3 …
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Generation(pub u32);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[diagnostic::do_not_recommend]
impl Schema for Generation {
    fn schema(_: &mut SchemaBuilder) -> Node {
        Node::U32
    }
}

/// A manager's name in its rig: 1 to 40 of `a-z 0-9 _ -`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct ManagerName(String);

impl ManagerName {
    /// Takes `text` as a manager's name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, too long, begins with something else than a letter or has other characters.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let begins_well = text.chars().next().is_some_and(|first| first.is_ascii_lowercase());
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if begins_well && text.len() <= 40 && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { name: text.to_owned() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ManagerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A name that cannot be a manager's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a name: expected 1 to 40 of a-z, 0-9, `_` and `-`, beginning with a letter")]
pub struct NameError {
    /// What was given.
    pub name: String,
}

/// A place in a source or config file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct Site {
    /// Path as the compiler or the reader knew it.
    pub file: String,
    /// Line, from 1; 0 when only the file is known.
    pub line: u32,
}

impl Site {
    /// A place.
    pub fn new(file: impl Into<String>, line: u32) -> Self {
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { write!(f, "{}", self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}
