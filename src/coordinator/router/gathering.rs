//! Broadcasts: one command to many stations, one report back.

use super::{Answer, Caller, Effect, Gauge, Life, Part, Router};
use crate::wire::envelope::MAX_PAYLOAD_BYTES;
use crate::wire::{
    BroadcastOutcome, DeliveryKind, Ending, Failure, Generation, Header, Kind, NotDone, Refusal, codec,
};

/// A broadcast whose outcomes are being gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    caller: Caller,
    outstanding: usize,
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
        if route.delivery != DeliveryKind::Broadcast || route.stations.is_empty() {
            return Err(Refusal::Absent { manager: None, command: command() });
        }
        let sender = match part.caller {
            Caller::Manager { index, .. } => index,
            _ => self.scope_index(),
        };
        let listeners = self.listeners(part.header.command, &self.stations[sender]);
        let id = self.next_gathering;
        self.next_gathering += 1;
        let gathering = Gathering { caller: part.caller, outstanding: listeners.len(), outcomes: Vec::new() };
        self.gatherings.insert(id, gathering);
        for station in listeners {
            let part = Part { caller: Caller::Gathering(id), ..part };
            if let Err(refusal) = self.enqueue(station, part, gauge) {
                let generation = match self.stations[station].life {
                    Life::Dead => Generation(0),
                    _ => self.stations[station].generation,
                };
                self.gather(id, station, generation, Ending::NotDone(NotDone::Refused(refusal)));
            }
        }
        self.report_if_complete(id);
        Ok(())
    }

    /// Notes the outcome at one station; the last one completes the report.
    pub(super) fn gather(&mut self, id: u64, station: usize, generation: Generation, ending: Ending) {
        let Some(gathering) = self.gatherings.get_mut(&id) else { return };
        let manager = self.stations[station].name.to_string();
        let outcome = match ending {
            Ending::Done(reply) => Ok(reply),
            Ending::NotDone(why) => Err(why),
        };
        gathering.outcomes.push(BroadcastOutcome { manager, generation: generation.0, outcome });
        gathering.outstanding -= 1;
        self.report_if_complete(id);
    }

    fn report_if_complete(&mut self, id: u64) {
        if self.gatherings.get(&id).is_some_and(|gathering| gathering.outstanding > 0) {
            return;
        }
        if let Some(mut whole) = self.gatherings.remove(&id) {
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
        if size_of_report(&whole.outcomes) > MAX_PAYLOAD_BYTES {
            cut(&mut whole.outcomes);
        }
        match codec::to_postcard(&whole.outcomes) {
            Ok(payload) => {
                let header = Header { correlation, ..Header::new(Kind::Report) };
                self.answer_manager(index, generation, &header, &payload);
            }
            Err(error) => log::error!("a broadcast's report cannot be written: {error}"),
        }
    }

    /// Forgets the broadcasts of a caller that waits no longer, and says how many there were.
    pub(super) fn abandon_broadcasts(&mut self, caller: Caller) -> usize {
        let whose = |gathering: &Gathering| gathering.caller == caller;
        let ids: Vec<u64> = self.gatherings.iter().filter(|(_, it)| whose(it)).map(|(id, _)| *id).collect();
        for id in &ids {
            self.gatherings.remove(id);
            self.in_flight.take_where(|call| call.caller == Caller::Gathering(*id));
        }
        ids.len()
    }
}

fn size_of_report(outcomes: &[BroadcastOutcome]) -> usize {
    codec::to_postcard(outcomes).map_or(usize::MAX, |bytes| bytes.len())
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
