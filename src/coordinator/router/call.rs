//! What is remembered of a call in flight, and what may be said of its end.

use std::time::Instant;

use super::Caller;
use super::streaming::Window;
use crate::wire::{CommandId, Ending, Generation, Hops, NotDone, Parcel};

/// What is remembered of a call in flight.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) station: usize,
    pub(super) generation: Generation,
    pub(super) command: CommandId,
    pub(super) chain: Hops,
    pub(super) accepted_at: Instant,
    pub(super) stand: Stand,
    /// Whether its station was told to cancel it.
    pub(super) is_cancelled: bool,
    /// When a stream answers it: how much of that may come.
    pub(super) stream: Option<Window>,
    /// How often it may still be given to a next life of its station.
    pub(super) retries: u32,
    /// Its envelope, once that was sent and may have to be sent again.
    pub(super) kept: Parcel,
    /// Whether an earlier life of its station, or another instance of its pool, had taken it.
    pub(super) may_have_run: bool,
    /// The pool that gave it to its station, and its place in the pool's queue.
    pub(super) pool: Option<(usize, u64)>,
    /// Whether it was sent one way: its sender has no number for it, and waits for no answer.
    pub(super) is_one_way: bool,
}

/// Where a call stands on its way to its station.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stand {
    /// In the station's queue, at that place.
    Queued(u64),
    /// In its pipe or beyond it, as the command of that number.
    Sent(u64),
    /// In no queue: an order, which the coordinator obeys itself, or a call that waits for a next life.
    Aside,
}

impl Call {
    /// Whether that life of that station was given it.
    pub(super) fn is_at(&self, station: usize, generation: Generation) -> bool {
        self.station == station && self.generation == generation && self.was_sent()
    }

    /// Whether it has gone into the pipe.
    pub(super) fn was_sent(&self) -> bool {
        matches!(self.stand, Stand::Sent(_))
    }

    /// What may be said of its end: of one that may have run before, not that it did not run.
    pub(super) fn truth_of(&self, ending: Ending) -> Ending {
        match ending {
            Ending::NotDone(NotDone::Lost | NotDone::Cancelled | NotDone::Refused(_))
                if self.may_have_run =>
            {
                Ending::NotDone(NotDone::Indeterminate)
            }
            ending => ending,
        }
    }
}
