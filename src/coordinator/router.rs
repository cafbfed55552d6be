//! Where a command goes, and how it ends: a pure state machine.
//!
//! Event in, effects out; no clock and no I/O, so that it can be driven by any thread under one lock and
//! tested by simulation. It owns the routes, the queue of every station (each manager, and the scope) and
//! the table of calls in flight. It never looks into a payload, and it never waits.
//!
//! `submit` is in this file; how calls end is in `endings`, the stations' queues are in `station`.

mod endings;
mod gathering;
mod station;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::remote::{Answer, InFlight};
use crate::wire::envelope::MAX_CHAIN;
use crate::wire::{
    CommandId, CommandSpec, DeliveryKind, Generation, Header, Hop, Kind, ManagerName, Overflow, Refusal,
    Target,
};

use gathering::Gathering;
pub use station::{Life, Queued, Station};

/// How many calls may be in flight in a rig.
pub const MAX_IN_FLIGHT: usize = 65_536;

/// Who made a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A thread of the coordinator's process, by its own number for the call.
    Local(u64),
    /// A manager, by its place, its life and its own number for the call.
    Manager {
        /// Place in the rig's list.
        index: usize,
        /// The life that called.
        generation: Generation,
        /// The manager's number for the call.
        correlation: u64,
    },
    /// The start-up of the manager at that place.
    Startup(usize),
    /// A broadcast, which gathers the outcomes of its parts.
    Gathering(u64),
}

/// What the router wants done.
#[derive(Debug)]
pub enum Effect {
    /// Something is queued for the station at that place.
    Flush(usize),
    /// A call of this process has ended.
    Answer {
        /// Whose call.
        caller: Caller,
        /// How.
        answer: Answer,
    },
    /// A one-way command was accepted, or offered by a manager, and will not run.
    Undelivered {
        /// The command's name.
        command: String,
        /// Where it was to go.
        to: String,
        /// Why it will not run.
        reason: String,
    },
}

/// How far managers have got; read from their status pages.
pub trait Gauge {
    /// How many commands the manager at that place has taken in its present life.
    fn taken(&self, index: usize) -> u64;
}

/// A command and who serves it.
#[derive(Debug, Clone)]
pub struct Route {
    /// The command's name.
    pub name: String,
    /// How it is delivered.
    pub delivery: DeliveryKind,
    /// What a full queue does with one-way sends of it.
    pub overflow: Overflow,
    /// The stations that serve it, by place.
    pub stations: Vec<usize>,
}

/// How calls ended, and what became of one-way commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Commands that were accepted and want an answer.
    pub accepted: u64,
    /// Ended with a reply.
    pub done: u64,
    /// Ended by a handler's error or panic.
    pub failed: u64,
    /// Ended by being taken back.
    pub cancelled: u64,
    /// Ended by their deadline.
    pub expired: u64,
    /// Refused after they were accepted, because the rig quit.
    pub refused: u64,
    /// Ended because their manager died before taking them.
    pub lost: u64,
    /// Ended because their manager died while at them.
    pub indeterminate: u64,
    /// Not accepted.
    pub not_accepted: u64,
    /// One-way commands that were accepted.
    pub sends: u64,
    /// One-way commands that were accepted and did not run.
    pub undelivered: u64,
    /// Answers that came after their call had ended.
    pub late_answers: u64,
}

impl Totals {
    /// How many of those that want an answer have ended, in whichever way.
    pub fn ended(&self) -> u64 {
        let Self { done, failed, cancelled, expired, refused, lost, indeterminate, .. } = self;
        done + failed + cancelled + expired + refused + lost + indeterminate
    }
}

/// See the module's words.
#[derive(Debug)]
pub struct Router {
    stations: Vec<Station>,
    routes: HashMap<CommandId, Route>,
    ping: CommandId,
    in_flight: InFlight<Call>,
    gatherings: HashMap<u64, Gathering>,
    next_gathering: u64,
    is_quitting: bool,
    totals: Totals,
    effects: Vec<Effect>,
}

