//! Broadcasts: one command to many stations, one report back.

use std::sync::Arc;

use super::terms::word_for;
use super::{Answer, Asked, Call, Caller, Effect, Gauge, Life, Part, Router, Station};
use crate::remote::is_about_deeds;
use crate::wire::attached::{MAX_BUFFERS, MAX_HANDLES};
use crate::wire::envelope::MAX_PAYLOAD_BYTES;
use crate::wire::{
    BroadcastOutcome, CodecId, DeliveryKind, Ending, Failure, Generation, Header, Hops, Kind, NotDone,
    Parcel, Refusal, codec,
};

/// A broadcast whose outcomes are being gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    caller: Caller,
    /// The calls that are still to end.
    pub(super) parts: Vec<u64>,
    outcomes: Vec<BroadcastOutcome>,
}

impl Router {
    /// Queues a broadcast for every station that serves it and hears it; those that cannot take it say so in
    /// the report.
    pub(super) fn broadcast(&mut self, part: Part<'_>, gauge: &dyn Gauge) -> Result<(), Refusal> {
        let command = || self.command_name(part.header.command);
        let Some(route) = self.routes.get(&part.header.command) else {
            return Err(Refusal::UnknownCommand { command: command() });
        };
        let may_be_for_nobody = is_about_deeds(part.header.command);
        if route.delivery != DeliveryKind::Broadcast || (route.stations.is_empty() && !may_be_for_nobody) {
            return Err(Refusal::Absent { manager: None, command: command() });
        }
        let sender = match part.caller {
            Caller::Manager { index, .. } => index,
            _ => self.scope_index(),
        };
        let listeners = self.listeners(part.header.command, &self.stations[sender]);
        let id = self.next_gathering;
        self.next_gathering += 1;
        let gathering = Gathering { caller: part.caller, parts: Vec::new(), outcomes: Vec::new() };
        self.gatherings.insert(id, gathering);
        self.note_asked(part.caller, Asked::Gathering(id), part.header.kind);
        for station in listeners {
            let part = Part { caller: Caller::Gathering(id), ..part };
            match self.enqueue(station, part, gauge) {
                Ok(call) => self.gatherings.entry(id).and_modify(|it| it.parts.extend(call)),
                Err(refusal) => {
                    let outcome = self.refused_at(station, refusal);
                    self.gatherings.entry(id).and_modify(|it| it.outcomes.push(outcome))
                }
            };
        }
        self.report_if_complete(id);
        Ok(())
    }

    fn refused_at(&self, station: usize, refusal: Refusal) -> BroadcastOutcome {
        let Station { name, generation, life, .. } = &self.stations[station];
        let generation = if *life == Life::Dead { 0 } else { generation.0 };
        BroadcastOutcome { manager: name.to_string(), generation, outcome: Err(NotDone::Refused(refusal)) }
    }

    /// Notes the outcome at one station; the last one completes the report.
    pub(super) fn gather(&mut self, id: u64, part: u64, call: &Call, ending: Ending) {
        let Some(gathering) = self.gatherings.get_mut(&id) else { return };
        let (manager, generation) = (self.stations[call.station].name.to_string(), call.generation);
        let outcome = match ending {
            Ending::Done(reply) => Ok(reply),
            Ending::NotDone(why) => Err(why),
        };
        gathering.outcomes.push(BroadcastOutcome { manager, generation: generation.0, outcome });
        gathering.parts.retain(|other| *other != part);
        self.report_if_complete(id);
    }

    fn report_if_complete(&mut self, id: u64) {
        if self.gatherings.get(&id).is_some_and(|gathering| !gathering.parts.is_empty()) {
            return;
        }
        if let Some(mut whole) = self.gatherings.remove(&id) {
            self.forget_asked(whole.caller, Asked::Gathering(id));
            self.totals.done += 1;
            whole.outcomes.sort_by(|a, b| a.manager.cmp(&b.manager));
            self.report(whole);
        }
    }

