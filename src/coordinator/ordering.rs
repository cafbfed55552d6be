//! What the coordinator itself is asked for: a stop of everything, arming, restarts.
//!
//! The words of a stop were raised by whoever asked; here is waited for what the managers say to them.

use std::time::{Duration, Instant};

use log::Level;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::core::Core;
use super::laddering::STILL_THERE;
use super::main_loop::MainLoop;
use super::process::Phase;
use crate::remote::{
    Arm, Armed, CheckScript, OpenSignals, PlaceTask, Restart, Restarted, StopAll, StopOutcome, StopReport,
};
use crate::shm::Urgent;
use crate::supervisor::{Because, Rung};
use crate::wire::control::{self, CoordinatorWord};
use crate::wire::{CodecId, Command, CommandId, Ending, Failure, NotDone, Schema, TypeSchema, codec};

/// A call that is to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    call: u64,
    codec: CodecId,
}

/// Who waits for something to be done with one manager.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    arming: Vec<Asker>,
    restarting: Vec<Asker>,
    /// Whether its process was told to end in order to be started again.
    pub(super) is_to_restart: bool,
}

impl Orders {
    /// Whether somebody waits for it to be started again.
    pub(super) fn ask_for_restart(&self) -> bool {
        !self.restarting.is_empty()
    }
}

/// A stop that not every manager has answered.
#[derive(Debug)]
pub(super) struct Stop {
    asker: Asker,
    /// Which one it is, counted from the beginning of the rig.
    number: u64,
    at: Instant,
    waits: Vec<StopWait>,
}

#[derive(Debug)]
struct StopWait {
    index: usize,
    generation: u32,
    until: Instant,
    outcome: Option<StopOutcome>,
}

impl MainLoop {
    /// Does what it is asked for, and ends the call when that has taken effect.
    pub(super) fn obey(
        &mut self,
        asker: Asker,
        order: CommandId,
        payload: &[u8],
        (last_stop, at): (u64, Instant),
    ) {
        if order == StopAll::spec().id {
            self.stop_all(asker, last_stop, at);
        } else if order == Arm::spec().id {
            if let Some(Arm { manager }) = self.read(asker, payload) {
                self.with_manager(asker, &manager, Self::arm);
            }
        } else if order == Restart::spec().id {
            if let Some(Restart { manager }) = self.read(asker, payload) {
                self.with_manager(asker, &manager, Self::restart);
            }
        } else if order == OpenSignals::spec().id {
            if let Some(order) = self.read(asker, payload) {
                self.open_signals(asker, order);
            }
        } else if order == CheckScript::spec().id {
            if let Some(order) = self.read(asker, payload) {
                self.check_script(asker, order);
            }
        } else if order == PlaceTask::spec().id {
            if let Some(order) = self.read(asker, payload) {
                self.place_task(asker, order);
            }
        } else {
            self.fail_order(asker, format!("the order {order} is not known"));
        }
    }

