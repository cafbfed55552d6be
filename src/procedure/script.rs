//! Scripts: files of steps that are played as a procedure.
//!
//! A file is read and held against the routes of the rig as a whole, by the coordinator, before its first step: `check`
//! finds every fault and gives a [`Score`], `player` plays it. What is kept between steps is the place in the score alone,
//! so that pausing, killing and going on after a crash are those of any procedure.

mod check;
mod player;
mod raw;
mod score;

pub use check::{ScriptSource, check_script};
pub use player::{Script, ScriptInputs, ScriptReport};
pub use score::{Act, Score, ScoreStep, Spot, Values};
