//! How calls end: by an answer, or with their station.

use std::sync::Arc;
use std::time::Duration;

use super::station::Ordered;
use super::streaming::Window;
use super::terms::{TracedEnding, word_for};
use super::{Answer, Asked, Call, Caller, Effect, Gauge, Life, Queued, Router, Stand};
use crate::remote::StreamNews;
use crate::wire::envelope::MAX_PAYLOAD_BYTES;
use crate::wire::{
    CodecId, Ending, EnvelopeError, Failure, Generation, Header, Kind, NotDone, Parcel, Refusal, Target,
    TypeSchema, UndeliveredReason, codec,
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
            Kind::Done => Ending::Done(header.parcel(payload)),
            _ => Ending::NotDone(read_not_done(payload)?),
        };
        self.settle(index, header, ending);
        self.worked_off(index, header);
        Ok(())
    }

    fn settle(&mut self, index: usize, header: &Header, ending: Ending) {
        let is_theirs = |call: &Call| call.is_at(index, header.generation);
        if !self.in_flight.get(header.correlation).is_some_and(is_theirs) {
            self.totals.late_answers += 1;
        } else if let Some(call) = self.in_flight.complete(header.correlation) {
            let ending = call.truth_of(ending);
            self.trace(header.correlation, &call, word_for(&ending), Some(header.time_left_us));
            self.end_untraced(header.correlation, call, ending, header.codec);
        }
    }

    /// The station is gone. What it had taken is indeterminate; what it had not taken is lost. When it is to
    /// return, calls that may run again wait for its next life, until [`give_up`](Self::give_up) at the latest.
    ///
    /// The calls that it has made go on: what was accepted runs, ends once and is counted. Nobody is told.
    pub fn gone(&mut self, index: usize, gauge: &dyn Gauge, returns: bool) {
        let (taken, done) = (self.taken(index, gauge), self.done(index, gauge));
        // Who was told to end, and has, does not run what is left in its pipe.
        let not_sent = match self.stations[index].life {
            Life::Stopping => UndeliveredReason::Quitting,
            _ => UndeliveredReason::Lost,
        };
        self.waits.forget(index);
        self.stations[index].life = Life::Dead;
        self.give_back(index, taken);
        match returns {
            true => self.hold_back(index, taken),
            false => self.expect_no_next(index),
        }
        self.leave(index, taken, done, &NotDone::Lost, &not_sent);
        self.close_streams_of(index);
        self.tend_pool_of(index);
    }

    /// The station was found absent: it is gone before it was ready, and is refused with this reason from now on.
    pub fn leave_out(&mut self, index: usize, why: String, gauge: &dyn Gauge) {
        self.stations[index].leave_out(why);
        self.gone(index, gauge, false);
    }

    /// The station is told to end: what has not gone into its pipe is refused here, what has, there.
    pub fn stop(&mut self, index: usize) {
        self.set_life(index, Life::Stopping);
        self.give_up(index);
        self.end_all_queued(index, quitting);
        self.tend_pool_of(index);
    }

    /// Ends every command that is queued for a station.
    pub(super) fn end_all_queued(
        &mut self,
        index: usize,
        why: impl Fn(String) -> (NotDone, UndeliveredReason),
    ) {
        for queued in self.stations[index].take_commands() {
            self.end_queued(index, &queued, &why);
        }
    }

    /// Ends a command that was taken out of a station's queue, as is said for one of that name: when it is
    /// awaited, and when it was sent one way.
    pub(super) fn end_queued(
        &mut self,
        index: usize,
        queued: &Queued,
        why: impl Fn(String) -> (NotDone, UndeliveredReason),
    ) {
        let Some(ordered) = queued.command else { return };
        let (not_done, reason) = why(self.command_name(ordered.command));
        match queued.call {
            None => self.undelivered(ordered, index, reason),
            Some(id) => {
                if let Some(call) = self.in_flight.complete(id) {
                    self.end(id, call, Ending::NotDone(not_done), CodecId::Postcard);
                }
            }
        }
    }

    /// The rig closes, when its managers are gone: whatever was not sent is refused, and nothing more runs.
    pub fn close(&mut self) {
        self.is_quitting = true;
        self.stations.iter_mut().for_each(|station| station.life = Life::Dead);
        for index in 0..self.stations.len() {
            self.stations[index].has_next = false;
            let refused = NotDone::Refused(Refusal::Closed);
            self.leave(index, u64::MAX, u64::MAX, &refused, &UndeliveredReason::Closed);
        }
    }

    /// Ends everything that a station was to do, but what waits for its next life.
    fn leave(
        &mut self,
        index: usize,
        taken: u64,
        done: u64,
        not_taken: &NotDone,
        not_sent: &UndeliveredReason,
    ) {
        self.stations[index].life = Life::Dead;
        let has_next = self.stations[index].has_next;
        let leaves = |call: &Call| call.station == index && !(has_next && call.stand == Stand::Aside);
        for (id, call) in self.in_flight.take_where(leaves) {
            let was_taken = matches!(call.stand, Stand::Sent(ordinal) if ordinal <= taken);
            if call.is_one_way && !was_taken {
                let ordered = Ordered { command: call.command, sender: call.caller };
                self.undelivered(ordered, index, not_sent.clone());
                continue;
            }
            let why = if was_taken { NotDone::Indeterminate } else { not_taken.clone() };
            self.end(id, call, Ending::NotDone(why), CodecId::Postcard);
        }
        let (begun, lost) = self.stations[index].clear(taken, done);
        if let Some(ordered) = begun {
            self.undelivered(ordered, index, UndeliveredReason::Indeterminate);
        }
        for ordered in lost {
            self.undelivered(ordered, index, not_sent.clone());
        }
    }

    /// A call that has left the table ends.
    pub(super) fn end(&mut self, id: u64, call: Call, ending: Ending, codec: CodecId) {
        let ending = call.truth_of(ending);
        self.trace(id, &call, word_for(&ending), None);
        self.end_untraced(id, call, ending, codec);
    }

    fn end_untraced(&mut self, id: u64, call: Call, ending: Ending, codec: CodecId) {
        if call.is_one_way {
            return self.end_one_way(&call, ending);
        }
        if let Caller::Gathering(gathering) = call.caller {
            return self.gather(gathering, id, &call, ending);
        }
        self.count(&ending);
        self.forget_asked(call.caller, Asked::Call(id));
        if call.stream.is_some() && matches!(call.caller, Caller::Local(_)) {
            let end = match ending {
                Ending::Done(_) => Ok(()),
                Ending::NotDone(why) => Err(why),
            };
            let news = StreamNews::End(end);
            return self.effects.push(Effect::Stream { caller: call.caller, news });
        }
        let by = Arc::clone(&self.stations[call.station].shared_name);
        let answer = Answer::One { ending, by, generation: call.generation, chain: call.chain };
        self.hand_back(call.caller, answer, codec);
    }

    /// Gives an answer to whoever asked.
    pub(super) fn hand_back(&mut self, caller: Caller, answer: Answer, codec: CodecId) {
        let (index, life, correlation) = match caller {
            Caller::Manager { index, generation, correlation } => (index, generation, correlation),
            _ => return self.effects.push(Effect::Answer { caller, answer }),
        };
        let Answer::One { ending, by, generation, chain } = answer else { return };
        let (kind, Parcel { bytes, attached }) = match ending {
            Ending::Done(reply) => (Kind::Done, reply),
            Ending::NotDone(why) => (Kind::Ended, write_not_done(&why).into()),
        };
        let target = if by.is_empty() { Target::Route } else { Target::Named(by.to_string()) };
        let header = Header { codec, generation, correlation, target, chain, attached, ..Header::new(kind) };
        self.answer_manager(index, life, &header, &bytes);
    }

    /// Tells that a call has left the table, when endings are traced. What its answer says of its handler's
    /// time holds, unless it was answered by a stream before.
    pub(super) fn trace(&mut self, id: u64, call: &Call, ending: &'static str, answered_us: Option<u64>) {
        if !self.is_tracing || call.is_one_way {
            return;
        }
        let (caller, station, generation) = (self.caller_of(call), call.station, call.generation);
        let (command, accepted_at) = (call.command, call.accepted_at);
        let opened_us = call.stream.as_ref().map(Window::handler_us);
        let handler = opened_us.or(answered_us).map(Duration::from_micros);
        let traced =
            TracedEnding { caller, station, generation, command, call: id, accepted_at, handler, ending };
        self.effects.push(Effect::Traced(Box::new(traced)));
    }

    pub(super) fn count(&mut self, ending: &Ending) {
        let counter = match ending {
            Ending::Done(_) => &mut self.totals.done,
            Ending::NotDone(NotDone::Failed(_)) => &mut self.totals.failed,
            Ending::NotDone(NotDone::Cancelled) => &mut self.totals.cancelled,
            Ending::NotDone(NotDone::Expired) => &mut self.totals.expired,
            Ending::NotDone(NotDone::Refused(_) | NotDone::Deadlock { .. }) => &mut self.totals.refused,
            Ending::NotDone(NotDone::Lost) => &mut self.totals.lost,
            Ending::NotDone(NotDone::Indeterminate) => &mut self.totals.indeterminate,
        };
        *counter += 1;
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
        station.push_word(header.pack(payload));
        self.effects.push(Effect::Flush(index));
    }

    /// Answers a manager whose command was refused. Nobody waits for a one-way command's answer: it is counted
    /// and told as undelivered.
    pub fn refuse(&mut self, index: usize, asked: &Header, refusal: Refusal) {
        let generation = self.stations[index].generation;
        if asked.kind == Kind::Send {
            let sender = Caller::Manager { index, generation, correlation: asked.correlation };
            return self.refuse_send(sender, asked, refusal);
        }
        let header =
            Header { correlation: asked.correlation, command: asked.command, ..Header::new(Kind::Ended) };
        self.answer_manager(index, generation, &header, &write_not_done(&NotDone::Refused(refusal)));
    }
}

/// Why a command of that name does not run at a station that is to end.
pub(super) fn quitting(command: String) -> (NotDone, UndeliveredReason) {
    (NotDone::Refused(Refusal::Quitting { command }), UndeliveredReason::Quitting)
}

/// A reply, or the reason why there is none, that would not fit the envelope of an answer.
pub(super) fn too_large(bytes: usize) -> Ending {
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
