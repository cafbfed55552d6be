//! Who waits for whom: the wait-for graph.
//!
//! A station that blocks in a handler, for a call or a broadcast that it made, does nothing else until that
//! has ended. So it waits for whoever is to answer, and if that one waits in turn, directly or not, for this
//! station, neither would ever go on. An edge that would close such a cycle is refused, however the calls on
//! it came about. Only threads that run handlers are stations; other threads may wait for anybody.

use super::{Asked, Call, Caller, Router};
use crate::wire::{CodecId, Ending, NotDone};

/// What each station waits for.
#[derive(Debug)]
pub(super) struct Waits(Vec<Vec<Asked>>);

impl Waits {
    /// Nobody waits, of that many stations.
    pub(super) fn among(stations: usize) -> Self {
        Self(vec![Vec::new(); stations])
    }

    pub(super) fn begin(&mut self, waiter: usize, asked: Asked) {
        if !self.0[waiter].contains(&asked) {
            self.0[waiter].push(asked);
        }
    }

    pub(super) fn end(&mut self, waiter: usize, asked: Asked) {
        self.0[waiter].retain(|other| *other != asked);
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The station is gone, and waits for nothing.
    pub(super) fn forget(&mut self, waiter: usize) {
        self.0[waiter].clear();
    }
}

impl Router {
    /// A handler is about to do nothing until that call has ended, or is answered by a stream. When that would
    /// be for ever, the call ends here instead, as [`NotDone::Deadlock`]; while it is queued, it does not run.
    pub fn begin_wait(&mut self, caller: Caller) {
        let Some((&asked, waiter)) = self.asked.get(&caller).zip(self.waiter(caller)) else { return };
        let goals = self.stations_of(asked);
        if goals.is_empty() {
            return;
        }
        match goals.into_iter().find_map(|goal| self.check_wait(caller, goal).err()) {
            None => self.waits.begin(waiter, asked),
            Some(cycle) => self.refuse_wait(asked, cycle),
        }
    }

    /// It waits no longer, though the call goes on.
    pub fn end_wait(&mut self, caller: Caller) {
        if let Some(&asked) = self.asked.get(&caller) {
            self.unlink(caller, asked);
        }
    }

    /// Whoever waited for that waits no longer.
    pub(super) fn unlink(&mut self, caller: Caller, asked: Asked) {
        if let Some(waiter) = self.asking(caller) {
            self.waits.end(waiter, asked);
        }
    }

    fn refuse_wait(&mut self, asked: Asked, cycle: Vec<String>) {
        match asked {
            Asked::Call(id) => {
                let Some(call) = self.in_flight.complete(id) else { return };
                self.withdraw(&call);
                self.end(id, call, Ending::NotDone(NotDone::Deadlock { cycle }), CodecId::Postcard);
            }
            Asked::Gathering(id) => self.end_gathering(id, NotDone::Deadlock { cycle }),
        }
    }

    /// Whether the caller may wait for that station.
    ///
    /// # Errors
    /// The cycle that would be closed, by names: it begins and ends with the caller.
    pub(super) fn check_wait(&self, caller: Caller, station: usize) -> Result<(), Vec<String>> {
        let Some(waiter) = self.waiter(caller) else { return Ok(()) };
        let mut path = vec![waiter];
        match self.leads_back(station, waiter, &mut path, &mut vec![false; self.stations.len()]) {
            false => Ok(()),
            true => Err(path.iter().map(|index| self.stations[*index].name.to_string()).collect()),
        }
    }

    /// Whether whoever waits for `at` waits for `goal`; then `path` says through whom.
    fn leads_back(&self, at: usize, goal: usize, path: &mut Vec<usize>, seen: &mut [bool]) -> bool {
        path.push(at);
        if at == goal {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            let next = self.waits.0[at].iter().flat_map(|asked| self.stations_of(*asked));
            for next in next {
                if self.leads_back(next, goal, path, seen) {
                    return true;
                }
            }
        }
        path.pop();
        false
    }

    /// The stations that are still to answer.
    fn stations_of(&self, asked: Asked) -> Vec<usize> {
        let is_awaited = |call: &&Call| call.stream.is_none();
        let call = |id: &u64| self.in_flight.get(*id).filter(is_awaited).map(|call| call.station);
        match asked {
            Asked::Call(id) => call(&id).into_iter().collect(),
            Asked::Gathering(id) => {
                let parts = self.gatherings.get(&id).map(|gathering| &gathering.parts);
                parts.into_iter().flatten().filter_map(call).collect()
            }
        }
    }

    /// The station whose handler waits for a call that it made: in the life that goes on.
    pub(super) fn waiter(&self, caller: Caller) -> Option<usize> {
        self.asking(caller).filter(|_| self.is_present(caller))
    }

    /// The station whose handler made a call; none for threads that run no handlers.
    fn asking(&self, caller: Caller) -> Option<usize> {
        match caller {
            Caller::Manager { index, .. } => Some(index),
            Caller::Local(_) => Some(self.scope_index()),
            Caller::Startup(_) | Caller::Gathering(_) => None,
        }
    }
}
