//! Calls that are given to the next life of their station, because their command says that it may run again.
//!
//! When a station is gone that is to return, such calls wait aside, by the envelopes that were kept of them: they
//! expire, and are taken back, as others do. The next life gets them in their order once it is ready. What an
//! earlier life had taken may have run, and no ending says that it did not.

use super::station::Ordered;
use super::{Call, Queued, Router, Stand};
use crate::wire::{CodecId, Ending, NotDone};

impl Router {
    /// No next life of the station comes: the calls that waited for it end.
    pub fn give_up(&mut self, index: usize) {
        self.expect_no_next(index);
        self.tend_pool_of(index);
    }

    pub(super) fn expect_no_next(&mut self, index: usize) {
        self.end_held(index, &NotDone::Lost);
        self.stations[index].has_next = false;
    }

    /// The station is gone and is to return: what its next life may be given waits for that.
    pub(super) fn hold_back(&mut self, index: usize, taken: u64) {
        let is_its = |call: &Call| call.station == index && call.retries > 0 && self.may_wait(call);
        for id in self.in_flight.those(is_its) {
            let Some(call) = self.in_flight.get_mut(id) else { continue };
            match std::mem::replace(&mut call.stand, Stand::Aside) {
                Stand::Queued(place) => {
                    let queued = self.stations[index].withdraw(place);
                    call.kept = queued.map(|queued| queued.parcel).unwrap_or_default();
                }
                Stand::Sent(ordinal) => call.may_have_run |= ordinal <= taken,
                Stand::Aside => {}
            }
        }
        self.stations[index].has_next = true;
    }

    /// Whether a call may go on in another life: nobody wants it back, nothing of its answer has come, and
    /// somebody waits for it.
    pub(super) fn may_wait(&self, call: &Call) -> bool {
        !call.is_cancelled && call.stream.is_none() && self.is_present(self.caller_of(call))
    }

    /// The next life is ready: it is given what waited for it.
    pub(super) fn send_again(&mut self, index: usize) {
        if !std::mem::take(&mut self.stations[index].has_next) {
            return;
        }
        for id in self.held_for(index) {
            self.send_one_again(index, id);
        }
    }

    fn send_one_again(&mut self, index: usize, id: u64) {
        let deadline = self.in_flight.deadline_of(id);
        let Some(call) = self.in_flight.get_mut(id) else { return };
        let ordered = Ordered { command: call.command, sender: call.caller };
        let is_hazardous = self.routes.get(&call.command).is_some_and(|route| route.hazardous);
        if is_hazardous && self.stations[index].is_inactive {
            return self.end_held_one(id, NotDone::Lost);
        }
        let (parcel, command) = (std::mem::take(&mut call.kept), Some(ordered));
        let queued = Queued { parcel, call: Some(id), command, deadline, tells: None, is_hazardous };
        call.stand = Stand::Queued(self.stations[index].push_again(queued));
        call.generation = self.stations[index].generation;
        call.retries -= 1;
        self.totals.retried += 1;
        self.queued(index, is_hazardous);
    }

    fn held_for(&self, index: usize) -> Vec<u64> {
        self.in_flight.those(|call| call.station == index && call.stand == Stand::Aside)
    }

    /// Ends every call that waits for the next life of a station; those that may have run as indeterminate.
    pub(super) fn end_held(&mut self, index: usize, why: &NotDone) {
        if self.stations[index].has_next {
            self.held_for(index).into_iter().for_each(|id| self.end_held_one(id, why.clone()));
        }
    }

    fn end_held_one(&mut self, id: u64, why: NotDone) {
        if let Some(call) = self.in_flight.complete(id) {
            self.end(id, call, Ending::NotDone(why), CodecId::Postcard);
        }
    }
}
