//! Commands that the coordinator itself obeys: they wait in no queue.

use super::{Asked, Caller, Effect, Part, Router};
use crate::wire::{CodecId, Ending, Kind, Refusal};

impl Router {
    /// Takes an order on: the call is in flight until [`order_ended`](Self::order_ended).
    pub(super) fn order(&mut self, part: Part<'_>) -> Result<(), Refusal> {
        let Part { caller, header, payload, .. } = part;
        let call = match header.kind {
            Kind::Send => 0,
            _ => self.remember(self.scope_index(), part)?,
        };
        if call > 0 {
            self.note_asked(caller, Asked::Call(call), Kind::Request);
        }
        let (order, payload, codec) = (header.command, payload.to_vec(), header.codec);
        self.effects.push(Effect::Order { call, order, payload, codec });
        Ok(())
    }

    /// The manager that gave an order, if one did.
    pub fn who_ordered(&self, call: u64) -> Option<usize> {
        match self.in_flight.get(call)?.caller {
            Caller::Manager { index, .. } => Some(index),
            _ => None,
        }
    }

    /// An order has taken effect, or cannot; one that was sent one way has nobody to tell.
    pub fn order_ended(&mut self, call: u64, ending: Ending, codec: CodecId) {
        if let Some(taken) = self.in_flight.complete(call) {
            self.end(call, taken, ending, codec);
        }
    }
}
