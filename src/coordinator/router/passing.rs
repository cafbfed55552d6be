//! The short way of one-way commands: straight into the pipe of a station for which nothing waits.
//!
//! Whatever is not plain goes the long way, by the queue, and comes to the same.

use super::entering::{Manner, Part, chain_of, own_hop};
use super::routing::command_name;
use super::station::{Entrant, Ordered};
use super::{Caller, Gauge, Moment, Router, done, taken};
use crate::wire::envelope::{MAX_CHAIN, MAX_PAYLOAD_BYTES};
use crate::wire::{DeliveryKind, Header, Kind, Target};

impl Router {
    /// Passes a one-way command on by `put`, which gets the station's place and the envelope, and says whether that has
    /// gone into the pipe. Says whether it has; if not, nothing has changed, and the command is to be
    /// [submitted](Self::submit).
    pub fn pass(
        &mut self,
        caller: Caller,
        header: &Header,
        payload: &[u8],
        gauge: &dyn Gauge,
        put: impl FnOnce(usize, &[u8]) -> bool,
    ) -> bool {
        let Some((index, manner)) = self.passage(header, payload) else { return false };
        let entrant = Entrant {
            command: header.command,
            overflow: manner.overflow,
            is_startup: false,
            is_hazardous: false,
            buffers: 0,
        };
        let (scope, command) = (self.scope, header.command);
        let name = || command_name(&self.routes, self.ping, command);
        // Nothing waits, so that nothing gives way.
        if self.stations[index].admit(entrant, || taken(scope, index, gauge), &name).is_err() {
            return false;
        }
        let own = [own_hop(caller)];
        let (now, chain) = (&Moment::default(), chain_of(&own, header));
        let part = Part { caller, header, payload, chain, manner, now, deadline: None };
        let mut bytes = self.spare.pop().unwrap_or_default();
        self.seal(index, part, None, &mut bytes);
        let has_gone = put(index, &bytes);
        self.spare(bytes);
        if has_gone {
            let ordered = Ordered { command, sender: caller };
            self.stations[index].passed(ordered, || done(scope, index, gauge));
            self.totals.sends += 1;
        }
        has_gone
    }

    /// Where a command can be passed on to, if that is as plain as it mostly is.
    fn passage(&self, header: &Header, payload: &[u8]) -> Option<(usize, Manner)> {
        let is_plain = header.kind == Kind::Send
            && header.attached.is_none()
            && header.time_left_us == 0
            && header.target == Target::Route
            && header.chain.len() <= MAX_CHAIN
            && payload.len() <= MAX_PAYLOAD_BYTES
            && !self.is_quitting;
        let route = self.routes.get(&header.command).filter(|_| is_plain)?;
        let [index] = *route.stations.as_slice() else { return None };
        let is_open = matches!(route.delivery, DeliveryKind::Direct)
            && !route.hazardous
            && index < self.scope
            && self.stations[index].has_nothing_waiting();
        is_open.then_some((index, Manner::of(route, Kind::Send)))
    }
}
