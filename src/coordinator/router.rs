//! Where a command goes, and how it ends: a pure state machine.
//!
//! Event in, effects out; no clock and no I/O, so that it can be driven by any thread under one lock and
//! tested by simulation. It owns the routes, the queue of every station (each manager, and the scope) and
//! the table of calls in flight. It never looks into a payload, and it never waits.
//!
//! How commands come in is in `entering`, where they go in `routing`, how calls end in `endings` and are taken back
//! in `cancelling`, who waits for whom in `waits`, broadcasts are in `gathering`, what calls tell before
//! their end in `streaming`, one-way commands that do not run in `undelivered`, what is given to a next life in
//! `retrying`, pools in `pooling`, what moves or emits in `safety`, the stop of everything in `stopping`, the
//! short way of one-way commands in `passing`, stations
//! in `station` and what waits for them in `queue`.

mod call;
mod cancelling;
mod endings;
mod entering;
mod gathering;
mod holders;
mod moment;
mod ordering;
mod passing;
mod pooling;
mod queue;
mod retrying;
mod routing;
mod safety;
mod station;
mod stopping;
mod streaming;
mod terms;
mod undelivered;
mod values;
mod waits;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

use crate::remote::{Answer, InFlight};
use crate::wire::{CommandId, CommandSpec, Generation, Kind, ManagerName, Parcel, UndeliveredReason};

use call::{Call, Stand};
use entering::Part;
use gathering::Gathering;
pub use holders::{HolderNews, Holders, ValueCounts};
pub use moment::Moment;
use station::{Advanced, Queued};
pub use station::{Life, Station};
pub use terms::{Caller, Effect, Gauge, Remembered, Route, Totals, TracedEnding};
use waits::Waits;

/// How many calls may be in flight in a rig.
pub const MAX_IN_FLIGHT: usize = 65_536;

/// Of how many envelopes that have gone the memory is kept, and up to which size of each.
const MOST_SPARE: usize = 64;
const LARGEST_SPARE: usize = 4096;

/// See the module's words.
#[derive(Debug)]
pub struct Router {
    /// The managers, the scope, and behind it the pools.
    stations: Vec<Station>,
    scope: usize,
    /// The place of each by its name.
    places: HashMap<Arc<str>, usize, RandomState>,
    routes: HashMap<CommandId, Route, RandomState>,
    ping: &'static CommandSpec,
    in_flight: InFlight<Call>,
    gatherings: HashMap<u64, Gathering, RandomState>,
    next_gathering: u64,
    /// What callers of this process and managers have asked for, by their own numbers.
    asked: HashMap<Caller, Asked, RandomState>,
    waits: Waits,
    is_quitting: bool,
    is_tracing: bool,
    totals: Totals,
    effects: Vec<Effect>,
    /// Who has handles to which values.
    holders: Holders,
    /// Memory of envelopes that have gone, for those to come.
    spare: Vec<Vec<u8>>,
}

/// What somebody has asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// One command, by its number in the table.
    Call(u64),
    /// A broadcast.
    Gathering(u64),
}

impl Router {
    /// A router for these managers and, behind them, the scope. Those that say so are one pool.
    pub fn new(
        managers: Vec<Station>,
        scope: Station,
        routes: HashMap<CommandId, Route>,
        ping: &'static CommandSpec,
    ) -> Self {
        let mut stations = managers;
        stations.push(scope);
        let scope = stations.len() - 1;
        pooling::add_pools(&mut stations);
        let waits = Waits::among(stations.len());
        let mut places = HashMap::default();
        for (place, station) in stations.iter().enumerate() {
            places.entry(Arc::clone(&station.shared_name)).or_insert(place);
        }
        let sorted = |mut route: Route| {
            route.stations.sort_unstable();
            route
        };
        Self {
            stations,
            scope,
            places,
            routes: routes.into_iter().map(|(command, route)| (command, sorted(route))).collect(),
            ping,
            in_flight: InFlight::new(MAX_IN_FLIGHT),
            gatherings: HashMap::default(),
            next_gathering: 1,
            asked: HashMap::default(),
            waits,
            is_quitting: false,
            is_tracing: false,
            totals: Totals::default(),
            effects: Vec::new(),
            holders: Holders::default(),
            spare: Vec::new(),
        }
    }

    /// From now on every ending is told with its times.
    pub fn trace_endings(&mut self) {
        self.is_tracing = true;
    }

    /// From now on every ending is told with its times, or none is.
    pub fn set_tracing(&mut self, is_tracing: bool) {
        self.is_tracing = is_tracing;
    }

    /// The place of the scope among the stations.
    pub fn scope_index(&self) -> usize {
        self.scope
    }

    /// The station at that place.
    pub fn station(&self, index: usize) -> &Station {
        &self.stations[index]
    }

    /// The place of the station of that name.
    pub fn place_of(&self, name: &ManagerName) -> Option<usize> {
        self.places.get(name.as_str()).copied()
    }

    /// How many one-way commands have given way to newer ones in the station's queue; for an instance of a pool, in the
    /// queue that they share as well.
    pub fn displaced(&self, index: usize) -> u64 {
        let station = &self.stations[index];
        station.displaced + station.pool.map_or(0, |pool| self.stations[pool].displaced)
    }

