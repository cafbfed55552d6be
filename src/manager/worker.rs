//! The worker: one loop that takes commands, timers and frames, in this order, and sleeps in one place.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dispatch::{Dispatch, note_tick};
use super::link::{Arrived, Link, Woken};
use super::link_thread::Notice;
use super::setup::Streams;
use crate::registry::{Context, Instance, panics};
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
    notice: Arc<Notice>,
    buffer: Vec<u8>,
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
        notice: Arc<Notice>,
        buffer: Vec<u8>,
    ) -> Self {
        let timers = Vec::new();
        Self {
            link,
            instance,
            context,
            dispatch,
            streams,
            notice,
            buffer,
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
            let worked = self.take_command() | self.run_timers();
            if !worked && !self.look() {
                self.sleep();
            }
        }
    }

    fn reason_to_end(&self) -> Option<SafeReason> {
        let noticed = self.notice.get();
        let lost = self.link.is_closed().then_some(SafeReason::CoordinatorLost);
        noticed.or(lost).or(self.quit.then_some(SafeReason::Quit))
    }

    fn take_command(&mut self) -> bool {
        let Some(arrived) = self.link.take_arrived(&mut self.buffer) else { return false };
        self.handle(arrived);
        true
    }

    fn handle(&mut self, arrived: Arrived) {
        match arrived.header.kind {
            Kind::Control => self.obey(arrived),
            _ => self.dispatch.handle(&mut *self.instance, &mut self.context, &arrived),
        }
    }

    fn obey(&mut self, arrived: Arrived) {
        match control::open::<CoordinatorWord>(&arrived.payload) {
            Ok(CoordinatorWord::Start) => self.start(),
            Ok(CoordinatorWord::Quit) => self.quit = true,
            Ok(word) => {
                if let Err(error) = self.streams.take(word, arrived.descriptors, &self.link) {
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
        let now = Instant::now();
        let mut ran = false;
        for (index, timer) in self.timers.iter_mut().enumerate().filter(|(_, timer)| timer.at <= now) {
            note_tick(timer.method, panics::catch(|| self.instance.tick(index, &mut self.context)));
            timer.at = (timer.at + timer.period).max(now);
            ran = true;
        }
        ran
    }

    fn look(&mut self) -> bool {
        self.has_started && self.streams.inputs.look(&mut *self.instance, &mut self.context)
    }

    fn sleep(&mut self) {
        if self.has_started && !self.streams.inputs.prepare_to_wait() {
            return;
        }
        let until = self.timers.iter().map(|timer| timer.at).min();
        let doorbells = if self.has_started { self.streams.inputs.doorbells() } else { Vec::new() };
        let woken = self.link.wait_as_worker(&mut self.buffer, &doorbells, until);
        drop(doorbells);
        if self.has_started {
            self.streams.inputs.finish_wait();
        }
        if let Woken::Arrived(arrived) = woken {
            self.handle(arrived);
        }
    }

    /// Ends: in good order after a quit, else at once.
    fn end(mut self, reason: SafeReason) -> ExitCode {
        if reason == SafeReason::Quit {
            self.drain();
        }
        self.streams.interrupters.iter().for_each(|producer| producer.interrupt());
        self.streams.producers.open_gate();
        let begin = Instant::now();
        let safe = panics::catch(|| {
            self.instance.enter_safe_state(self.notice.get().unwrap_or(reason));
            Ok(())
        });
        note_tick("enter_safe_state", safe);
        let safe_state_us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        drop(self.instance);
        self.link.desk().cancel_all();
        self.link.desk().streams().settle(STREAMS_PATIENCE);
        log::logger().flush();
        self.link.tell(&ManagerWord::Stopped { safe_state_us });
        if reason == SafeReason::Quit { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Refuses what is still queued and looks at every frame that a lossless stream still holds.
    fn drain(&mut self) {
        while !self.is_interrupted() {
            while let Some(arrived) = self.link.take_arrived(&mut self.buffer) {
                self.put_off(arrived);
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
        self.link.is_closed() || self.notice.get().is_some_and(|reason| reason != SafeReason::Quit)
    }

    fn put_off(&mut self, arrived: Arrived) {
        match arrived.header.kind {
            Kind::Control => self.obey(arrived),
            _ => self.dispatch.refuse(&arrived.header),
        }
    }

    fn sleep_while_draining(&mut self) {
        if !self.streams.inputs.prepare_to_wait() {
            return;
        }
        let doorbells = self.streams.inputs.doorbells();
        let woken = self.link.wait_as_worker(&mut self.buffer, &doorbells, None);
        drop(doorbells);
        self.streams.inputs.finish_wait();
        if let Woken::Arrived(arrived) = woken {
            self.put_off(arrived);
        }
    }
}