/// What is remembered of a call in flight.
#[derive(Debug)]
struct Call {
    caller: Caller,
    station: usize,
    generation: Generation,
    chain: Vec<Hop>,
    /// Its place among the commands that went into the pipe; none while it is still queued here.
    ordinal: Option<u64>,
}

impl Router {
    /// A router for these managers and, behind them, the scope.
    pub fn new(
        managers: Vec<Station>,
        scope: Station,
        routes: HashMap<CommandId, Route>,
        ping: &CommandSpec,
    ) -> Self {
        let mut stations = managers;
        stations.push(scope);
        Self {
            stations,
            routes,
            ping: ping.id,
            in_flight: InFlight::new(MAX_IN_FLIGHT),
            gatherings: HashMap::new(),
            next_gathering: 1,
            is_quitting: false,
            totals: Totals::default(),
            effects: Vec::new(),
        }
    }

    /// The place of the scope among the stations.
    pub fn scope_index(&self) -> usize {
        self.stations.len() - 1
    }

    /// The station at that place.
    pub fn station(&self, index: usize) -> &Station {
        &self.stations[index]
    }

    /// The station at that place.
    pub fn station_mut(&mut self, index: usize) -> &mut Station {
        &mut self.stations[index]
    }

    /// How calls have ended so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// How many calls are in flight, and how many were at most.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.in_flight.len(), self.in_flight.high_water())
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

