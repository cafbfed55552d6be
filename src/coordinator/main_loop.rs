//! The coordinator's loop: receive, match, delegate.
//!
//! One thread, one wait: pipes, process ends, outputs, signals, the wake bell and the time. It lives as long
//! as the rig, and so it is the one that starts the managers.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use log::Level;
use rustix::process::Signal;

use super::blueprint::ManagerBlueprint;
use super::core::{Core, Request, TRACED_AT_ONCE};
use super::launch_error::LaunchError;
use super::process::{Phase, Process};
use super::router::{Caller, TracedEnding};
use super::run_log::RunLog;
use super::shutdown::Quit;
use super::streams::Stream;
use super::summary::{Loss, RunSummary};
use super::trace::Trace;
use crate::transport::{Interest, Ready, Token};
use crate::wire::MAX_ENVELOPE_BYTES;

/// What can wake the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Wake,
    Signal,
    Pipe(usize),
    Exit(usize),
    Stdout(usize),
    Stderr(usize),
}

impl Source {
    pub(super) fn token(self) -> Token {
        let (kind, index) = match self {
            Self::Wake => (0, 0),
            Self::Signal => (1, 0),
            Self::Pipe(index) => (2, index),
            Self::Exit(index) => (3, index),
            Self::Stdout(index) => (4, index),
            Self::Stderr(index) => (5, index),
        };
        Token(kind << 32 | index as u64)
    }

    fn of(token: Token) -> Self {
        let index = (token.0 & u64::from(u32::MAX)) as usize;
        match token.0 >> 32 {
            0 => Self::Wake,
            1 => Self::Signal,
            2 => Self::Pipe(index),
            3 => Self::Exit(index),
            4 => Self::Stdout(index),
            _ => Self::Stderr(index),
        }
    }
}

/// See the module's words.
pub(super) struct MainLoop {
    pub(super) core: Arc<Core>,
    pub(super) processes: Vec<Process>,
    pub(super) streams: Vec<Stream>,
    pub(super) log: RunLog,
    pub(super) trace: Option<Trace>,
    pub(super) log_level: u8,
    pub(super) quit: Option<Quit>,
    pub(super) signals: Option<UnixStream>,
    pub(super) losses: Vec<Loss>,
    pub(super) launched: Option<Sender<Result<(), LaunchError>>>,
    pub(super) failure: Option<LaunchError>,
    pub(super) begun_at: Instant,
    pub(super) buffer: Vec<u8>,
}

/// What a loop is made with.
pub(super) struct Parts {
    pub(super) core: Arc<Core>,
    pub(super) log: RunLog,
    pub(super) trace: Option<Trace>,
    pub(super) log_level: u8,
    pub(super) signals: Option<UnixStream>,
    pub(super) launched: Sender<Result<(), LaunchError>>,
}

impl MainLoop {
    pub(super) fn new(parts: Parts) -> Result<Self, LaunchError> {
        let Parts { core, log, trace, log_level, signals, launched } = parts;
        let poller = &core.poller;
        let system = |errno: rustix::io::Errno| LaunchError::System(errno.into());
        poller.add(core.wake.as_fd(), Source::Wake.token(), Interest::Read).map_err(system)?;
        if let Some(signals) = &signals {
            poller.add(signals, Source::Signal.token(), Interest::Read).map_err(system)?;
        }
        let streams = core.blueprint.streams.iter().map(Stream::create).collect::<Result<_, _>>()?;
        let processes = core.blueprint.managers.iter().map(|_| Process::new()).collect();
        Ok(Self {
            core,
            processes,
            streams,
            log,
            trace,
            log_level,
            quit: None,
            signals,
            launched: Some(launched),
            failure: None,
            losses: Vec::new(),
            begun_at: Instant::now(),
            buffer: vec![0; MAX_ENVELOPE_BYTES + 1],
        })
    }

    /// Runs the rig to its end.
    pub(super) fn run(mut self) -> RunSummary {
        self.start_those_that_may();
        self.pass_barrier();
        while !self.is_over() {
            let patience = self.patience();
            if patience != Some(Duration::ZERO) {
                self.log.flush();
                self.write_trace(false);
            }
            match self.core.poller.wait(patience) {
                Ok(ready) => ready.into_iter().for_each(|ready| self.react(ready)),
                Err(errno) => self.fail(LaunchError::System(errno.into())),
            }
            self.keep_time();
        }
        self.finish()
    }

    /// Writes down the endings that have been traced, when it is time to, or at the end of the run.
    pub(super) fn write_trace(&mut self, is_end: bool) {
        let Some(mut trace) = self.trace.take() else { return };
        let mut state = self.core.lock();
        let is_due = is_end || trace.is_due() || state.traced.len() >= TRACED_AT_ONCE;
        let traced = if is_due { std::mem::take(&mut state.traced) } else { Vec::new() };
        drop(state);
        for (at, ending) in &traced {
            let (sender, target) = (self.sender(ending), self.station_name(ending.station));
            let route = self.core.blueprint.routes.get(&ending.command);
            let command = route.map_or_else(|| ending.command.to_string(), |route| route.name.clone());
            trace.line(*at, ending, [&sender, &target, &command]);
        }
        if is_due {
            trace.flush();
        }
        self.trace = Some(trace);
    }

    fn sender(&self, ending: &TracedEnding) -> String {
        match ending.caller {
            Caller::Manager { index, .. } => self.station_name(index),
            Caller::Startup(_) => "config".to_owned(),
            _ => "scope".to_owned(),
        }
    }

