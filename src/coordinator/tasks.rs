//! Tasks that are placed: offered to those who run procedures, as the pure passing says.
//!
//! All offers of a rig are made here, so that two who place a task of one name at once are told of one procedure.

mod passing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use self::passing::{Heard, Next, Passing};
use super::main_loop::MainLoop;
use super::ordering::Asker;
use super::router::Caller;
use crate::remote::{
    Answer, Declination, OfferTask, PlaceTask, Placement, Task, TaskAnswer, TaskError, Whom,
};
use crate::wire::{
    CodecId, Command, Ending, Failure, Header, Kind, NotDone, Parcel, Refusal, Target, TypeSchema, codec,
};

/// The tasks that are not placed yet.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// By their own numbers.
    open: HashMap<u64, Open>,
    /// The offers that were not answered: of which task, to whom.
    offers: HashMap<u64, (u64, String)>,
    /// The last number that was given.
    last: u64,
    /// With whom the next task for one of many begins.
    turn: usize,
}

#[derive(Debug)]
struct Open {
    task: Task,
    passing: Passing,
    askers: Vec<Asker>,
}

impl Tasks {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The runners in the order in which they are asked: each time another is the first.
    fn in_turn(&mut self, whom: &Whom, mut runners: Vec<String>) -> Vec<String> {
        if *whom == Whom::Any && !runners.is_empty() {
            let first = self.turn % runners.len();
            runners.rotate_left(first);
            self.turn = self.turn.wrapping_add(1);
        }
        runners
    }
}

impl MainLoop {
    /// Places a task; the call is answered when it is known who has taken it.
    pub(super) fn place_task(&mut self, asker: Asker, asked: PlaceTask) {
        let PlaceTask { mut task, whom } = asked;
        let is_named = !task.name.is_empty();
        if let Some(open) = self.tasks.open.values_mut().find(|open| is_named && open.task.name == task.name)
        {
            return open.askers.push(asker);
        }
        let number = self.tasks.number();
        if !is_named {
            task.name = format!("{}.{}", self.run_of_tasks(), number);
        }
        let runners = self.runners();
        let runners = self.tasks.in_turn(&whom, runners);
        let passing = Passing::begin(task.name.clone(), &whom, &runners, is_named);
        self.tasks.open.insert(number, Open { task, passing, askers: vec![asker] });
        self.pass_on(number);
    }

    /// What the names of tasks of this run begin with: they are kept for longer than the run.
    fn run_of_tasks(&self) -> String {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}-{:x}", self.core.blueprint.mark, since_1970.as_secs())
    }

    /// The managers that take offers, in the order of the config.
    fn runners(&self) -> Vec<String> {
        let blueprint = &self.core.blueprint;
        let serving = blueprint.routes.get(&OfferTask::spec().id).map(|route| route.stations.as_slice());
        let managers = serving.unwrap_or_default().iter().filter_map(|at| blueprint.managers.get(*at));
        managers.map(|manager| manager.name.to_string()).collect()
    }

    /// Offers a task to whoever is next, until somebody is to answer or it is over.
    fn pass_on(&mut self, number: u64) {
        while let Some(open) = self.tasks.open.get_mut(&number) {
            match open.passing.next() {
                Next::Wait => return,
                Next::Offer { runner, only_asks } => self.offer(number, runner, only_asks),
                Next::Over(end) => self.placed(number, end),
            }
        }
    }

    fn offer(&mut self, number: u64, runner: String, only_asks: bool) {
        let offer = self.tasks.number();
        let Some(open) = self.tasks.open.get_mut(&number) else { return };
        let header = Header {
            command: OfferTask::spec().id,
            codec: CodecId::Postcard,
            target: Target::Named(runner.clone()),
            ..Header::new(Kind::Request)
        };
        let offered = codec::to_postcard(&OfferTask { task: open.task.clone(), only_asks })
            .map_err(|error| Refusal::NotEncodable {
                command: OfferTask::spec().name.clone(),
                reason: error.reason,
            })
            .and_then(|payload| self.core.submit_own(Caller::Offer(offer), &header, &payload));
        match offered {
            // The answer may be here already, as a request behind this one.
            Ok(()) => drop(self.tasks.offers.insert(offer, (number, runner))),
            Err(refusal) => open.passing.heard(runner, Heard::Declined(Declination::Refused(refusal))),
        }
    }

    /// A runner has answered an offer, or never will.
    pub(super) fn offer_answered(&mut self, offer: u64, answer: Answer) {
        let Some((number, runner)) = self.tasks.offers.remove(&offer) else { return };
        if let Some(open) = self.tasks.open.get_mut(&number) {
            open.passing.heard(runner, read(answer));
            self.pass_on(number);
        }
    }

    fn placed(&mut self, number: u64, end: Result<Placement, TaskError>) {
        let Some(open) = self.tasks.open.remove(&number) else { return };
        for asker in open.askers {
            match &end {
                Ok(placement) => self.answer(asker, placement),
                Err(error) => self.fail_order_by(asker, Failure::typed(error, error.to_string())),
            }
        }
    }
}

/// What the answer to an offer means. The router says of nothing that may have run that it did not.
fn read(answer: Answer) -> Heard {
    let ending = match answer {
        Answer::One { ending, .. } => ending,
        Answer::Many(_) => return Heard::InDoubt("its answer is the report of a broadcast".to_owned()),
    };
    let doubt = |why: &str| Heard::InDoubt(why.to_owned());
    match ending {
        Ending::Done(reply) => read_reply(&reply),
        Ending::NotDone(NotDone::Lost) => Heard::Declined(Declination::Lost),
        // The rig has ended: it is too late to know.
        Ending::NotDone(NotDone::Refused(Refusal::Closed)) => doubt("the rig has ended"),
        Ending::NotDone(NotDone::Refused(refusal)) => Heard::Declined(Declination::Refused(refusal)),
        Ending::NotDone(NotDone::Failed(failure)) => Heard::InDoubt(failure.to_string()),
        Ending::NotDone(NotDone::Indeterminate) => doubt("it died while it had the offer, and is not back"),
        Ending::NotDone(NotDone::Cancelled) => doubt("everything was stopped"),
        Ending::NotDone(NotDone::Expired | NotDone::Deadlock { .. }) => doubt("it has not answered"),
    }
}

fn read_reply(reply: &Parcel) -> Heard {
    match codec::from_postcard::<TaskAnswer>(&reply.bytes, TypeSchema::known::<TaskAnswer>()) {
        Ok(TaskAnswer::Taken(id)) => Heard::Taken(id),
        Ok(TaskAnswer::HasNot) => Heard::HasNot,
        Ok(TaskAnswer::Declined(why)) => Heard::Declined(why),
        Err(error) => Heard::InDoubt(format!("its answer cannot be read: {error}")),
    }
}