    fn report(&mut self, mut whole: Gathering) {
        let Caller::Manager { index, generation, correlation } = whole.caller else {
            self.effects.push(Effect::Answer { caller: whole.caller, answer: Answer::Many(whole.outcomes) });
            return;
        };
        cut_attached(&mut whole.outcomes);
        if size_of_report(&whole.outcomes) > MAX_PAYLOAD_BYTES {
            cut(&mut whole.outcomes);
        }
        match codec::pack(&whole.outcomes, CodecId::Postcard) {
            Ok(Parcel { bytes, attached }) => {
                let header = Header { correlation, attached, ..Header::new(Kind::Report) };
                self.answer_manager(index, generation, &header, &bytes);
            }
            Err(error) => log::error!("a broadcast's report cannot be written: {error}"),
        }
    }

    /// The calls of a broadcast that are still to end.
    pub(super) fn parts_of(&self, id: u64) -> Vec<u64> {
        self.gatherings.get(&id).map(|gathering| gathering.parts.clone()).unwrap_or_default()
    }

    /// Forgets a broadcast whose caller waits no longer; says whether it was still to end.
    pub(super) fn abandon_gathering(&mut self, id: u64) -> bool {
        for part in self.parts_of(id) {
            self.abandon_call(part);
        }
        self.gatherings.remove(&id).is_some()
    }

    /// Ends a broadcast as a whole. What is still queued here will not run.
    pub(super) fn end_gathering(&mut self, id: u64, why: NotDone) {
        let ending = Ending::NotDone(why);
        for part in self.parts_of(id) {
            if let Some(call) = self.in_flight.complete(part) {
                self.withdraw(&call);
                self.trace(part, &call, word_for(&ending), None);
            }
        }
        let Some(gathering) = self.gatherings.remove(&id) else { return };
        self.forget_asked(gathering.caller, Asked::Gathering(id));
        self.count(&ending);
        let (by, generation, chain) = (Arc::default(), Generation(0), Hops::new());
        self.hand_back(gathering.caller, Answer::One { ending, by, generation, chain }, CodecId::Postcard);
    }
}

impl Router {
    /// Who asked for a call: for a part of a broadcast, whoever broadcast it.
    pub(super) fn caller_of(&self, call: &Call) -> Caller {
        match call.caller {
            Caller::Gathering(id) => self.gatherings.get(&id).map_or(call.caller, |it| it.caller),
            caller => caller,
        }
    }
}

fn size_of_report(outcomes: &[BroadcastOutcome]) -> usize {
    codec::pack(outcomes, CodecId::Postcard).map_or(usize::MAX, |report| report.len())
}

/// Takes the replies out of a report beside which more is to travel than one envelope carries.
fn cut_attached(outcomes: &mut [BroadcastOutcome]) {
    let (mut handles, mut buffers) = (0, 0);
    for one in outcomes {
        let Ok(Parcel { attached: Some(attached), .. }) = &one.outcome else { continue };
        let (more_handles, more_buffers) = (attached.handles.len(), attached.buffers.len());
        if handles + more_handles > MAX_HANDLES || buffers + more_buffers > MAX_BUFFERS {
            let text = format!(
                "its reply of {more_handles} handles and {more_buffers} buffers has no room in the report: \
                 {MAX_HANDLES} and {MAX_BUFFERS} are the limits of all together"
            );
            one.outcome = Err(NotDone::Failed(Failure::text(text)));
            continue;
        }
        (handles, buffers) = (handles + more_handles, buffers + more_buffers);
    }
}

/// Takes the replies out of a report that have more than their share of it.
fn cut(outcomes: &mut [BroadcastOutcome]) {
    let share = MAX_PAYLOAD_BYTES / outcomes.len() - 16;
    for one in outcomes {
        let bytes = size_of_report(std::slice::from_ref(one));
        if bytes > share {
            let text = format!("its outcome of {bytes} bytes exceeds its share of the report, {share} bytes");
            one.outcome = Err(NotDone::Failed(Failure::text(text)));
        }
    }
}
