//! The worker: one loop that takes commands, timers and frames, in this order, and sleeps in one place. An order to
//! enter the safe state goes before all of them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dispatch::Dispatch;
use super::inbox::Inbox;
use super::link::Link;
use super::listening::Woken;
use super::safety::Safety;
use super::setup::Streams;
use super::steps::Steps;
use crate::registry::{Context, Instance, Step};
use crate::wire::control::{self, CoordinatorWord, ManagerWord};
use crate::wire::{Kind, SafeReason};

/// How long streams that answer calls have to say that they end with their manager.
const STREAMS_PATIENCE: Duration = Duration::from_millis(100);

/// One timer of the manager.
struct Due {
    method: &'static str,
    period: Duration,
    at: Instant,
}

/// See the module's words.
pub(super) struct Worker {
    link: Arc<Link>,
    instance: Box<dyn Instance>,
    context: Context,
    dispatch: Dispatch,
    streams: Streams,
    safety: Arc<Safety>,
    steps: Steps,
    inbox: Inbox,
    timers: Vec<Due>,
    has_started: bool,
    quit: bool,
}

impl Worker {
    pub(super) fn new(
        link: Arc<Link>,
        instance: Box<dyn Instance>,
        context: Context,
        dispatch: Dispatch,
        streams: Streams,
        safety: Arc<Safety>,
        inbox: Inbox,
    ) -> Self {
        let (steps, timers) = (Steps::new(&link), Vec::new());
        Self {
            link,
            instance,
            context,
            dispatch,
            streams,
            safety,
            steps,
            inbox,
            timers,
            has_started: false,
            quit: false,
        }
    }

    /// Works until told to end; says whether the end was in good order.
    pub(super) fn run(mut self) -> ExitCode {
        loop {
            if let Some(reason) = self.reason_to_end() {
                return self.end(reason);
            }
            self.obey_orders();
            self.link.settle_values();
            let worked = self.take_command() | self.run_timers();
            if !worked && !self.look() {
                self.sleep();
            }
        }
    }

    fn reason_to_end(&self) -> Option<SafeReason> {
        let noticed = self.safety.ending();
        let lost = self.link.is_closed().then_some(SafeReason::CoordinatorLost);
        let panicked = self.steps.panic().map(|_| SafeReason::Panicked);
        noticed.or(lost).or(panicked).or(self.quit.then_some(SafeReason::Quit))
    }

    /// Enters the safe state, if that is ordered, and goes on.
    fn obey_orders(&mut self) {
        let Some(order) = self.safety.begin() else { return };
        let enter = || self.safety.enter(order, &mut *self.instance);
        if let Some(entry) = self.steps.mark(Step::SafeState, enter) {
            self.link.tell(&ManagerWord::Safe(entry));
        }
    }

    fn take_command(&mut self) -> bool {
        let has_arrived = self.link.take_arrived(&mut self.inbox);
        if has_arrived {
            self.handle();
        }
        has_arrived
    }

    /// Does the oldest of what has arrived.
    fn handle(&mut self) {
        if self.inbox.front().is_some_and(|arrived| arrived.header.kind == Kind::Control) {
            return self.obey();
        }
        self.obey_orders();
        if let Some(arrived) = self.inbox.front() {
            self.dispatch.handle(&mut *self.instance, &mut self.context, &mut self.steps, arrived);
        }
        self.inbox.drop_front();
    }

    /// Heeds the oldest of what has arrived, a word.
    fn obey(&mut self) {
        let Some(arrived) = self.inbox.pop() else { return };
        match control::open_coordinators(&arrived.payload) {
            Ok(CoordinatorWord::Start) => self.start(),
            Ok(CoordinatorWord::Quit) => self.quit = true,
            Ok(word) => {
                let Some(word) = self.link.heed_of_values(word) else { return };
                if let Err(error) = self.streams.take(word, arrived.descriptors.into_vec(), &self.link) {
                    log::error!("a stream cannot be used: {error}");
                }
                self.streams.inputs.bind(&*self.instance);
            }
            Err(error) => log::error!("a word of the coordinator cannot be read: {error}"),
        }
    }

