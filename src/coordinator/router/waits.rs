//! Who waits for whom: the wait-for graph.
//!
//! A station that blocks in a handler, for a call or a broadcast that it made, does nothing else until that
//! has ended. So it waits for whoever is to answer, and if that one waits in turn, directly or not, for this
//! station, neither would ever go on. An edge that would close such a cycle is refused, however the calls on
//! it came about. Only threads that run handlers are stations; other threads may wait for anybody.

use std::collections::VecDeque;

use smallvec::SmallVec;

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

    pub(super) fn holds_up(&self, waiter: usize) -> bool {
        !self.0[waiter].is_empty()
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
        let goals = self.stations_for(asked);
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
            self.feed_pool_of(waiter);
        }
    }

    pub(super) fn refuse_wait(&mut self, asked: Asked, cycle: Vec<String>) {
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
    pub(super) fn check_wait(&self, caller: Caller, goal: usize) -> Result<(), Vec<String>> {
        let Some(waiter) = self.waiter(caller) else { return Ok(()) };
        let station = &self.stations[goal];
        // Most often whoever is asked waits for nobody.
        if goal != waiter && self.waits.0[goal].is_empty() && station.members.is_empty() {
            return Ok(());
        }
        let Some(path) = self.way_back(goal, waiter) else { return Ok(()) };
        Err(path.iter().map(|index| self.stations[*index].name.to_string()).collect())
    }

    /// Whether the handler of a caller waits for that call.
    pub(super) fn is_waited_for(&self, caller: Caller, call: u64) -> bool {
        let waiter = self.waiter(caller);
        waiter.is_some_and(|waiter| self.waits.0[waiter].contains(&Asked::Call(call)))
    }

    /// The way round on which `waiter` would wait for ever if it waited for `goal`, if it would: it begins and ends
    /// with `waiter`, and leads through stations that do not go on either.
    fn way_back(&self, goal: usize, waiter: usize) -> Option<Vec<usize>> {
        let mut awaited: Vec<Vec<usize>> = (0..self.stations.len()).map(|at| self.awaited_by(at)).collect();
        awaited[waiter].push(goal);
        let goes_on = self.those_that_go_on(&awaited);
        if goes_on[waiter] {
            return None;
        }
        let mut from: Vec<Option<usize>> = vec![None; awaited.len()];
        let mut next = VecDeque::from([goal]);
        while let Some(at) = next.pop_front().filter(|_| from[waiter].is_none() && goal != waiter) {
            for other in awaited[at].iter().copied().filter(|other| !goes_on[*other] && *other != goal) {
                if from[other].is_none() {
                    from[other] = Some(at);
                    next.push_back(other);
                }
            }
        }
        let mut way = vec![waiter];
        while way[way.len() - 1] != goal {
            way.push(from[way[way.len() - 1]]?);
        }
        way.push(waiter);
        way.reverse();
        Some(way)
    }

    /// Who does not wait for ever: a station goes on once all have that it waits for, what is queued for a pool
    /// once one of its instances has.
    fn those_that_go_on(&self, awaited: &[Vec<usize>]) -> Vec<bool> {
        let mut goes_on = vec![false; awaited.len()];
        loop {
            let can = |at: &usize| match self.is_pool(*at) {
                true => awaited[*at].is_empty() || awaited[*at].iter().any(|member| goes_on[*member]),
                false => awaited[*at].iter().all(|other| goes_on[*other]),
            };
            let news: Vec<usize> = (0..awaited.len()).filter(|at| !goes_on[*at] && can(at)).collect();
            if news.is_empty() {
                return goes_on;
            }
            news.into_iter().for_each(|at| goes_on[at] = true);
        }
    }

    /// For whom a station waits; for a pool, the instances that may take what is queued for it. One that is
    /// inactive counts: somebody may arm it.
    fn awaited_by(&self, index: usize) -> Vec<usize> {
        if !self.is_pool(index) {
            return self.waits.0[index].iter().flat_map(|asked| self.stations_for(*asked)).collect();
        }
        let members = self.stations[index].members.iter().copied();
        members.filter(|member| self.stations[*member].is_to_be_counted_on()).collect()
    }

    /// Who is still to answer what a caller has asked for: managers, the scope or pools; nobody when it has ended.
    pub fn stations_of(&self, caller: Caller) -> SmallVec<[usize; 1]> {
        self.asked.get(&caller).map(|asked| self.stations_for(*asked)).unwrap_or_default()
    }

    /// The stations that are still to answer.
    fn stations_for(&self, asked: Asked) -> SmallVec<[usize; 1]> {
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
            Caller::Startup(_) | Caller::Gathering(_) | Caller::Offer(_) => None,
        }
    }
}
