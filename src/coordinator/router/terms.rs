//! What goes into the router and what comes out of it.

use std::time::{Duration, Instant};

use super::holders::HolderNews;
use crate::remote::{Answer, StreamNews};
use crate::wire::{
    CodecId, CommandId, DeliveryKind, Ending, Failure, Generation, NotDone, Overflow, Progress, Undelivered,
};

/// Who made a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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
    /// An offer of a task that the coordinator places, by its own number for it. It is given to every next life of the
    /// one that it is for: it ends as indeterminate only when there is none to ask.
    Offer(u64),
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
    /// A call of this process is answered by a stream that begins now.
    Opened {
        /// Whose call.
        caller: Caller,
        /// The answer.
        answer: Answer,
    },
    /// Something came out of the stream that answers a call of this process.
    Stream {
        /// Whose call.
        caller: Caller,
        /// What.
        news: StreamNews,
    },
    /// A call of this process has come so far.
    Progress {
        /// Whose call.
        caller: Caller,
        /// How far.
        progress: Progress,
    },
    /// The station at that place is to cancel a call, which it has in its pipe or is at.
    Cancel {
        /// Its place.
        station: usize,
        /// The router's number of the call.
        call: u64,
    },
    /// The scope streams the answer to a call, and may send more of it.
    Grant {
        /// The router's number of the call.
        call: u64,
        /// How many chunks more.
        chunks: u32,
    },
    /// The coordinator itself is asked for something; [`Router::order_ended`](super::Router::order_ended) ends the
    /// call.
    Order {
        /// The router's number of the call.
        call: u64,
        /// Which order.
        order: CommandId,
        /// Its fields.
        payload: Vec<u8>,
        /// How they are written.
        codec: CodecId,
    },
    /// The station at that place leaves its safe state: a command that moves or emits is queued for it.
    LeavesSafeState(usize),
    /// A one-way command was accepted, or offered by a manager, and will not run.
    Undelivered {
        /// Who sent it.
        sender: Caller,
        /// Which, and why.
        news: Undelivered,
    },
    /// A one-way command that a pool had given to the station at that place has failed.
    TaskFailed {
        /// Its place.
        station: usize,
        /// Which command.
        command: CommandId,
        /// Why.
        failure: Box<Failure>,
    },
    /// Those who have values are to know who holds them.
    Holders(Vec<HolderNews>),
    /// A call has ended, and endings are traced.
    Traced(Box<TracedEnding>),
}

/// How one call ended, for the trace.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedEnding {
    /// Who asked.
    pub caller: Caller,
    /// The place of the station that was asked.
    pub station: usize,
    /// Which life of it.
    pub generation: Generation,
    /// Which command.
    pub command: CommandId,
    /// The router's number of the call.
    pub call: u64,
    /// When it was accepted.
    pub accepted_at: Instant,
    /// How long its handler ran, as far as the station has said so.
    pub handler: Option<Duration>,
    /// How it ended, in a word; `abandoned` when its caller waits no longer.
    pub ending: &'static str,
}

/// An ending in a word.
pub(super) fn word_for(ending: &Ending) -> &'static str {
    match ending {
        Ending::Done(_) => "done",
        Ending::NotDone(NotDone::Failed(_)) => "failed",
        Ending::NotDone(NotDone::Cancelled) => "cancelled",
        Ending::NotDone(NotDone::Expired) => "expired",
        Ending::NotDone(NotDone::Refused(_)) => "refused",
        Ending::NotDone(NotDone::Lost) => "lost",
        Ending::NotDone(NotDone::Indeterminate) => "indeterminate",
        Ending::NotDone(NotDone::Deadlock { .. }) => "deadlock",
    }
}

/// How far managers have got; read from their status pages.
pub trait Gauge {
    /// How many commands the manager at that place has taken in its present life.
    fn taken(&self, index: usize) -> u64;
    /// How many of them it has ended.
    fn done(&self, index: usize) -> u64;
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
    /// Whether running it twice does the same as running it once: it may be retried.
    pub idempotent: bool,
    /// Whether it moves or emits something: an inactive station refuses it.
    pub hazardous: bool,
    /// The stations that serve it, by place.
    pub stations: Vec<usize>,
}

/// How much is remembered of commands; nothing, when all have ended and every pipe is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Calls in flight.
    pub calls: usize,
    /// What callers have asked for, by their own numbers.
    pub asked: usize,
    /// Broadcasts whose report is not complete.
    pub gatherings: usize,
    /// Handlers that wait.
    pub waits: usize,
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
    /// Refused after they were accepted: because the rig quit, or because waiting for them would have been for
    /// ever.
    pub refused: u64,
    /// Ended because their manager died before taking them.
    pub lost: u64,
    /// Ended because their manager died while at them.
    pub indeterminate: u64,
    /// Given once more to the next life of their station, because that may be done with their command.
    pub retried: u64,
    /// Not accepted.
    pub not_accepted: u64,
    /// One-way commands that were accepted.
    pub sends: u64,
    /// One-way commands that did not run, or of which that is not known: accepted ones, and those that a
    /// manager offered in vain.
    pub undelivered: u64,
    /// Those of them that gave way to newer ones.
    pub undelivered_displaced: u64,
    /// Those of them whose manager died before taking them.
    pub undelivered_lost: u64,
    /// Those of them whose manager died while at them.
    pub undelivered_indeterminate: u64,
    /// Those of them that were refused, when they were offered or because the rig quit.
    pub undelivered_refused: u64,
    /// Those of them that had not run when everything was stopped.
    pub undelivered_stopped: u64,
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
