//! Where a command goes, and how it ends: a pure state machine.
//!
//! Event in, effects out; no clock and no I/O, so that it can be driven by any thread under one lock and
//! tested by simulation. It owns the routes, the queue of every station (each manager, and the scope) and
//! the table of calls in flight. It never looks into a payload, and it never waits.
//!
//! `submit` is in this file; where commands go is in `routing`, how calls end in `endings` and are taken back
//! in `cancelling`, who waits for whom in `waits`, broadcasts are in `gathering`, what calls tell before
//! their end in `streaming`, one-way commands that do not run in `undelivered`, what is given to a next life in
//! `retrying`, pools in `pooling`, what moves or emits in `safety`, the stop of everything in `stopping`, and the stations' queues
//! in `station`.

mod call;
mod cancelling;
mod endings;
mod gathering;
mod ordering;
mod pooling;
mod retrying;
mod routing;
mod safety;
mod station;
mod stopping;
mod streaming;
mod terms;
mod undelivered;
mod waits;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use crate::remote::{Answer, InFlight, orders};
use crate::wire::envelope::{MAX_CHAIN, MAX_PAYLOAD_BYTES};
use crate::wire::{
    CommandId, CommandSpec, Generation, Header, Hop, Kind, Overflow, Refusal, Target, UndeliveredReason,
};

use call::{Call, Stand};
use gathering::Gathering;
use station::{Entrant, Ordered, Queued};
pub use station::{Life, Station};
pub use terms::{Caller, Effect, Gauge, Remembered, Route, Totals, TracedEnding};
use waits::Waits;

/// How many calls may be in flight in a rig.
pub const MAX_IN_FLIGHT: usize = 65_536;

/// See the module's words.
#[derive(Debug)]
pub struct Router {
    /// The managers, the scope, and behind it the pools.
    stations: Vec<Station>,
    scope: usize,
    routes: HashMap<CommandId, Route>,
    ping: &'static CommandSpec,
    in_flight: InFlight<Call>,
    gatherings: HashMap<u64, Gathering>,
    next_gathering: u64,
    /// What callers of this process and managers have asked for, by their own numbers.
    asked: HashMap<Caller, Asked>,
    waits: Waits,
    is_quitting: bool,
    is_tracing: bool,
    totals: Totals,
    effects: Vec<Effect>,
}

/// What somebody has asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// One command, by its number in the table.
    Call(u64),
    /// A broadcast.
    Gathering(u64),
}

/// One command for one station.
#[derive(Clone, Copy)]
struct Part<'a> {
    caller: Caller,
    header: &'a Header,
    payload: &'a [u8],
    /// The calls that led here, the caller's among them.
    chain: &'a [Hop],
    manner: Manner,
    now: Instant,
    deadline: Option<Instant>,
}

