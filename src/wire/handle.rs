//! Handles as they travel beside a payload: which value is meant, what may be done with it, and what keeps it alive.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::attached::HandleId;

/// Marks, in a key, a handle whose holder may not change the value.
const READ_ONLY: u64 = 1 << 63;

/// Marks a value that wants to know who holds it.
const WATCHED: u64 = 1 << 62;

impl HandleId {
    /// The value alone, whatever may be done with it: what is compared and counted.
    pub fn value(self) -> Self {
        Self { key: self.key & !READ_ONLY, ..self }
    }

    /// The same, for holders that may not change the value.
    pub fn read_only(self) -> Self {
        Self { key: self.key | READ_ONLY, ..self }
    }

    /// The same, of a value that wants to know who holds it.
    pub fn watched(self) -> Self {
        Self { key: self.key | WATCHED, ..self }
    }

    /// Whether its holder may not change the value.
    pub fn is_read_only(self) -> bool {
        self.key & READ_ONLY != 0
    }

    /// Whether the value wants to know who holds it.
    pub fn is_watched(self) -> bool {
        self.key & WATCHED != 0
    }

    /// The key as people read it.
    pub fn number(self) -> u64 {
        self.key & !(READ_ONLY | WATCHED)
    }
}

/// A handle on its way. What keeps its value alive meanwhile lies beside it, in the process where the envelope is, and does
/// not travel.
#[derive(Clone)]
pub struct Handle {
    /// Which value, and what may be done with it.
    pub id: HandleId,
    /// What keeps it alive here; none before anybody here has looked at it.
    pub keeper: Option<Arc<dyn Any + Send + Sync>>,
}

impl From<HandleId> for Handle {
    fn from(id: HandleId) -> Self {
        Self { id, keeper: None }
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Handle {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