    fn read<T: DeserializeOwned + Schema + 'static>(&self, asker: Asker, payload: &[u8]) -> Option<T> {
        match codec::decode(payload, asker.codec, TypeSchema::known::<T>()) {
            Ok(order) => Some(order),
            Err(error) => {
                self.fail_order(asker, error.to_string());
                None
            }
        }
    }

    fn with_manager(&mut self, asker: Asker, name: &str, act: impl FnOnce(&mut Self, Asker, usize)) {
        let managers = &self.core.blueprint.managers;
        match managers.iter().position(|manager| manager.name.as_str() == name) {
            Some(index) => act(self, asker, index),
            None => {
                let known: Vec<_> = managers.iter().map(|manager| manager.name.to_string()).collect();
                self.fail_order(asker, format!("no manager is called `{name}`; this rig has {known:?}"));
            }
        }
    }

    pub(super) fn answer<T: Serialize>(&self, asker: Asker, reply: &T) {
        answer(&self.core, asker, reply);
    }

    /// The manager that gave an order; none when it was a thread of this process, or a client of the socket.
    pub(super) fn who_ordered(&self, asker: Asker) -> Option<usize> {
        self.core.lock().router.who_ordered(asker.call)
    }

    pub(super) fn fail_order(&self, asker: Asker, why: String) {
        self.fail_order_by(asker, Failure::text(why));
    }

    pub(super) fn fail_order_by(&self, asker: Asker, failure: Failure) {
        let ending = Ending::NotDone(NotDone::Failed(failure));
        self.core.with_router(|router| router.order_ended(asker.call, ending, asker.codec));
    }

    // --- stop ---

    fn stop_all(&mut self, asker: Asker, number: u64, at: Instant) {
        self.log.note(Level::Warn, "a stop is ordered: everything to its safe state");
        let managers = self.processes.iter().enumerate().filter(|(_, process)| process.is_at_work());
        let waits = managers.map(|(index, process)| {
            let until = at + self.plan(index).safe_deadline;
            StopWait { index, generation: process.generation, until, outcome: None }
        });
        let waits = waits.collect();
        self.stops.push(Stop { asker, number, at, waits });
        // What they have said to this stop is known already.
        for index in 0..self.processes.len() {
            if let Some(said_at) = self.processes[index].safe_at {
                self.note_stopped(index, said_at);
            }
        }
        self.answer_stops();
    }

    /// A manager has said that it is in its safe state: that answers the stops that it knew of when it began with it.
    pub(super) fn note_stopped(&mut self, index: usize, said_at: Instant) {
        let (name, process) = (self.name(index), &self.processes[index]);
        let (generation, last) = (process.generation, process.safe_stop);
        for stop in self.stops.iter_mut().filter(|stop| stop.number <= last) {
            let is_it = |wait: &&mut StopWait| {
                wait.index == index && wait.generation == generation && wait.outcome.is_none()
            };
            for wait in stop.waits.iter_mut().filter(is_it) {
                wait.outcome = Some(outcome(&name, true, said_at.saturating_duration_since(stop.at)));
            }
        }
    }

    /// Every stop of which the outcome is known at every manager is answered.
    pub(super) fn answer_stops(&mut self) {
        let is_over = |stop: &mut Stop| stop.waits.iter().all(|wait| wait.outcome.is_some());
        let over: Vec<_> = self.stops.extract_if(.., is_over).collect();
        for Stop { asker, waits, .. } in over {
            let managers = waits.into_iter().filter_map(|wait| wait.outcome).collect();
            self.answer(asker, &StopReport { managers });
        }
    }

    /// When the next manager has had its time to become safe.
    pub(super) fn stop_deadline(&self) -> Option<Instant> {
        let waits = self.stops.iter().flat_map(|stop| &stop.waits);
        waits.filter(|wait| wait.outcome.is_none()).map(|wait| wait.until).min()
    }

    /// Managers that have had their time, or are gone: the first ones hang, and are dealt with as such.
    pub(super) fn press_stops(&mut self, now: Instant) {
        let mut late = Vec::new();
        for stop in &mut self.stops {
            for wait in stop.waits.iter_mut().filter(|wait| wait.outcome.is_none()) {
                let process = &self.processes[wait.index];
                let is_gone = process.generation != wait.generation || !process.is_alive();
                if is_gone || now >= wait.until {
                    let name = self.core.blueprint.managers[wait.index].name.as_str();
                    let is_safe = process.generation == wait.generation && process.has_said_safe();
                    wait.outcome = Some(outcome(name, is_safe, now - stop.at));
                    late.extend((!is_gone && !is_safe).then_some(wait.index));
                }
            }
        }
        late.into_iter().for_each(|index| self.hangs(index, Because::NotSafe, Rung::Terminate));
        self.answer_stops();
    }

    // --- arm ---

    /// A manager may move again, once its start-up commands that were put off are done.
    fn arm(&mut self, asker: Asker, index: usize) {
        let manager = self.name(index);
        if self.processes[index].is_absent {
            return self.fail_order(asker, format!("`{manager}` is absent: a restart looks for it again"));
        }
        let process = &mut self.processes[index];
        if !process.history.is_inactive {
            return self.answer(asker, &Armed { manager, was_inactive: false });
        }
        self.log.line(&manager, Level::Info, "is armed");
        process.history.is_inactive = false;
        process.history.orders.arming.push(asker);
        let put_off = std::mem::take(&mut process.put_off);
        if let Phase::Preparing(left) = &mut process.phase {
            *left += put_off.len();
        }
        self.core.with_router(|router| router.set_inactive(index, false));
        let sent = put_off.into_iter().try_for_each(|at| self.send_startup(index, at));
        match sent {
            Ok(()) => self.armed(index),
            Err(error) => self.arming_failed(index, &error.reason()),
        }
    }

    /// A start-up command that was put off has ended.
    pub(super) fn armed(&mut self, index: usize) {
        if !self.processes[index].in_startup.is_empty() {
            return;
        }
        for asker in std::mem::take(&mut self.processes[index].history.orders.arming) {
            self.answer(asker, &Armed { manager: self.name(index), was_inactive: true });
        }
    }

    /// A start-up command that was put off was not done: the manager stays as it was.
    pub(super) fn arming_failed(&mut self, index: usize, why: &str) {
        let process = &mut self.processes[index];
        process.history.is_inactive = true;
        process.in_startup.clear();
        let startup = 0..self.core.blueprint.managers[index].startup.len();
        let put_off = startup.filter(|at| self.core.is_startup_hazardous(index, *at)).collect();
        process.put_off = put_off;
        let askers = std::mem::take(&mut process.history.orders.arming);
        self.core.with_router(|router| router.set_inactive(index, true));
        askers.into_iter().for_each(|asker| self.fail_order(asker, why.to_owned()));
    }

    // --- restart ---

    fn restart(&mut self, asker: Asker, index: usize) {
        let now = Instant::now();
        let process = &mut self.processes[index];
        if self.quit.is_some() || self.launched.is_some() {
            return self.fail_order(asker, "the rig is starting or quitting".to_owned());
        }
        process.history.orders.restarting.push(asker);
        if process.is_absent {
            return self.try_again(index);
        }
        if process.is_alive() {
            if process.history.supervisor.has_failed() {
                return self.order_failed(index, STILL_THERE);
            }
            if process.is_at_work() {
                self.end_alone(index, now);
            }
            return;
        }
        if !process.history.supervisor.revive(now) {
            process.history.supervisor.start_again(now);
        }
        process.phase = Phase::Down;
    }

    /// Ends one manager in good order. One that must see every frame of somebody who goes on would wait for the
    /// last of them for ever: it is told to end without.
    fn end_alone(&mut self, index: usize, now: Instant) {
        self.processes[index].history.orders.is_to_restart = true;
        self.processes[index].terminate_at = Some(now + self.core.blueprint.quit_deadline);
        let waits_for_frames = self.streams.iter().any(|stream| stream.is_lossless_for(index));
        self.processes[index].phase = Phase::Stopping;
        self.core.with_router(|router| router.stop(index));
        if waits_for_frames {
            return self.signal(index, rustix::process::Signal::TERM);
        }
        self.processes[index].urge(Urgent::QUIT);
        self.core.with_router(|router| router.tell(index, control::seal(&CoordinatorWord::Quit)));
    }

    /// Managers that were told to end alone, and have not in time.
    pub(super) fn press_those_told_to_end(&mut self, now: Instant) {
        for index in 0..self.processes.len() {
            if self.processes[index].terminate_at.is_some_and(|at| at <= now) {
                self.processes[index].terminate_at = None;
                self.hangs(index, Because::NotEnded, Rung::Terminate);
            }
        }
    }

    /// A manager has begun a new life.
    pub(super) fn restarted(&mut self, index: usize) {
        self.follow_witnesses(index);
        let generation = self.processes[index].generation;
        for asker in std::mem::take(&mut self.processes[index].history.orders.restarting) {
            self.answer(asker, &Restarted { manager: self.name(index), generation });
        }
    }

    /// A manager will not come back: whoever waits for that is told.
    pub(super) fn order_failed(&mut self, index: usize, why: &str) {
        let orders = &mut self.processes[index].history.orders;
        let askers: Vec<_> = orders.restarting.drain(..).chain(orders.arming.drain(..)).collect();
        let text = format!("`{}` is not there: {why}", self.name(index));
        askers.into_iter().for_each(|asker| self.fail_order(asker, text.clone()));
    }
}

/// Ends the call of an order that has taken effect, from any thread.
pub(super) fn answer<T: Serialize>(core: &Core, asker: Asker, reply: &T) {
    let ending = match codec::encode(reply, asker.codec) {
        Ok(bytes) => Ending::Done(bytes.into()),
        Err(error) => Ending::NotDone(NotDone::Failed(Failure::text(error.to_string()))),
    };
    core.with_router(|router| router.order_ended(asker.call, ending, asker.codec));
}

#[cfg(not(feature = "procedures"))]
impl MainLoop {
    fn check_script(&self, asker: Asker, _: CheckScript) {
        self.fail_order(asker, "this program was built without procedures, which play scripts".to_owned());
    }
}

impl Asker {
    pub(super) fn new(call: u64, codec: CodecId) -> Self {
        Self { call, codec }
    }
}

fn outcome(manager: &str, is_safe: bool, took: Duration) -> StopOutcome {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    StopOutcome { manager: manager.to_owned(), is_safe, took_us }
}
