//! How calls end: by an answer, by their deadline, or with their station.

use std::time::Instant;

use super::station::Life;
use super::{Call, Caller, Effect, Gauge, Router};
use crate::remote::Answer;
use crate::wire::{
    CodecId, Ending, EnvelopeError, Generation, Header, Kind, NotDone, Refusal, Target, TypeSchema, codec,
};

impl Router {
    /// A station has answered a call. An answer to a call that has ended, or that was never its, is counted
    /// and discarded.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when the answer says that the call was not done, but not why.
    pub fn answered(&mut self, index: usize, header: &Header, payload: &[u8]) -> Result<(), EnvelopeError> {
        let ending = match header.kind {
            Kind::Done => Ending::Done(payload.to_vec()),
            _ => Ending::NotDone(read_not_done(payload)?),
        };
        let is_theirs = |call: &Call| call.station == index && call.generation == header.generation;
        if !self.in_flight.get(header.correlation).is_some_and(is_theirs) {
            self.totals.late_answers += 1;
            return Ok(());
        }
        if let Some(call) = self.in_flight.complete(header.correlation) {
            self.end(call, ending, header.codec);
        }
        Ok(())
    }

    /// Ends every call whose deadline has passed.
    pub fn expire(&mut self, now: Instant) {
        for (_, call) in self.in_flight.expire(now) {
            self.end(call, Ending::NotDone(NotDone::Expired), CodecId::Postcard);
        }
    }

    /// The caller waits no longer: the entry is freed and a late answer will be discarded.
    pub fn abandon(&mut self, caller: Caller) {
        for _ in self.in_flight.take_where(|call| call.caller == caller) {
            self.totals.expired += 1;
        }
    }

    /// The station is gone. What it had taken is indeterminate; what it had not taken is lost.
    pub fn gone(&mut self, index: usize, gauge: &dyn Gauge) {
        let taken = gauge.taken(index);
        self.stations[index].life = Life::Dead;
        for (_, call) in self.in_flight.take_where(|call| call.station == index) {
            let was_taken = call.ordinal.is_some_and(|ordinal| ordinal <= taken);
            let why = if was_taken { NotDone::Indeterminate } else { NotDone::Lost };
            self.end(call, Ending::NotDone(why), CodecId::Postcard);
        }
        for command in self.stations[index].clear(taken) {
            let name = self.command_name(command);
            self.undelivered(name, index, "its manager died before taking it");
        }
    }

    /// The station is told to end: what has not gone into its pipe is refused here, what has, there.
    pub fn stop(&mut self, index: usize) {
        self.stations[index].life = Life::Stopping;
        for queued in self.stations[index].take_commands() {
            let command = queued.command.map(|id| self.command_name(id)).unwrap_or_default();
            match queued.call.and_then(|id| self.in_flight.complete(id)) {
                Some(call) => {
                    let refusal = Refusal::Quitting { command };
                    self.end(call, Ending::NotDone(NotDone::Refused(refusal)), CodecId::Postcard);
                }
                None if queued.call.is_none() => self.undelivered(command, index, "the rig quits"),
                None => {}
            }
        }
    }

    /// The rig closes: whatever is still in flight is refused.
    pub fn close(&mut self) {
        self.is_quitting = true;
        for (_, call) in self.in_flight.take_where(|_| true) {
            self.end(call, Ending::NotDone(NotDone::Refused(Refusal::Closed)), CodecId::Postcard);
        }
    }

    fn end(&mut self, call: Call, ending: Ending, codec: CodecId) {
        if !matches!(call.caller, Caller::Gathering(_)) {
            self.count(&ending);
        }
        match call.caller {
            Caller::Gathering(id) => self.gather(id, call.station, ending),
            Caller::Manager { index, generation, correlation } => {
                let header = self.answer_header(&call, correlation, &ending, codec);
                let payload = match ending {
                    Ending::Done(reply) => reply,
                    Ending::NotDone(why) => write_not_done(&why),
                };
                self.answer_manager(index, generation, &header, &payload);
            }
            caller @ (Caller::Local(_) | Caller::Startup(_)) => {
                let by = self.stations[call.station].name.to_string();
                let answer = Answer::One { ending, by, generation: call.generation, chain: call.chain };
                self.effects.push(Effect::Answer { caller, answer });
            }
        }
    }

    fn count(&mut self, ending: &Ending) {
        let counter = match ending {
            Ending::Done(_) => &mut self.totals.done,
            Ending::NotDone(NotDone::Failed(_)) => &mut self.totals.failed,
            Ending::NotDone(NotDone::Cancelled) => &mut self.totals.cancelled,
            Ending::NotDone(NotDone::Expired) => &mut self.totals.expired,
            Ending::NotDone(NotDone::Refused(_)) => &mut self.totals.refused,
            Ending::NotDone(NotDone::Lost) => &mut self.totals.lost,
            Ending::NotDone(NotDone::Indeterminate) => &mut self.totals.indeterminate,
        };
        *counter += 1;
    }

    fn answer_header(&self, call: &Call, correlation: u64, ending: &Ending, codec: CodecId) -> Header {
        let kind = if matches!(ending, Ending::Done(_)) { Kind::Done } else { Kind::Ended };
        Header {
            codec,
            generation: call.generation,
            correlation,
            target: Target::Named(self.stations[call.station].name.to_string()),
            chain: call.chain.clone(),
            ..Header::new(kind)
        }
    }

    /// Queues an answer for a manager, unless the life that asked is over.
    pub(super) fn answer_manager(
        &mut self,
        index: usize,
        generation: Generation,
        header: &Header,
        payload: &[u8],
    ) {
        let station = &mut self.stations[index];
        if station.generation != generation || station.life == Life::Dead {
            self.totals.late_answers += 1;
            return;
        }
        station.push_word(header.seal(payload));
        self.effects.push(Effect::Flush(index));
    }

    /// Answers a manager whose command was refused.
    pub fn refuse(&mut self, index: usize, asked: &Header, refusal: Refusal) {
        if asked.kind == Kind::Send {
            let to = match &asked.target {
                Target::Named(name) => name.clone(),
                Target::Route => "whoever serves it".to_owned(),
            };
            let reason = format!("{refusal} (sent by `{}`)", self.stations[index].name);
            self.totals.undelivered += 1;
            self.effects.push(Effect::Undelivered { command: self.command_name(asked.command), to, reason });
            return;
        }
        let generation = self.stations[index].generation;
        let header =
            Header { correlation: asked.correlation, command: asked.command, ..Header::new(Kind::Ended) };
        self.answer_manager(index, generation, &header, &write_not_done(&NotDone::Refused(refusal)));
    }
}

fn write_not_done(why: &NotDone) -> Vec<u8> {
    codec::to_postcard(why).unwrap_or_else(|error| {
        log::error!("an ending cannot be written: {error}");
        Vec::new()
    })
}

fn read_not_done(payload: &[u8]) -> Result<NotDone, EnvelopeError> {
    codec::from_postcard(payload, not_done_schema())
        .map_err(|error| EnvelopeError::Payload { reason: error.to_string() })
}

fn not_done_schema() -> &'static TypeSchema {
    static SCHEMA: std::sync::OnceLock<TypeSchema> = std::sync::OnceLock::new();
    SCHEMA.get_or_init(TypeSchema::of::<NotDone>)
}
