//! How commands come in: offered, refused or accepted, and queued for one station.

use std::time::{Duration, Instant};

use super::routing::command_name;
use super::station::{Entrant, Ordered, Queued};
use super::{Asked, Call, Caller, Gauge, Moment, Route, Router, Stand, taken};
use crate::remote::orders;
use crate::wire::envelope::{Address, MAX_CHAIN, MAX_PAYLOAD_BYTES};
use crate::wire::{CommandId, Header, Hop, Hops, Kind, Overflow, Parcel, Refusal, UndeliveredReason};

/// One command for one station.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) caller: Caller,
    pub(super) header: &'a Header,
    pub(super) payload: &'a [u8],
    /// The calls that led here, the caller's among them.
    pub(super) chain: &'a [Hop],
    pub(super) manner: Manner,
    pub(super) now: &'a Moment,
    pub(super) deadline: Option<Instant>,
}

/// What a command's type says of it.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// What a full queue does with it.
    pub(super) overflow: Overflow,
    pub(super) is_idempotent: bool,
    pub(super) is_hazardous: bool,
}

impl Manner {
    /// Of a command that has no route: it is refused anyway, or the coordinator's own.
    const UNKNOWN: Self = Self { overflow: Overflow::Refuse, is_idempotent: false, is_hazardous: false };

    /// Of one that goes that way.
    pub(super) fn of(route: &Route, kind: Kind) -> Self {
        let overflow = if kind == Kind::Send { route.overflow } else { Overflow::Refuse };
        Self { overflow, is_idempotent: route.idempotent, is_hazardous: route.hazardous }
    }
}

impl Router {
    /// Offers a command. `Ok` means that it will end exactly once.
    ///
    /// # Errors
    /// [`Refusal`]: it does not run; nothing is remembered of it, and nothing has given way to it.
    pub fn submit(
        &mut self,
        caller: Caller,
        header: &Header,
        payload: &[u8],
        now: &Moment,
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
        now: &Moment,
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
        let own = [own_hop(caller)];
        let chain = chain_of(&own, header);
        let (deadline, manner) = (deadline_of(header, now), self.manner_of(header));
        let part = Part { caller, header, payload, chain, manner, now, deadline };
        if orders::order(header.command).is_some() {
            return self.order(part);
        }
        if header.kind == Kind::Broadcast {
            return self.broadcast(part, gauge);
        }
        let station = self.station_for(caller, header)?;
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

    /// Puts one command into one station's queue, and remembers the call if it wants an answer: under the
    /// number that is given then.
    pub(super) fn enqueue(
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
            buffers: part.header.buffers().len(),
        };
        let scope = self.scope;
        let taken = || taken(scope, index, gauge);
        let name = || command_name(&self.routes, self.ping, command);
        let displaced = self.stations[index].admit(entrant, taken, &name)?;
        let call = if is_one_way { None } else { Some(self.remember(index, part)?) };
        // From here on nothing refuses it.
        let mut bytes = self.spare.pop().unwrap_or_default();
        self.seal(index, part, call, &mut bytes);
        let parcel = Parcel { bytes, attached: part.header.attached.clone() };
        let station = &mut self.stations[index];
        let displaced = station.displace(command, displaced);
        let ordered = Ordered { command, sender: part.caller };
        let (deadline, is_hazardous) = (part.deadline, part.manner.is_hazardous);
        let queued = Queued { parcel, call, command: Some(ordered), deadline, tells: None, is_hazardous };
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

    /// Writes the envelope as the station gets it.
    pub(super) fn seal(&self, index: usize, part: Part<'_>, call: Option<u64>, bytes: &mut Vec<u8>) {
        let address = Address {
            kind: if call.is_some() { Kind::Request } else { Kind::Send },
            generation: self.stations[index].generation,
            correlation: call.unwrap_or_else(|| self.sender_word(index, part)),
        };
        part.header.seal_for(address, part.chain, part.payload, bytes);
    }

    fn manner_of(&self, header: &Header) -> Manner {
        self.routes.get(&header.command).map_or(Manner::UNKNOWN, |route| Manner::of(route, header.kind))
    }

    pub(super) fn remember(&mut self, station: usize, part: Part<'_>) -> Result<u64, Refusal> {
        let generation = self.stations[station].generation;
        let (caller, chain) = (part.caller, Hops::from_slice(part.chain));
        let (command, accepted_at) = (part.header.command, part.now.get());
        let retries = match caller {
            // The start-up of the next life gives its commands by itself.
            Caller::Startup(_) => 0,
            _ if !part.manner.is_idempotent => 0,
            // Whoever knows whether a task was taken is asked as long as there is somebody to ask.
            Caller::Offer(_) => u32::MAX,
            _ => self.stations[station].max_retries,
        };
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
            retries,
            kept: Parcel::default(),
            may_have_run: false,
            pool: None,
            is_one_way: false,
        };
        self.in_flight.register(call, part.deadline).map_err(|_| Refusal::TooManyCalls {
            command: self.command_name(part.header.command),
            limit: self.in_flight.limit(),
        })
    }
}

/// A caller as the last of those that led to a command, when it was not handling anything.
pub(super) fn own_hop(caller: Caller) -> Hop {
    let who = match caller {
        Caller::Manager { index, .. } => u16::try_from(index).unwrap_or(Hop::SCOPE),
        _ => Hop::SCOPE,
    };
    Hop { who, command: CommandId(0) }
}

/// The calls that led to a command. A caller that was not handling anything adds itself; so does one whose
/// envelope says that somebody else called last.
pub(super) fn chain_of<'a>(own: &'a [Hop; 1], header: &'a Header) -> &'a [Hop] {
    match header.chain.last() {
        Some(last) if last.who == own[0].who => &header.chain,
        _ => own,
    }
}

fn deadline_of(header: &Header, now: &Moment) -> Option<Instant> {
    match header.time_left_us {
        0 => None,
        left => now.get().checked_add(Duration::from_micros(left)),
    }
}
