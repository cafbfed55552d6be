//! What runners of procedures and managers that keep journals say to each other, so that keys by which nobody can ask any
//! longer are forgotten.
//!
//! Nobody looks for that time and again. A runner tells it when a procedure has ended, and asks when it begins; a manager asks
//! when it begins with keys from before. So whoever was away learns of it when it is back. Only what a runner knows to have
//! ended is forgotten: the keys of a store that is not there stay.

use serde::{Deserialize, Serialize};

use crate::macros::{Command, Schema};
use crate::wire::{Command as _, CommandId};

/// How many procedures are named at a time; the others are when the next one ends.
pub const MOST_MARKS: usize = 8192;

/// These procedures have ended. Every manager with journaled commands answers by itself, when its journal says so: with the
/// marks of the procedures of which it still keeps keys.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = Vec<u64>, name = "ForgetDeeds")]
pub struct ForgetDeeds {
    /// Their marks.
    pub ended: Vec<u64>,
}

/// Asks every runner of procedures which of these it knows to have ended.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = Vec<u64>, name = "WhichHaveEnded", idempotent)]
pub struct WhichHaveEnded {
    /// The marks of procedures.
    pub marks: Vec<u64>,
}

/// Whether a command is one of these: they reach everybody whom they are for, whatever broadcasts the config lets them hear.
pub fn is_about_deeds(command: CommandId) -> bool {
    [ForgetDeeds::spec().id, WhichHaveEnded::spec().id].contains(&command)
}