    fn start(&mut self) {
        let now = Instant::now();
        let due = |(method, period)| Due { method, period, at: now + period };
        self.timers = self.instance.timers().into_iter().map(due).collect();
        self.has_started = true;
        self.streams.producers.open_gate();
    }

    /// Runs every timer that is due. A timer that was missed several times runs once.
    fn run_timers(&mut self) -> bool {
        if self.timers.is_empty() {
            return false;
        }
        let now = Instant::now();
        let mut ran = false;
        for (index, timer) in self.timers.iter_mut().enumerate().filter(|(_, timer)| timer.at <= now) {
            let run = || self.instance.tick(index, &mut self.context);
            self.steps.run(Step::Timer(index), timer.method, run);
            timer.at = (timer.at + timer.period).max(now);
            ran = true;
            if self.safety.is_ordered() {
                break;
            }
        }
        ran
    }

    fn look(&mut self) -> bool {
        self.has_started && self.streams.inputs.look(&mut *self.instance, &mut self.context, &mut self.steps)
    }

    fn sleep(&mut self) {
        if self.has_started && !self.streams.inputs.prepare_to_wait() {
            return;
        }
        let until = self.timers.iter().map(|timer| timer.at).min();
        let doorbells = if self.has_started { self.streams.inputs.doorbells() } else { Vec::new() };
        let woken = self.link.wait_as_worker(&mut self.inbox, &doorbells, until);
        drop(doorbells);
        if self.has_started {
            self.streams.inputs.finish_wait();
        }
        if matches!(woken, Woken::Arrived) {
            self.handle();
        }
    }

    /// Ends: in good order after a quit, else at once.
    fn end(mut self, reason: SafeReason) -> ExitCode {
        if reason == SafeReason::Quit {
            self.drain();
        }
        self.link.desk().late().end();
        let untold = self.steps.panic().filter(|_| reason == SafeReason::Panicked);
        let untold = untold.map(|why| ManagerWord::GivesUp { why: why.to_owned() });
        // When there is no room for the word, the safe state comes first.
        let untold = untold.filter(|word| self.link.try_tell(word).is_err());
        self.streams.interrupters.iter().for_each(|producer| producer.interrupt());
        self.streams.producers.open_gate();
        let order = self.safety.begin_end(self.safety.ending().unwrap_or(reason));
        let enter = || self.safety.enter(order, &mut *self.instance);
        let entry = self.steps.mark(Step::SafeState, enter);
        untold.iter().for_each(|word| self.link.tell(word));
        self.link.drop_values();
        drop(self.instance);
        self.link.desk().cancel_all();
        self.link.desk().streams().settle(STREAMS_PATIENCE);
        log::logger().flush();
        let Some(entry) = entry else { return ExitCode::FAILURE };
        self.link.tell(&ManagerWord::Stopped { safe_state_us: entry.took_us });
        if reason == SafeReason::Quit { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Refuses what is still queued and looks at every frame that a lossless stream still holds.
    fn drain(&mut self) {
        while !self.is_interrupted() {
            self.obey_orders();
            while self.link.take_arrived(&mut self.inbox) {
                self.put_off();
            }
            if self.look() {
                continue;
            }
            // Whatever was sent before the word to quit is in the pipe before it.
            if self.quit && self.streams.inputs.is_drained() {
                return;
            }
            self.sleep_while_draining();
        }
    }

    /// Something worse than a quit has happened.
    fn is_interrupted(&self) -> bool {
        self.link.is_closed() || self.safety.ending().is_some_and(|reason| reason != SafeReason::Quit)
    }

    fn put_off(&mut self) {
        match self.inbox.front() {
            Some(arrived) if arrived.header.kind != Kind::Control => {
                self.dispatch.refuse(&arrived.header);
                self.inbox.drop_front();
            }
            _ => self.obey(),
        }
    }

    fn sleep_while_draining(&mut self) {
        if !self.streams.inputs.prepare_to_wait() {
            return;
        }
        let doorbells = self.streams.inputs.doorbells();
        let woken = self.link.wait_as_worker(&mut self.inbox, &doorbells, None);
        drop(doorbells);
        self.streams.inputs.finish_wait();
        if matches!(woken, Woken::Arrived) {
            self.put_off();
        }
    }
}
