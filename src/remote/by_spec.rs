//! Commands of which only the description is known, not the type: their fields are JSON.

use std::sync::Arc;

use super::call_error::{CallError, CallFacts};
use super::keys;
use super::pending_reply::PendingReply;
use super::port::Outgoing;
use super::scope::Scope;
use super::slot::{Answer, Slot};
use super::waiting::Waiting;
use crate::wire::{CodecId, CommandSpec, DeliveryKind, Ending, Header, Kind, Refusal, Target};

impl Scope {
    /// Asks for a command by its description. A broadcast is done when everyone has done it. What is answered is not read.
    pub(crate) fn request_by_spec(
        &self,
        spec: &'static CommandSpec,
        to: Option<&str>,
        json: &[u8],
    ) -> Result<PendingReply<()>, Refusal> {
        let kind = match spec.delivery {
            DeliveryKind::Broadcast => Kind::Broadcast,
            // Of a value nobody can ask without its handle: the router refuses that.
            DeliveryKind::Direct | DeliveryKind::Scope | DeliveryKind::Value => Kind::Request,
        };
        let target = to.map_or(Target::Route, |manager| Target::Named(manager.to_owned()));
        let attached = keys::beside(None, self.key_for(spec));
        let header = Header { codec: CodecId::Json, attached, ..self.header_of(spec, kind, target)? };
        let slot = Arc::new(Slot::default());
        let outgoing = Outgoing { header, spec, payload: json, slot: Some(Arc::clone(&slot)) };
        let call = self.port().submit(outgoing)?;
        Ok(PendingReply::new(Waiting::new(Arc::clone(self.port()), slot, call, spec), read_end))
    }
}

/// Whether it was done, wherever it was to be.
fn read_end(waiting: &Waiting, answer: &Answer) -> Result<(), CallError> {
    match answer {
        Answer::One { ending: Ending::Done(_), .. } => Ok(()),
        Answer::One { ending: Ending::NotDone(why), by, generation, chain } => {
            Err(CallError::from_ending(why.clone(), waiting.facts_of(by, *generation, chain)))
        }
        Answer::Many(outcomes) => {
            let failed = outcomes.iter().find_map(|one| Some((one, one.outcome.as_ref().err()?)));
            let Some((one, why)) = failed else { return Ok(()) };
            let (command, manager) = (waiting.spec.name.clone(), one.manager.clone());
            let facts = CallFacts { command, manager, generation: one.generation, chain: Vec::new() };
            Err(CallError::from_ending(why.clone(), facts))
        }
    }
}
