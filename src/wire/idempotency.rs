//! A name for one deed: the same when it is asked for again after a crash, another for any other deed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which command of which step of which procedure. A step that is run again after a crash gives its commands the same
/// keys, in the order in which it asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, labrig::Schema)]
pub struct IdempotencyKey {
    /// The procedure's id.
    pub procedure: String,
    /// Its step: 0 is its begin.
    pub step: u64,
    /// The how many-th key that the step has asked for, from 0.
    pub index: u32,
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.procedure, self.step, self.index)
    }
}
