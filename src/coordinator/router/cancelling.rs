//! Calls that are taken back, given more time, or awaited by nobody.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Asked, Call, Caller, Effect, Router};
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
        if call.ordinal.is_some() {
            let was_told = std::mem::replace(&mut call.is_cancelled, true);
            let station = call.station;
            if !was_told {
                self.effects.push(Effect::Cancel { station, call: id });
            }
        } else if let Some(call) = self.in_flight.complete(id) {
            self.stations[call.station].withdraw(id);
            self.end(id, call, Ending::NotDone(NotDone::Cancelled), CodecId::Postcard);
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
                self.stations[call.station].set_deadline(id, deadline);
                self.in_flight.set_deadline(id, deadline);
            }
        }
    }

    /// Ends every call whose deadline has passed. What is still queued here will not run; of the others their
    /// stations are told.
    pub fn expire(&mut self, now: Instant) {
        let expired = self.in_flight.expire(now);
        self.withdraw_unsent(&expired);
        for (id, call) in expired {
            if call.ordinal.is_some() && !call.is_cancelled {
                self.effects.push(Effect::Cancel { station: call.station, call: id });
            }
            self.end(id, call, Ending::NotDone(NotDone::Expired), CodecId::Postcard);
        }
    }

    /// Takes what was not sent out of the queues: each is gone through once, however much has expired.
    fn withdraw_unsent(&mut self, expired: &[(u64, Call)]) {
        let mut unsent: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (id, call) in expired.iter().filter(|(_, call)| call.ordinal.is_none()) {
            unsent.entry(call.station).or_default().push(*id);
        }
        for (station, mut ids) in unsent {
            ids.sort_unstable();
            self.stations[station].withdraw_all(&ids);
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
