//! Broadcasts: one command to many stations, one report back.

use super::{Caller, Effect, Part, Router};
use crate::coordinator::router::station::Life;
use crate::remote::Answer;
use crate::wire::{BroadcastOutcome, DeliveryKind, Ending, Header, Kind, NotDone, Refusal, codec};

use super::Gauge;

/// A broadcast whose outcomes are being gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    caller: Caller,
    outstanding: usize,
    outcomes: Vec<BroadcastOutcome>,
}

impl Router {
    /// Queues a broadcast for every station that serves it; those that cannot take it say so in the report.
    pub(super) fn broadcast(&mut self, part: Part<'_>, gauge: &dyn Gauge) -> Result<(), Refusal> {
        let command = self.command_name(part.header.command);
        let Some(route) = self.routes.get(&part.header.command) else {
            return Err(Refusal::UnknownCommand { command });
        };
        if route.delivery != DeliveryKind::Broadcast || route.stations.is_empty() {
            return Err(Refusal::Absent { manager: None, command });
        }
        let stations = route.stations.clone();
        let id = self.next_gathering;
        self.next_gathering += 1;
        let gathering = Gathering { caller: part.caller, outstanding: stations.len(), outcomes: Vec::new() };
        self.gatherings.insert(id, gathering);
        for station in stations {
            let part = Part { caller: Caller::Gathering(id), ..part };
            if let Err(refusal) = self.enqueue(station, part, gauge) {
                self.gather(id, station, Ending::NotDone(NotDone::Refused(refusal)));
            }
        }
        Ok(())
    }

    /// Notes the outcome at one station; the last one completes the report.
    pub(super) fn gather(&mut self, id: u64, station: usize, ending: Ending) {
        let Some(gathering) = self.gatherings.get_mut(&id) else { return };
        let station = &self.stations[station];
        let generation = if station.life == Life::Dead { 0 } else { station.generation.0 };
        let outcome = match ending {
            Ending::Done(reply) => Ok(reply),
            Ending::NotDone(why) => Err(why),
        };
        gathering.outcomes.push(BroadcastOutcome { manager: station.name.to_string(), generation, outcome });
        gathering.outstanding -= 1;
        if gathering.outstanding > 0 {
            return;
        }
        if let Some(mut whole) = self.gatherings.remove(&id) {
            self.totals.done += 1;
            whole.outcomes.sort_by(|a, b| a.manager.cmp(&b.manager));
            self.report(whole);
        }
    }

    fn report(&mut self, whole: Gathering) {
        let Caller::Manager { index, generation, correlation } = whole.caller else {
            self.effects.push(Effect::Answer { caller: whole.caller, answer: Answer::Many(whole.outcomes) });
            return;
        };
        match codec::to_postcard(&whole.outcomes) {
            Ok(payload) => {
                let header = Header { correlation, ..Header::new(Kind::Report) };
                self.answer_manager(index, generation, &header, &payload);
            }
            Err(error) => log::error!("a broadcast's report cannot be written: {error}"),
        }
    }
}
