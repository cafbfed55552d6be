//! A name for one deed: the same when it is asked for again after a crash, another for any other deed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which command of which step of which procedure. A step that is run again after a crash gives its commands the same
/// keys, in the order in which it issues them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, labrig::Schema)]
pub struct IdempotencyKey {
    /// The procedure's id, for people: another store of procedures has the same ones.
    pub procedure: String,
    /// The random number that the procedure was given when it was recorded. By it alone procedures are told apart, also
    /// those of a store that was made anew, or put back from a copy.
    pub mark: u64,
    /// Its step: 0 is its begin.
    pub step: u64,
    /// The how many-th key of the step, from 0.
    pub index: u32,
}

impl IdempotencyKey {
    /// The name as it travels, which has one byte for its length.
    pub(super) fn name(&self) -> &str {
        &self.procedure[..self.procedure.floor_char_boundary(usize::from(u8::MAX))]
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.procedure, self.step, self.index)
    }
}