    /// Offers a command. `Ok` means that it will end exactly once.
    ///
    /// # Errors
    /// [`Refusal`]: it does not run; nothing is remembered of it.
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
        let command = self.command_name(header.command);
        if self.is_quitting {
            return Err(Refusal::Quitting { command });
        }
        if header.chain.len() > MAX_CHAIN {
            return Err(Refusal::TooDeep { command, depth: header.chain.len(), limit: MAX_CHAIN });
        }
        let part = Part { caller, header, payload, deadline: deadline_of(header, now) };
        if header.kind == Kind::Broadcast {
            return self.broadcast(part, gauge);
        }
        let station = self.station_for(header, &command)?;
        self.enqueue(station, part, gauge)
    }

    /// The one station that is to handle a direct or scope command.
    fn station_for(&self, header: &Header, command: &str) -> Result<usize, Refusal> {
        if header.command == self.ping {
            return self.addressed(header, command);
        }
        let route = self
            .routes
            .get(&header.command)
            .ok_or_else(|| Refusal::UnknownCommand { command: command.to_owned() })?;
        match (&header.target, route.stations.as_slice()) {
            (Target::Named(_), serving) => {
                let index = self.addressed(header, command)?;
                if serving.contains(&index) {
                    Ok(index)
                } else {
                    Err(self.not_served(index, command, serving))
                }
            }
            (Target::Route, [one]) => Ok(*one),
            (Target::Route, []) => Err(Refusal::Absent { manager: None, command: command.to_owned() }),
            (Target::Route, several) => {
                Err(Refusal::AddressNeeded { command: command.to_owned(), candidates: self.names(several) })
            }
        }
    }

    fn addressed(&self, header: &Header, command: &str) -> Result<usize, Refusal> {
        let absent = |manager| Refusal::Absent { manager, command: command.to_owned() };
        let Target::Named(name) = &header.target else { return Err(absent(None)) };
        let found = self.stations.iter().position(|station| station.name.as_str() == name);
        found.ok_or_else(|| absent(Some(name.clone())))
    }

    fn not_served(&self, index: usize, command: &str, serving: &[usize]) -> Refusal {
        Refusal::NotServed {
            manager: self.stations[index].name.clone(),
            command: command.to_owned(),
            candidates: self.names(serving),
        }
    }

    fn names(&self, stations: &[usize]) -> Vec<ManagerName> {
        stations.iter().map(|index| self.stations[*index].name.clone()).collect()
    }

    fn command_name(&self, command: CommandId) -> String {
        self.routes.get(&command).map_or_else(|| command.to_string(), |route| route.name.clone())
    }

    /// Puts one command into one station's queue, and remembers the call if it wants an answer.
    fn enqueue(&mut self, index: usize, part: Part<'_>, gauge: &dyn Gauge) -> Result<(), Refusal> {
        let name = self.command_name(part.header.command);
        let overflow = self.overflow_of(part.header);
        let taken = self.taken(index, gauge);
        let is_startup = matches!(part.caller, Caller::Startup(_));
        let displaced =
            self.stations[index].make_room(part.header.command, &name, overflow, taken, is_startup)?;
        let is_one_way = part.header.kind == Kind::Send;
        let call = if is_one_way { None } else { Some(self.remember(index, &part, &name)?) };
        let generation = self.stations[index].generation;
        let kind = if is_one_way { Kind::Send } else { Kind::Request };
        let header = Header {
            kind,
            generation,
            correlation: call.unwrap_or(0),
            target: Target::Route,
            chain: self.chain_of(&part),
            ..part.header.clone()
        };
        let bytes = header.seal(part.payload);
        let queued = Queued { bytes, call, command: Some(part.header.command), deadline: part.deadline };
        self.stations[index].push(queued);
        for _ in 0..displaced {
            self.undelivered(name.clone(), index, "a newer one took its place");
        }
        self.effects.push(Effect::Flush(index));
        Ok(())
    }

    /// How many commands a station has taken. The scope has no page, and takes what it is given at once.
    fn taken(&self, index: usize, gauge: &dyn Gauge) -> u64 {
        if index == self.scope_index() { self.stations[index].sent } else { gauge.taken(index) }
    }

    fn overflow_of(&self, header: &Header) -> Overflow {
        match (header.kind, self.routes.get(&header.command)) {
            (Kind::Send, Some(route)) => route.overflow,
            _ => Overflow::Refuse,
        }
    }

    fn remember(&mut self, station: usize, part: &Part<'_>, name: &str) -> Result<u64, Refusal> {
        let call = Call {
            caller: part.caller,
            station,
            generation: self.stations[station].generation,
            chain: self.chain_of(part),
            ordinal: None,
        };
        let limit = self.in_flight.limit();
        self.in_flight
            .register(call, part.deadline)
            .map_err(|_| Refusal::TooManyCalls { command: name.to_owned(), limit })
    }

    /// The calls that led here; a caller that was not handling anything adds itself.
    fn chain_of(&self, part: &Part<'_>) -> Vec<Hop> {
        if !part.header.chain.is_empty() {
            return part.header.chain.clone();
        }
        let who = match part.caller {
            Caller::Manager { index, .. } => u16::try_from(index).unwrap_or(Hop::SCOPE),
            _ => Hop::SCOPE,
        };
        vec![Hop { who, command: CommandId(0) }]
    }

    fn undelivered(&mut self, command: String, index: usize, reason: &str) {
        self.totals.undelivered += 1;
        let to = self.stations[index].name.to_string();
        self.effects.push(Effect::Undelivered { command, to, reason: reason.to_owned() });
    }

    /// Queues a word of the coordinator for a manager.
    pub fn tell(&mut self, index: usize, word: Vec<u8>) {
        self.stations[index].push_word(word);
        self.effects.push(Effect::Flush(index));
    }

    /// The next bytes for a station's pipe, with the time left as of now; they stay queued until [`sent`](Self::sent).
    pub fn next_for(&mut self, index: usize, now: Instant) -> Option<&[u8]> {
        self.stations[index].front(now)
    }

    /// The front of the station's queue has gone into its pipe.
    pub fn sent(&mut self, index: usize, gauge: &dyn Gauge) {
        let taken = self.taken(index, gauge);
        if let Some((call, ordinal)) = self.stations[index].advance(taken)
            && let Some(call) = call.and_then(|id| self.in_flight.get_mut(id))
        {
            call.ordinal = Some(ordinal);
        }
    }
}

/// One command for one station.
#[derive(Clone, Copy)]
struct Part<'a> {
    caller: Caller,
    header: &'a Header,
    payload: &'a [u8],
    deadline: Option<Instant>,
}

fn deadline_of(header: &Header, now: Instant) -> Option<Instant> {
    match header.time_left_us {
        0 => None,
        left => now.checked_add(Duration::from_micros(left)),
    }
}
