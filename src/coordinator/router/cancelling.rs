//! Calls that are taken back, given more time, or awaited by nobody.

use std::time::Instant;

use super::{Asked, Call, Caller, Effect, Router, Stand};
use crate::wire::{CodecId, Ending, NotDone};

impl Router {
    /// The caller takes a call back. One that has not gone into its pipe ends here and does not run; else its
    /// station is told, once, and says how it ended.
    pub fn cancel(&mut self, caller: Caller) {
        match self.asked.get(&caller) {
            Some(Asked::Call(id)) => self.cancel_call(*id),
            Some(Asked::Gathering(id)) => self.parts_of(*id).into_iter().for_each(|id| self.cancel_call(id)),
            None => {}
        }
    }

    pub(super) fn cancel_call(&mut self, id: u64) {
        let Some(call) = self.in_flight.get_mut(id) else { return };
        if call.was_sent() {
            let was_told = std::mem::replace(&mut call.is_cancelled, true);
            let station = call.station;
            if !was_told {
                self.effects.push(Effect::Cancel { station, call: id });
            }
        } else if let Some(call) = self.in_flight.complete(id) {
            self.withdraw(&call);
            self.end(id, call, Ending::NotDone(NotDone::Cancelled), CodecId::Postcard);
        }
    }

    /// Takes a call that has ended out of the queue that it is in, if it is in one.
    pub(super) fn withdraw(&mut self, call: &Call) {
        if let Stand::Queued(place) = call.stand {
            drop(self.stations[call.station].withdraw(place));
            self.feed_pool_of(call.station);
        }
    }

    /// From now on a call expires at that time, or never. How much time its handler has been told of does not
    /// change.
    pub fn set_expiry(&mut self, caller: Caller, deadline: Option<Instant>) {
        let ids = match self.asked.get(&caller) {
            Some(Asked::Call(id)) => vec![*id],
            Some(Asked::Gathering(id)) => self.parts_of(*id),
            None => return,
        };
        for id in ids {
            let Some(call) = self.in_flight.get(id) else { continue };
            // A stream that has been opened has no deadline.
            if call.stream.is_none() {
                if let Stand::Queued(place) = call.stand {
                    self.stations[call.station].set_deadline(place, deadline);
                }
                self.in_flight.set_deadline(id, deadline);
            }
        }
    }

    /// Ends every call whose deadline has passed. What is still queued here will not run; of the others their
    /// stations are told.
    pub fn expire(&mut self, now: Instant) {
        let expired = self.in_flight.expire(now);
        // All of them first: the end of one may let an instance of a pool go on, and it is to be given none of the others.
        expired.iter().for_each(|(_, call)| self.withdraw(call));
        for (id, call) in expired {
            if call.was_sent() && !call.is_cancelled {
                self.effects.push(Effect::Cancel { station: call.station, call: id });
            }
            self.end(id, call, Ending::NotDone(NotDone::Expired), CodecId::Postcard);
        }
    }

    /// The caller waits no longer: the entry is freed and a late answer will be discarded. The command may
    /// still run; a stream that answers it is stopped.
    pub fn abandon(&mut self, caller: Caller) {
        let Some(asked) = self.asked.get(&caller).copied() else { return };
        let ended = match asked {
            Asked::Call(id) => self.abandon_call(id),
            Asked::Gathering(id) => self.abandon_gathering(id),
        };
        self.forget_asked(caller, asked);
        self.totals.expired += u64::from(ended);
    }

    /// Forgets a call; says whether it was still to end.
    pub(super) fn abandon_call(&mut self, id: u64) -> bool {
        let Some(call) = self.in_flight.complete(id) else { return false };
        if call.stream.is_some() && !call.is_cancelled {
            self.effects.push(Effect::Cancel { station: call.station, call: id });
        }
        self.trace(id, &call, "abandoned", None);
        true
    }
}
