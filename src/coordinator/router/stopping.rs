//! The stop of everything: what has not begun does not run.

use super::{Effect, Gauge, Router, Stand};
use crate::wire::{NotDone, UndeliveredReason};

impl Router {
    /// Takes everything back that managers were to do: what is queued ends here as cancelled, and of what is in
    /// their pipes each manager says how it ended. One-way commands that have not been taken count as stopped.
    /// The scope goes on.
    ///
    /// For each manager this gives the number of the last command that has gone into its pipe: those up to it do
    /// not begin once the manager knows.
    pub fn stop_everything(&mut self, gauge: &dyn Gauge) -> Vec<u64> {
        for pool in self.scope_index() + 1..self.stations.len() {
            self.end_all_queued(pool, |_| (NotDone::Cancelled, UndeliveredReason::Stopped));
        }
        let barriers = (0..self.scope_index()).map(|index| self.stop_station(index, gauge)).collect();
        let scope = self.scope_index();
        let mut streams = Vec::new();
        self.in_flight.each_mut(|id, call| {
            if call.station == scope || !call.was_sent() {
                return;
            }
            let was_told = std::mem::replace(&mut call.is_cancelled, true);
            // A stream has a thread of its own, which does not hear of a stop.
            if call.stream.is_some() && !was_told {
                streams.push((id, call.station));
            }
        });
        streams.sort_unstable();
        self.effects.extend(streams.into_iter().map(|(call, station)| Effect::Cancel { station, call }));
        barriers
    }

    /// Takes back what one manager was to do and has not begun; gives the number of the last command that has gone
    /// into its pipe.
    pub fn stop_manager(&mut self, index: usize, gauge: &dyn Gauge) -> u64 {
        let barrier = self.stop_station(index, gauge);
        self.in_flight.each_mut(|_, call| {
            call.is_cancelled |= call.station == index && call.was_sent();
        });
        barrier
    }

    /// Takes the call back that a manager is at, by its place among the commands that went into the pipe; says
    /// whether there is one that was not taken back before.
    pub fn cancel_at(&mut self, index: usize, ordinal: u64) -> bool {
        let mut at = None;
        self.in_flight.each_mut(|id, call| {
            if call.station == index && call.stand == Stand::Sent(ordinal) && !call.is_cancelled {
                at = Some(id);
            }
        });
        at.into_iter().for_each(|id| self.cancel_call(id));
        at.is_some()
    }

    fn stop_station(&mut self, index: usize, gauge: &dyn Gauge) -> u64 {
        self.end_held(index, &NotDone::Cancelled);
        self.end_all_queued(index, |_| (NotDone::Cancelled, UndeliveredReason::Stopped));
        let taken = self.taken(index, gauge);
        for ordered in self.stations[index].forget_untaken(taken) {
            self.undelivered(ordered, index, UndeliveredReason::Stopped);
        }
        self.stations[index].sent()
    }
}