/// What a command's type says of it.
#[derive(Clone, Copy)]
struct Manner {
    /// What a full queue does with it.
    overflow: Overflow,
    is_idempotent: bool,
    is_hazardous: bool,
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
        Self {
            stations,
            scope,
            routes,
            ping,
            in_flight: InFlight::new(MAX_IN_FLIGHT),
            gatherings: HashMap::new(),
            next_gathering: 1,
            asked: HashMap::new(),
            waits,
            is_quitting: false,
            is_tracing: false,
            totals: Totals::default(),
            effects: Vec::new(),
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
        std::mem::take(&mut self.effects)
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

    /// Offers a command. `Ok` means that it will end exactly once.
    ///
    /// # Errors
    /// [`Refusal`]: it does not run; nothing is remembered of it, and nothing has given way to it.
    pub fn submit(
        &mut self,
        caller: Caller,
        header: &Header,
        payload: &[u8],
        now: Instant,
        gauge: &dyn Gauge,
    ) -> Result<(), Refusal> {
        let offered = self.offer(caller, header, payload, now, gauge);
        match (&offered, header.kind) {
            (Err(_), _) => self.totals.not_accepted += 1,
            (Ok(()), Kind::Send) => self.totals.sends += 1,
            (Ok(()), _) => self.totals.accepted += 1,
        }
        offered
    }

    fn offer(
        &mut self,
        caller: Caller,
        header: &Header,
        payload: &[u8],
        now: Instant,
        gauge: &dyn Gauge,
    ) -> Result<(), Refusal> {
        let command = || self.command_name(header.command);
        if self.is_quitting {
            return Err(Refusal::Quitting { command: command() });
        }
        let (depth, bytes) = (header.chain.len(), payload.len());
        if depth > MAX_CHAIN {
            return Err(Refusal::TooDeep { command: command(), depth, limit: MAX_CHAIN });
        }
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(Refusal::TooLarge { command: command(), bytes, limit: MAX_PAYLOAD_BYTES });
        }
        let chain = chain_of(caller, header);
        let (deadline, manner) = (deadline_of(header, now), self.manner_of(header));
        let part = Part { caller, header, payload, chain: &chain, manner, now, deadline };
        if orders::order(header.command).is_some() {
            return self.order(part);
        }
        if header.kind == Kind::Broadcast {
            return self.broadcast(part, gauge);
        }
        let station = self.station_for(header)?;
        if header.kind == Kind::Call {
            self.check_wait(caller, station).map_err(|cycle| {
                let command = command();
                Refusal::WouldDeadlock { command, cycle }
            })?;
        }
        let call = self.enqueue(station, part, gauge)?;
        if let Some(call) = call {
            self.note_asked(caller, Asked::Call(call), header.kind);
        }
        if self.is_pool(station) {
            self.feed(station);
        }
        Ok(())
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

    /// Puts one command into one station's queue, and remembers the call if it wants an answer: under the
    /// number that is given then.
    fn enqueue(
        &mut self,
        index: usize,
        mut part: Part<'_>,
        gauge: &dyn Gauge,
    ) -> Result<Option<u64>, Refusal> {
        part.manner.is_hazardous &= !self.stations[index].is_harmless;
        let (command, is_one_way) = (part.header.command, part.header.kind == Kind::Send);
        let entrant = Entrant {
            command,
            overflow: part.manner.overflow,
            is_startup: matches!(part.caller, Caller::Startup(_)),
            is_hazardous: part.manner.is_hazardous,
        };
        let taken = self.taken(index, gauge);
        let displaced = self.stations[index].admit(entrant, taken, &|| self.command_name(command))?;
        let call = if is_one_way { None } else { Some(self.remember(index, part)?) };
        // From here on nothing refuses it.
        let bytes = self.sealed(index, part, call);
        let station = &mut self.stations[index];
        let displaced = station.displace(command, displaced);
        let ordered = Ordered { command, sender: part.caller };
        let (deadline, is_hazardous) = (part.deadline, part.manner.is_hazardous);
        let queued = Queued { bytes, call, command: Some(ordered), deadline, tells: None, is_hazardous };
        let place = station.push(queued);
        if let Some(call) = call.and_then(|id| self.in_flight.get_mut(id)) {
            call.stand = Stand::Queued(place);
        }
        for older in displaced {
            self.undelivered(older, index, UndeliveredReason::Displaced);
        }
        self.queued(index, is_hazardous);
        Ok(call)
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

    /// The envelope as the station gets it.
    fn sealed(&self, index: usize, part: Part<'_>, call: Option<u64>) -> Vec<u8> {
        let header = Header {
            kind: if call.is_some() { Kind::Request } else { Kind::Send },
            generation: self.stations[index].generation,
            correlation: call.unwrap_or_else(|| self.sender_word(index, part)),
            target: Target::Route,
            chain: part.chain.to_vec(),
            ..*part.header
        };
        header.seal(part.payload)
    }

    fn manner_of(&self, header: &Header) -> Manner {
        let Some(route) = self.routes.get(&header.command) else {
            return Manner { overflow: Overflow::Refuse, is_idempotent: false, is_hazardous: false };
        };
        let overflow = if header.kind == Kind::Send { route.overflow } else { Overflow::Refuse };
        Manner { overflow, is_idempotent: route.idempotent, is_hazardous: route.hazardous }
    }

    fn remember(&mut self, station: usize, part: Part<'_>) -> Result<u64, Refusal> {
        let generation = self.stations[station].generation;
        let (caller, chain) = (part.caller, part.chain.to_vec());
        let (command, accepted_at) = (part.header.command, part.now);
        // The start-up of the next life gives its commands by itself.
        let may_retry = part.manner.is_idempotent && !matches!(caller, Caller::Startup(_));
        let call = Call {
            caller,
            station,
            generation,
            command,
            chain,
            accepted_at,
            stand: Stand::Aside,
            is_cancelled: false,
            stream: None,
            retries: if may_retry { self.stations[station].max_retries } else { 0 },
            kept: Vec::new(),
            may_have_run: false,
            pool: None,
            is_one_way: false,
        };
        self.in_flight.register(call, part.deadline).map_err(|_| Refusal::TooManyCalls {
            command: self.command_name(part.header.command),
            limit: self.in_flight.limit(),
        })
    }

    /// How many commands the station has taken. The scope takes what it is given, and pools give it on.
    fn taken(&self, index: usize, gauge: &dyn Gauge) -> u64 {
        if index >= self.scope { u64::MAX } else { gauge.taken(index) }
    }

    /// How many of them it has ended. It is at one at a time, whatever its page says.
    fn done(&self, index: usize, gauge: &dyn Gauge) -> u64 {
        if index >= self.scope {
            return u64::MAX;
        }
        gauge.done(index).max(gauge.taken(index).saturating_sub(1))
    }

    /// Queues a word of the coordinator for a manager, if there is one to hear it.
    pub fn tell(&mut self, index: usize, word: Vec<u8>) {
        if self.stations[index].life != Life::Dead {
            self.stations[index].push_word(word);
            self.effects.push(Effect::Flush(index));
        }
    }

    /// The next bytes for a station's pipe, with the time left as of now; they stay queued until [`sent`](Self::sent).
    pub fn next_for(&mut self, index: usize, now: Instant) -> Option<&[u8]> {
        if self.stations[index].pool.is_some() {
            self.follow_one_way(index, now);
        }
        self.stations[index].front(now)
    }

    /// The front of the station's queue has gone into its pipe.
    pub fn sent(&mut self, index: usize, gauge: &dyn Gauge) {
        let done = self.done(index, gauge);
        let sent = self.stations[index].advance(done);
        if self.stations[index].untold.is_some() {
            self.tell_untold(index);
        }
        let Some((sent, ordinal)) = sent else { return };
        if self.stations[index].pool.is_some() {
            self.stations[index].at_work.extend(sent.call);
        }
        if let Some(call) = sent.call.and_then(|id| self.in_flight.get_mut(id)) {
            call.stand = Stand::Sent(ordinal);
            if call.retries > 0 {
                call.kept = sent.bytes;
            }
        }
    }
}

/// The calls that led to a command. A caller that was not handling anything adds itself; so does one whose
/// envelope says that somebody else called last.
fn chain_of(caller: Caller, header: &Header) -> Vec<Hop> {
    let who = match caller {
        Caller::Manager { index, .. } => u16::try_from(index).unwrap_or(Hop::SCOPE),
        _ => Hop::SCOPE,
    };
    match header.chain.last() {
        Some(last) if last.who == who => header.chain.clone(),
        _ => vec![Hop { who, command: CommandId(0) }],
    }
}

fn deadline_of(header: &Header, now: Instant) -> Option<Instant> {
    match header.time_left_us {
        0 => None,
        left => now.checked_add(Duration::from_micros(left)),
    }
}