    /// How calls have ended so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// How many calls are in flight, and how many were at most.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.in_flight.len(), self.in_flight.high_water())
    }

    /// How much is remembered of calls that have not ended.
    pub fn remembered(&self) -> Remembered {
        let (calls, asked, gatherings) = (self.in_flight.len(), self.asked.len(), self.gatherings.len());
        Remembered { calls, asked, gatherings, waits: self.waits.count() }
    }

    /// When the next call expires.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.in_flight.next_deadline()
    }

    /// What is to be done now; asked after every event.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.tell_of_holders();
        std::mem::take(&mut self.effects)
    }

    /// The same, into the empty `effects`, whose memory is used again.
    pub fn swap_effects(&mut self, effects: &mut Vec<Effect>) {
        self.tell_of_holders();
        std::mem::swap(&mut self.effects, effects);
    }

    /// From now on nothing new is accepted; what is in flight may end.
    pub fn begin_quit(&mut self) {
        self.is_quitting = true;
    }

    /// What the station can be asked from now on. The dead stay dead until their next life begins.
    pub fn set_life(&mut self, index: usize, life: Life) {
        let station = &mut self.stations[index];
        if station.life != Life::Dead {
            station.life = life;
        }
        match (life, station.life) {
            (Life::Dead, _) => self.give_up(index),
            (_, Life::Ready) => self.send_again(index),
            _ => {}
        }
        self.tend_pool_of(index);
    }

    /// The station that was [`gone`](Self::gone) starts again.
    pub fn begin_life(&mut self, index: usize, generation: Generation) {
        self.stations[index].begin_life(generation);
        self.tend_pool_of(index);
    }

    /// Remembers what a caller asked for, by the caller's own number, and whether its handler waits for that.
    fn note_asked(&mut self, caller: Caller, asked: Asked, kind: Kind) {
        if matches!(caller, Caller::Local(_) | Caller::Manager { .. }) {
            self.asked.insert(caller, asked);
        }
        if kind == Kind::Call
            && let Some(waiter) = self.waiter(caller)
        {
            self.waits.begin(waiter, asked);
        }
    }

    /// What a caller has asked for has ended.
    fn forget_asked(&mut self, caller: Caller, asked: Asked) {
        if let Entry::Occupied(entry) = self.asked.entry(caller)
            && *entry.get() == asked
        {
            entry.remove();
        }
        self.unlink(caller, asked);
    }

    /// Something is queued for a station.
    fn queued(&mut self, index: usize, is_hazardous: bool) {
        if is_hazardous && !self.is_pool(index) {
            self.leaves_safe_state(index);
        }
        if !self.is_pool(index) {
            self.effects.push(Effect::Flush(index));
        }
    }

    /// Keeps the memory of an envelope that has gone, if that is worth it.
    fn spare(&mut self, mut bytes: Vec<u8>) {
        if self.spare.len() < MOST_SPARE && bytes.capacity() <= LARGEST_SPARE {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    /// How many commands the station has taken. The scope takes what it is given, and pools give it on.
    fn taken(&self, index: usize, gauge: &dyn Gauge) -> u64 {
        taken(self.scope, index, gauge)
    }

    /// How many of them it has ended.
    fn done(&self, index: usize, gauge: &dyn Gauge) -> u64 {
        done(self.scope, index, gauge)
    }

    /// Queues a word of the coordinator for a manager, if there is one to hear it.
    pub fn tell(&mut self, index: usize, word: Vec<u8>) {
        if self.stations[index].life != Life::Dead {
            self.stations[index].push_word(word.into());
            self.effects.push(Effect::Flush(index));
        }
    }

    /// The next envelope for a station's pipe, with the time left as of now; they stay queued until [`sent`](Self::sent).
    pub fn next_for(&mut self, index: usize, now: &Moment) -> Option<&Parcel> {
        if self.stations[index].pool.is_some() {
            self.follow_one_way(index, now);
        }
        self.stations[index].front(now)
    }

    /// The front of the station's queue has gone into its pipe.
    pub fn sent(&mut self, index: usize, gauge: &dyn Gauge) {
        let scope = self.scope;
        let advanced = self.stations[index].advance(|| done(scope, index, gauge));
        if self.stations[index].untold.is_some() {
            self.tell_untold(index);
        }
        match advanced {
            Advanced::Nothing => {}
            Advanced::Word(parcel) => {
                self.delivered(index, &parcel);
                self.spare(parcel.bytes);
            }
            Advanced::Command(sent, ordinal) => self.command_sent(index, sent, ordinal),
        }
    }

    /// A command has gone into its station's pipe, as the one of that number.
    fn command_sent(&mut self, index: usize, sent: Queued, ordinal: u64) {
        self.delivered(index, &sent.parcel);
        if self.stations[index].pool.is_some() {
            self.stations[index].at_work.extend(sent.call);
        }
        if let Some(call) = sent.call.and_then(|id| self.in_flight.get_mut(id)) {
            call.stand = Stand::Sent(ordinal);
            if call.retries > 0 {
                call.kept = sent.parcel;
                return;
            }
        }
        self.spare(sent.parcel.bytes);
    }
}

/// How many commands a station has taken. The scope takes what it is given, and pools, which are behind it, give it on.
fn taken(scope: usize, index: usize, gauge: &dyn Gauge) -> u64 {
    if index >= scope { u64::MAX } else { gauge.taken(index) }
}

/// How many of them it has ended. It is at one at a time, whatever its page says.
fn done(scope: usize, index: usize, gauge: &dyn Gauge) -> u64 {
    match index >= scope {
        true => u64::MAX,
        false => gauge.done(index).max(gauge.taken(index).saturating_sub(1)),
    }
}