    fn station_name(&self, index: usize) -> String {
        self.core.lock().router.station(index).name.to_string()
    }

    fn react(&mut self, ready: Ready) {
        match Source::of(ready.token) {
            Source::Wake => self.serve_requests(),
            Source::Signal => self.heed_signal(),
            Source::Pipe(index) => self.serve_pipe(index, ready),
            Source::Exit(index) => self.bury(index),
            Source::Stdout(index) => self.read_stdout(index),
            Source::Stderr(index) => self.read_stderr(index),
        }
    }

    pub(super) fn plan(&self, index: usize) -> &ManagerBlueprint {
        &self.core.blueprint.managers[index]
    }

    pub(super) fn name(&self, index: usize) -> String {
        self.plan(index).name.to_string()
    }

    fn is_over(&self) -> bool {
        let Some(quit) = &self.quit else { return false };
        self.processes.iter().all(|process| process.phase == Phase::Ended)
            && (!self.core.is_scope_busy() || quit.leaves_scope_behind())
    }

    /// The launching thread is told, once.
    pub(super) fn launched(&mut self, outcome: Result<(), LaunchError>) {
        if let Some(launched) = self.launched.take()
            && launched.send(outcome).is_err()
        {
            self.begin_quit("nobody waits for the launch any longer");
        }
    }

    pub(super) fn check(&mut self, step: Result<(), LaunchError>) {
        if let Err(error) = step {
            self.fail(error);
        }
    }

    /// The start-up has failed: everything that was started ends again, unless an optional manager failed.
    pub(super) fn fail(&mut self, error: LaunchError) {
        if let Some(index) = self.optional_culprit(&error) {
            return self.leave_out(index, &error);
        }
        self.log.note(Level::Error, &format!("{error}"));
        self.failure.get_or_insert(error);
        self.begin_quit("the start-up failed");
    }

    // --- what time does ---

    fn patience(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let start = self.core.blueprint.start_deadline;
        let starting = self.processes.iter().filter(|it| self.quit.is_none() && it.is_starting());
        let deadlines = starting.filter_map(|process| Some(process.started_at? + start));
        let throttled = self.processes.iter().filter_map(|process| process.throttled_until);
        let kills =
            self.processes.iter().filter(|process| process.is_alive()).filter_map(|process| process.kill_at);
        let own = deadlines.chain(throttled).chain(kills).chain(self.quit_deadline()).min();
        let mut state = self.core.lock();
        // A wake-up that was armed for a call which has ended meanwhile is kept: the next call expires later,
        // and need not wake this loop only to arm it again. An idle rig wakes once more, then never.
        let armed = state.armed.filter(|at| *at > now);
        let next = own.into_iter().chain(state.router.next_deadline()).chain(armed).min();
        state.armed = next;
        next.map(|at| at.saturating_duration_since(now))
    }

    fn keep_time(&mut self) {
        let now = Instant::now();
        if self.quit.is_none()
            && let Some(late) = self.late_starter(now)
        {
            self.fail(late);
        }
        self.press_quit(now);
        self.resume_throttled(now);
        self.kill_the_cut_off(now);
        let mut state = self.core.lock();
        if state.router.next_deadline().is_some_and(|at| at <= now) {
            state.router.expire(now);
            let answers = self.core.perform(&mut state);
            drop(state);
            answers.hand_over();
        }
    }

    fn kill_the_cut_off(&mut self, now: Instant) {
        for index in 0..self.processes.len() {
            let process = &mut self.processes[index];
            if process.is_alive() && process.kill_at.is_some_and(|at| at <= now) {
                process.kill_at = None;
                self.signal(index, Signal::KILL);
            }
        }
    }

    // --- requests and signals ---

    fn serve_requests(&mut self) {
        self.core.wake.drain();
        let requests = std::mem::take(&mut self.core.lock().requests);
        for request in requests {
            match request {
                Request::Quit(reason) => self.begin_quit(&reason),
                Request::OpenStream { stream, mode, asker } => {
                    drop(asker.send(self.open_stream(&stream, mode)));
                }
                Request::Loss { what, detail } => self.note_loss("scope", &what, &detail),
                Request::Order { call, order, payload, codec } => self.obey(call, order, &payload, codec),
                Request::Startup { manager, answer } => {
                    let step = self.startup_ended(manager, answer);
                    self.check(step);
                }
                // Whoever asked may have gone on meanwhile.
                Request::Status(asker) => drop(asker.send(self.status())),
            }
        }
    }

    /// Something is lost: it is counted, and the summary will say so.
    pub(super) fn note_loss(&mut self, manager: &str, what: &str, detail: &str) {
        self.log.line(manager, Level::Error, &format!("lost: {what}: {detail}"));
        match self.losses.iter_mut().find(|loss| loss.manager == manager && loss.what == what) {
            Some(loss) => loss.count += 1,
            None => self.losses.push(Loss {
                manager: manager.to_owned(),
                what: what.to_owned(),
                count: 1,
                first: detail.to_owned(),
            }),
        }
    }

    fn heed_signal(&mut self) {
        let mut byte = [0; 16];
        let read = self.signals.as_mut().map(|signals| signals.read(&mut byte));
        if !matches!(read, Some(Ok(1..))) {
            return;
        }
        if self.quit.is_some() { self.hasten_quit() } else { self.begin_quit("told by a signal") }
    }
}
