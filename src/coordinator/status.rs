//! A snapshot of a rig's health.

use serde::Serialize;

use super::router::{Totals, ValueCounts};
use super::summary::Death;

/// How a rig is doing, at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct RigStatus {
    /// The rig's name.
    pub rig: String,
    /// Since when it runs, in s.
    pub uptime_s: f64,
    /// Its managers, by name.
    pub managers: Vec<ManagerStatus>,
    /// Its streams, by name.
    pub streams: Vec<StreamStatus>,
    /// How calls have ended.
    pub totals: Totals,
    /// Calls in flight.
    pub in_flight: usize,
}

/// How a manager is doing.
#[derive(Debug, Clone, Serialize)]
pub struct ManagerStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// `waiting`, `starting`, `ready`, `busy`, `stuck`, `safe`, `inactive`, `stopping`, `stopped`, `restarting`,
    /// `failed` or `absent`.
    pub state: &'static str,
    /// Its process number; 0 before it is started.
    pub pid: u32,
    /// Which life of it.
    pub generation: u32,
    /// Since when it runs, in s.
    pub uptime_s: f64,
    /// Commands waiting for it.
    pub queued: u64,
    /// Commands it has taken.
    pub taken: u64,
    /// How often its pipe was left unread because it sent too much.
    pub throttles: u64,
    /// How many one-way commands gave way to newer ones while they waited for it; for an instance of a pool, for all of
    /// the pool.
    pub displaced: u64,
    /// How many of its values others hold, and how many of theirs it holds.
    pub values: ValueCounts,
    /// How often it was started again.
    pub restarts: u32,
    /// How it last ended without being told, if it did.
    pub last_death: Option<Death>,
    /// Whether it refuses what moves or emits until somebody arms it.
    pub is_inactive: bool,
    /// How it last entered its safe state without ending, if it did.
    pub last_safe_entry: Option<SafeStatus>,
    /// What went wrong, if anything did; why it is absent, if it is.
    pub fault: Option<String>,
}

/// How a manager has entered its safe state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SafeStatus {
    /// Why.
    pub reason: String,
    /// How long that took, from when it heard of it, in µs.
    pub took_us: u64,
    /// Whether its emergency handle did it, because its worker was stuck.
    pub by_emergency_handle: bool,
    /// When it said so, in s from the beginning of the run.
    pub at_s: f64,
}

/// How a stream is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// Who fills it.
    pub producer: String,
    /// Frames published.
    pub published: u64,
    /// How often the producer had to wait for a lossless reader.
    pub waits: u64,
    /// How long it waited in all, in ms.
    pub waited_ms: f64,
    /// Frames that the ring refused: too large, or no slot in time.
    pub refused: u64,
    /// Who reads it.
    pub readers: Vec<ReaderStatus>,
}

/// How a reader of a stream is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReaderStatus {
    /// Who reads.
    pub manager: String,
    /// Whether the producer waits for it.
    pub is_lossless: bool,
    /// Frames it has taken.
    pub taken: u64,
    /// Frames it passed over in favour of newer ones.
    pub skipped: u64,
    /// Frames it could not read.
    pub damaged: u64,
    /// Frames that are before it.
    pub unread: u64,
}

impl StreamStatus {
    /// Frames that somebody who was to see all of them has not seen, or could not read.
    pub fn dropped(&self) -> u64 {
        let lossless = self.readers.iter().filter(|reader| reader.is_lossless);
        self.refused + lossless.map(|reader| reader.skipped + reader.damaged + reader.unread).sum::<u64>()
    }
}
