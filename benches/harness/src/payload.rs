//! What travels in the works.

use serde::{Deserialize, Serialize};

/// A small typed command, answered by the same with `x + 1`.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Which.
    pub id: u64,
    /// A number.
    pub x: f64,
    /// Sixteen letters.
    pub name: String,
}

/// What every command is called.
pub const NAME: &str = "sixteen letters.";

impl Exchange {
    /// The command of that number.
    pub fn new(id: u64) -> Self {
        Self { id, x: id as f64 * 0.5, name: NAME.to_owned() }
    }

    /// The answer to it.
    pub fn answered(self) -> Self {
        Self { x: self.x + 1.0, ..self }
    }

    /// Demands that this is the answer to the command of that number.
    pub fn check(&self, id: u64) {
        let is_right = self.id == id && self.x == id as f64 * 0.5 + 1.0 && self.name == NAME;
        assert!(is_right, "{self:?} is no answer to {id}");
    }
}

/// A one-way command of 64 bytes.
#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
pub struct Datum {
    /// Which.
    pub id: u64,
    /// A number.
    pub x: f64,
    /// Another.
    pub low: u32,
    /// Another.
    pub high: u32,
    /// Five more.
    pub rest: [f64; 5],
}

impl Datum {
    /// The command of that number.
    pub fn new(id: u64) -> Self {
        // Where small numbers take fewer bytes these do not, so that the bytes do not depend on the count.
        Self { id: id | 1 << 63, x: 0.5, low: u32::MAX, high: u32::MAX, rest: [0.25; 5] }
    }
}

/// What a frame is filled with.
pub fn shade(frame: u64) -> u8 {
    frame.to_le_bytes()[0]
}

/// The consumer's work: the sum of one byte of each page.
pub fn sum_of(frame: &[u8]) -> u64 {
    frame.iter().step_by(PAGE_BYTES).map(|byte| u64::from(*byte)).sum()
}

/// What that sum has to be.
pub fn expected_sum(frame: u64, bytes: usize) -> u64 {
    u64::from(shade(frame)) * bytes.div_ceil(PAGE_BYTES) as u64
}

const PAGE_BYTES: usize = 4096;
