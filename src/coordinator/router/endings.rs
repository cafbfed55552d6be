//! How calls end: by an answer, by their deadline, or with their station.

use std::time::Instant;

use super::{Answer, Call, Caller, Effect, Gauge, Life, Router};
use crate::wire::envelope::MAX_PAYLOAD_BYTES;
use crate::wire::{
    CodecId, CommandId, Ending, EnvelopeError, Failure, Generation, Header, Kind, NotDone, Refusal, Target,
    TypeSchema, codec,
};

impl Router {
    /// A station has answered a call. An answer to a call that has ended, that was never its, or that it was
    /// not sent yet, is counted and discarded.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when the answer says that the call was not done, but not why.
    pub fn answered(&mut self, index: usize, header: &Header, payload: &[u8]) -> Result<(), EnvelopeError> {
        let ending = match header.kind {
            _ if payload.len() > MAX_PAYLOAD_BYTES => too_large(payload.len()),
            Kind::Done => Ending::Done(payload.to_vec()),
            _ => Ending::NotDone(read_not_done(payload)?),
        };
        let is_theirs = |call: &Call| {
            call.station == index && call.generation == header.generation && call.ordinal.is_some()
        };
        if !self.in_flight.get(header.correlation).is_some_and(is_theirs) {
            self.totals.late_answers += 1;
            return Ok(());
        }
        if let Some(call) = self.in_flight.complete(header.correlation) {
            self.end(call, ending, header.codec);
        }
        Ok(())
    }

    /// Ends every call whose deadline has passed. What is still queued here will not run.
    pub fn expire(&mut self, now: Instant) {
        for (id, call) in self.in_flight.expire(now) {
            if call.ordinal.is_none() {
                self.stations[call.station].withdraw(id);
            }
            self.end(call, Ending::NotDone(NotDone::Expired), CodecId::Postcard);
        }
    }

    /// The caller waits no longer: the entry is freed and a late answer will be discarded. The command may
    /// still run.
    pub fn abandon(&mut self, caller: Caller) {
        let broadcasts = self.abandon_broadcasts(caller);
        let calls = self.in_flight.take_where(|call| call.caller == caller);
        self.totals.expired += (broadcasts + calls.len()) as u64;
    }

    /// The station is gone. What it had taken is indeterminate; what it had not taken is lost.
    ///
    /// The calls that it has made go on: what was accepted runs, ends once and is counted. Nobody is told.
    pub fn gone(&mut self, index: usize, gauge: &dyn Gauge) {
        let taken = self.taken(index, gauge);
        self.leave(index, taken, &NotDone::Lost, "its manager died before taking it");
    }

    /// The station was found absent: it is gone before it was ready, and is refused with this reason from now on.
    pub fn leave_out(&mut self, index: usize, why: String, gauge: &dyn Gauge) {
        self.stations[index].leave_out(why);
        self.gone(index, gauge);
    }

    /// The station is told to end: what has not gone into its pipe is refused here, what has, there.
    pub fn stop(&mut self, index: usize) {
        self.set_life(index, Life::Stopping);
        for queued in self.stations[index].take_commands() {
            match (queued.call, queued.command) {
                (Some(id), Some(command)) => self.refuse_queued(id, command),
                (None, Some(command)) => self.undelivered(command, index, "the rig quits"),
                (_, None) => {}
            }
        }
    }

    fn refuse_queued(&mut self, id: u64, command: CommandId) {
        let refusal = Refusal::Quitting { command: self.command_name(command) };
        if let Some(call) = self.in_flight.complete(id) {
            self.end(call, Ending::NotDone(NotDone::Refused(refusal)), CodecId::Postcard);
        }
    }

    /// The rig closes, when its managers are gone: whatever was not sent is refused, and nothing more runs.
    pub fn close(&mut self) {
        self.is_quitting = true;
        self.stations.iter_mut().for_each(|station| station.life = Life::Dead);
        for index in 0..self.stations.len() {
            self.leave(index, u64::MAX, &NotDone::Refused(Refusal::Closed), "the rig has ended");
        }
    }

    /// Ends everything that a station was to do.
    fn leave(&mut self, index: usize, taken: u64, not_taken: &NotDone, reason: &str) {
        self.stations[index].life = Life::Dead;
        for (_, call) in self.in_flight.take_where(|call| call.station == index) {
            let was_taken = call.ordinal.is_some_and(|ordinal| ordinal <= taken);
            let why = if was_taken { NotDone::Indeterminate } else { not_taken.clone() };
            self.end(call, Ending::NotDone(why), CodecId::Postcard);
        }
        for command in self.stations[index].clear(taken) {
            self.undelivered(command, index, reason);
        }
    }

    fn end(&mut self, call: Call, ending: Ending, codec: CodecId) {
        if let Caller::Gathering(id) = call.caller {
            return self.gather(id, call.station, call.generation, ending);
        }
        self.count(&ending);
        if let Caller::Manager { index, generation, correlation } = call.caller {
            let header = self.answer_header(&call, correlation, &ending, codec);
            let payload = match ending {
                Ending::Done(reply) => reply,
                Ending::NotDone(why) => write_not_done(&why),
            };
            return self.answer_manager(index, generation, &header, &payload);
        }
        let by = self.stations[call.station].name.to_string();
        let answer = Answer::One { ending, by, generation: call.generation, chain: call.chain };
        self.effects.push(Effect::Answer { caller: call.caller, answer });
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

    /// Answers a manager whose command was refused. Nobody waits for a one-way command's answer: it is counted
    /// and told as undelivered.
    pub fn refuse(&mut self, index: usize, asked: &Header, refusal: Refusal) {
        let station = &self.stations[index];
        if asked.kind == Kind::Send {
            let (command, to) = (self.command_name(asked.command), self.goal(asked));
            let reason = format!("{refusal} (sent by `{}`)", station.name);
            self.totals.undelivered += 1;
            self.effects.push(Effect::Undelivered { command, to, reason });
            return;
        }
        let generation = station.generation;
        let header =
            Header { correlation: asked.correlation, command: asked.command, ..Header::new(Kind::Ended) };
        self.answer_manager(index, generation, &header, &write_not_done(&NotDone::Refused(refusal)));
    }
}

/// A reply, or the reason why there is none, that would not fit the envelope of an answer.
fn too_large(bytes: usize) -> Ending {
    let text = format!("the answer of {bytes} bytes exceeds the limit of {MAX_PAYLOAD_BYTES}");
    Ending::NotDone(NotDone::Failed(Failure::text(text)))
}

fn write_not_done(why: &NotDone) -> Vec<u8> {
    codec::to_postcard(why).unwrap_or_else(|error| {
        log::error!("an ending cannot be written: {error}");
        Vec::new()
    })
}

fn read_not_done(payload: &[u8]) -> Result<NotDone, EnvelopeError> {
    codec::from_postcard(payload, TypeSchema::known::<NotDone>())
        .map_err(|error| EnvelopeError::Payload { reason: error.to_string() })
}
