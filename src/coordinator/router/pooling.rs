//! Pools: several managers of one kind that share a queue, of which each is given a command when it is free.
//!
//! A pool is a station without a process. What is queued for it moves on, in order, to an instance that has
//! nothing to do: none of its commands waits here, what went into its pipe has been answered, and no handler of
//! its timers or frames waits for others. So that this
//! is known of one-way commands too, an instance is asked to answer them, and the answer goes nowhere but here.
//! An instance that dies takes with it what it was given, but for calls that may run again: those go back to
//! their place in the pool's queue.

use super::endings::quitting;
use super::station::Ordered;
use super::{Asked, Call, Effect, Life, Moment, Queued, Router, Stand, Station};
use crate::wire::{Ending, Header, Hops, NotDone, Parcel, Refusal, UndeliveredReason, envelope};

/// Adds a station for each pool behind all others, with the queue that its first instance would have.
pub(super) fn add_pools(stations: &mut Vec<Station>) {
    let scope = stations.len() - 1;
    for index in 0..scope {
        let Some(name) = stations[index].pool_name.clone() else { continue };
        let known = (scope + 1..stations.len()).find(|pool| stations[*pool].name == name);
        let pool = known.unwrap_or_else(|| {
            let (depth, retries) = (stations[index].depth, stations[index].max_retries);
            stations.push(Station::new(name, depth).retrying(retries));
            stations.len() - 1
        });
        stations[pool].members.push(index);
        stations[index].pool = Some(pool);
    }
}

impl Router {
    pub(super) fn is_pool(&self, index: usize) -> bool {
        index > self.scope
    }

    /// Gives what is queued for a pool to instances that are free.
    pub(super) fn feed(&mut self, pool: usize) {
        while let Some((place, queued)) = self.stations[pool].head() {
            let is_hazardous = queued.is_hazardous;
            let can = |member: &usize| {
                let station = &self.stations[*member];
                station.is_free() && !self.waits.holds_up(*member) && !(is_hazardous && station.is_inactive)
            };
            let Some(member) = self.stations[pool].members.iter().copied().find(can) else { return };
            let Some(queued) = self.stations[pool].withdraw(place) else { return };
            self.hand_out(pool, place, member, queued);
        }
    }

    fn hand_out(&mut self, pool: usize, place: u64, member: usize, queued: Queued) {
        let (id, is_hazardous) = (queued.call, queued.is_hazardous);
        let stand = Stand::Queued(self.stations[member].push_again(queued));
        if let Some(call) = id.and_then(|id| self.in_flight.get_mut(id)) {
            let generation = self.stations[member].generation;
            (call.station, call.generation, call.stand, call.pool) =
                (member, generation, stand, Some((pool, place)));
        }
        self.queued(member, is_hazardous);
    }

    pub(super) fn feed_pool_of(&mut self, index: usize) {
        if let Some(pool) = self.stations[index].pool {
            self.feed(pool);
        }
    }

    /// A station has answered something: an instance is free for the next when it was all.
    pub(super) fn worked_off(&mut self, index: usize, header: &Header) {
        let station = &mut self.stations[index];
        if station.pool.is_some() && station.generation == header.generation {
            station.at_work.retain(|id| *id != header.correlation);
            self.feed_pool_of(index);
        }
    }

    /// When an instance is to be sent a one-way command next, it is asked for an answer to it.
    pub(super) fn follow_one_way(&mut self, index: usize, now: &Moment) {
        let (generation, station) = (self.stations[index].generation, index);
        let Some((place, queued)) = self.stations[index].head() else { return };
        let (Some(ordered), None) = (queued.command, queued.call) else { return };
        let call = Call {
            caller: ordered.sender,
            station,
            generation,
            command: ordered.command,
            chain: Hops::new(),
            accepted_at: now.get(),
            stand: Stand::Queued(place),
            is_cancelled: false,
            stream: None,
            retries: 0,
            kept: Parcel::default(),
            may_have_run: false,
            pool: None,
            is_one_way: true,
        };
        let id = self.in_flight.register_anyway(call);
        queued.call = Some(id);
        envelope::ask_for_answer(&mut queued.parcel.bytes, id);
    }

