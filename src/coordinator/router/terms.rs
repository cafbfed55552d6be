//! What goes into the router and what comes out of it.

use crate::remote::Answer;
use crate::wire::{DeliveryKind, Generation, Overflow};

/// Who made a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A thread of the coordinator's process, by its own number for the call.
    Local(u64),
    /// A manager, by its place, its life and its own number for the call.
    Manager {
        /// Place in the rig's list.
        index: usize,
        /// The life that called.
        generation: Generation,
        /// The manager's number for the call.
        correlation: u64,
    },
    /// The start-up of the manager at that place.
    Startup(usize),
    /// A broadcast, which gathers the outcomes of its parts.
    Gathering(u64),
}

/// What the router wants done.
#[derive(Debug)]
pub enum Effect {
    /// Something is queued for the station at that place.
    Flush(usize),
    /// A call of this process has ended.
    Answer {
        /// Whose call.
        caller: Caller,
        /// How.
        answer: Answer,
    },
    /// A one-way command was accepted, or offered by a manager, and will not run.
    Undelivered {
        /// The command's name.
        command: String,
        /// Where it was to go.
        to: String,
        /// Why it will not run.
        reason: String,
    },
}

/// How far managers have got; read from their status pages.
pub trait Gauge {
    /// How many commands the manager at that place has taken in its present life.
    fn taken(&self, index: usize) -> u64;
}

/// A command and who serves it.
#[derive(Debug, Clone)]
pub struct Route {
    /// The command's name.
    pub name: String,
    /// How it is delivered.
    pub delivery: DeliveryKind,
    /// What a full queue does with one-way sends of it.
    pub overflow: Overflow,
    /// The stations that serve it, by place.
    pub stations: Vec<usize>,
}

/// How calls ended, and what became of one-way commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Commands that were accepted and want an answer; a broadcast counts once.
    pub accepted: u64,
    /// Ended with a reply, or with the report of a broadcast.
    pub done: u64,
    /// Ended by a handler's error or panic.
    pub failed: u64,
    /// Ended by being taken back.
    pub cancelled: u64,
    /// Ended by their deadline, or because their caller waits no longer.
    pub expired: u64,
    /// Refused after they were accepted, because the rig quit.
    pub refused: u64,
    /// Ended because their manager died before taking them.
    pub lost: u64,
    /// Ended because their manager died while at them.
    pub indeterminate: u64,
    /// Not accepted.
    pub not_accepted: u64,
    /// One-way commands that were accepted.
    pub sends: u64,
    /// One-way commands that did not run: accepted ones, and those that a manager offered in vain, since it
    /// has nobody else to learn that from.
    pub undelivered: u64,
    /// Answers that nobody waited for: their call had ended, or the life of their caller.
    pub late_answers: u64,
}

impl Totals {
    /// How many of those that want an answer have ended, in whichever way.
    pub fn ended(&self) -> u64 {
        let Self { done, failed, cancelled, expired, refused, lost, indeterminate, .. } = self;
        done + failed + cancelled + expired + refused + lost + indeterminate
    }
}