    /// A one-way command has ended whose instance was asked for an answer.
    pub(super) fn end_one_way(&mut self, call: &Call, ending: Ending) {
        let reason = match ending {
            Ending::Done(_) => return,
            Ending::NotDone(NotDone::Failed(failure)) => {
                let (station, command, failure) = (call.station, call.command, Box::new(failure));
                return self.effects.push(Effect::TaskFailed { station, command, failure });
            }
            Ending::NotDone(NotDone::Refused(Refusal::Quitting { .. })) => UndeliveredReason::Quitting,
            Ending::NotDone(NotDone::Refused(Refusal::Closed)) => UndeliveredReason::Closed,
            Ending::NotDone(NotDone::Refused(refusal)) => UndeliveredReason::Refused(refusal),
            Ending::NotDone(NotDone::Lost) => UndeliveredReason::Lost,
            Ending::NotDone(NotDone::Cancelled) => UndeliveredReason::Stopped,
            Ending::NotDone(NotDone::Indeterminate | NotDone::Expired | NotDone::Deadlock { .. }) => {
                UndeliveredReason::Indeterminate
            }
        };
        self.note_undelivered(
            call.caller,
            call.command,
            self.stations[call.station].name.to_string(),
            reason,
        );
    }

    /// Nobody reads a stream that answers a one-way command.
    pub(super) fn forget_one_way(&mut self, index: usize, header: &Header) {
        let is_it = |call: &Call| call.is_one_way && call.is_at(index, header.generation);
        if self.in_flight.get(header.correlation).is_some_and(is_it) {
            drop(self.in_flight.complete(header.correlation));
        }
    }

    // --- the lives of instances ---

    /// An instance is gone: what may run again goes back to the pool.
    pub(super) fn give_back(&mut self, index: usize, taken: u64) {
        let Some(pool) = self.stations[index].pool else { return };
        let goes = |call: &Call| {
            call.station == index && call.pool.is_some() && call.retries > 0 && self.may_wait(call)
        };
        for id in self.in_flight.those(goes) {
            self.give_back_one(pool, id, taken);
        }
    }

    fn give_back_one(&mut self, pool: usize, id: u64, taken: u64) {
        let deadline = self.in_flight.deadline_of(id);
        let Some(call) = self.in_flight.get_mut(id) else { return };
        let Some((_, place)) = call.pool.take() else { return };
        let mut parcel = std::mem::take(&mut call.kept);
        match call.stand {
            Stand::Queued(at) => {
                let queued = self.stations[call.station].withdraw(at);
                parcel = queued.map(|queued| queued.parcel).unwrap_or_default();
            }
            Stand::Sent(ordinal) => {
                call.may_have_run |= ordinal <= taken;
                call.retries -= 1;
                self.totals.retried += 1;
            }
            Stand::Aside => {}
        }
        (call.station, call.generation) = (pool, self.stations[pool].generation);
        call.stand = Stand::Queued(place);
        let command = Some(Ordered { command: call.command, sender: call.caller });
        let is_hazardous = self.routes.get(&call.command).is_some_and(|route| route.hazardous);
        let queued = Queued { parcel, call: Some(id), command, deadline, tells: None, is_hazardous };
        self.stations[pool].put_back(place, queued);
    }

    /// Something has become of an instance: its pool lives as its instances do.
    pub(super) fn tend_pool_of(&mut self, index: usize) {
        let Some(pool) = self.stations[index].pool else { return };
        let members = self.stations[pool].members.iter().map(|member| &self.stations[*member]);
        let has = |wanted: &dyn Fn(&Station) -> bool| members.clone().any(wanted);
        let life = match () {
            () if has(&|station| station.life == Life::Ready) => Life::Ready,
            () if has(&Station::is_to_be_counted_on) => Life::Starting,
            () if has(&|station| station.life == Life::Stopping) => Life::Stopping,
            () => Life::Dead,
        };
        let is_inactive = !has(&|station| station.is_to_be_counted_on() && !station.is_inactive);
        let absent =
            if has(&|station| station.absent.is_none()) { None } else { self.stations[index].absent.clone() };
        let station = &mut self.stations[pool];
        (station.life, station.is_inactive, station.absent) = (life, is_inactive, absent);
        match life {
            Life::Stopping => self.end_all_queued(pool, quitting),
            Life::Dead => self.end_all_queued(pool, |_| (NotDone::Lost, UndeliveredReason::Lost)),
            Life::Starting | Life::Ready if is_inactive => self.refuse_hazards(pool),
            Life::Starting | Life::Ready => {}
        }
        self.feed(pool);
        self.end_deadlocks_at(pool);
    }

    /// Ends the calls that wait in a pool's queue for ever, because whoever could take them waits for their
    /// caller: with an instance, the last one that did not may be gone.
    fn end_deadlocks_at(&mut self, pool: usize) {
        if self.waits.count() == 0 {
            return;
        }
        for id in self.in_flight.those(|call| call.station == pool) {
            let Some(caller) = self.in_flight.get(id).map(|call| call.caller) else { continue };
            if self.is_waited_for(caller, id)
                && let Err(cycle) = self.check_wait(caller, pool)
            {
                self.refuse_wait(Asked::Call(id), cycle);
            }
        }
    }
}
