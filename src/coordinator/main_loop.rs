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

use super::blueprint::ManagerBlueprint;
use super::core::{Core, Request, TRACED_AT_ONCE};
use super::events::{RigEvent, Told};
use super::guarding::Guarding;
use super::hooks::{Closing, Hooks};
use super::launch_error::LaunchError;
use super::looking::Lane;
use super::ordering::{Asker, Stop};
use super::peers::Peer;
use super::process::{Phase, Process};
use super::router::{Caller, TracedEnding};
use super::run_log::RunLog;
use super::shutdown::Quit;
use super::signals::SignalLives;
use super::streams::Stream;
use super::summary::{Loss, RunSummary};
use super::tasks::Tasks;
use super::trace::Trace;
use super::waking::wake_up;
use super::watching::ChildSignals;
use crate::supervisor::{Because, Rung};
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
    Children,
    SafeProgram(usize),
    SafeOutput(usize),
    Guardian,
    Witness(usize),
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
            Self::Children => (6, 0),
            Self::SafeProgram(index) => (7, index),
            Self::SafeOutput(index) => (8, index),
            Self::Guardian => (9, 0),
            Self::Witness(index) => (10, index),
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
            5 => Self::Stderr(index),
            6 => Self::Children,
            7 => Self::SafeProgram(index),
            8 => Self::SafeOutput(index),
            9 => Self::Guardian,
            _ => Self::Witness(index),
        }
    }
}

/// See the module's words.
pub(super) struct MainLoop {
    pub(super) core: Arc<Core>,
    pub(super) processes: Vec<Process>,
    pub(super) streams: Vec<Stream>,
    pub(super) signal_lives: Vec<SignalLives>,
    /// Orders for signals whose givers could not be told, because their pipe was full.
    pub(super) owed_signals: Vec<(Asker, String)>,
    pub(super) log: RunLog,
    pub(super) trace: Option<Trace>,
    pub(super) log_level: u8,
    pub(super) quit: Option<Quit>,
    pub(super) signals: Option<UnixStream>,
    pub(super) child_signals: ChildSignals,
    pub(super) stops: Vec<Stop>,
    pub(super) tasks: Tasks,
    pub(super) hooks: Hooks,
    pub(super) closing: Option<Closing>,
    /// Whether somebody could not be told of a stream, because its pipe was full.
    pub(super) owes_streams: bool,
    /// There before the first manager is.
    pub(super) guarding: Option<Guarding>,
    pub(super) losses: Vec<Loss>,
    /// What went wrong with the rig itself.
    pub(super) faults: Vec<String>,
    pub(super) launched: Option<Sender<Result<(), LaunchError>>>,
    pub(super) failure: Option<LaunchError>,
    pub(super) begun_at: Instant,
    /// When it was to wake by itself when it went to sleep; none when never.
    pub(super) sleeps_until: Option<Instant>,
    pub(super) buffer: Vec<u8>,
    pub(super) told: Told,
    /// Those that may have more to say without their pipe telling.
    pub(super) unheard: Vec<usize>,
    /// Those that are looked at for a moment.
    pub(super) lanes: Vec<Lane>,
}

/// What a loop is made with.
pub(super) struct Parts {
    pub(super) core: Arc<Core>,
    pub(super) log: RunLog,
    pub(super) trace: Option<Trace>,
    pub(super) log_level: u8,
    pub(super) signals: Option<UnixStream>,
    pub(super) hooks: Hooks,
    pub(super) launched: Sender<Result<(), LaunchError>>,
}

impl MainLoop {
    pub(super) fn new(parts: Parts) -> Result<Self, LaunchError> {
        let Parts { core, log, trace, log_level, signals, hooks, launched } = parts;
        let poller = &core.poller;
        let system = |errno: rustix::io::Errno| LaunchError::System(errno.into());
        poller.add(core.wake.as_fd(), Source::Wake.token(), Interest::Read).map_err(system)?;
        if let Some(signals) = &signals {
            poller.add(signals, Source::Signal.token(), Interest::Read).map_err(system)?;
        }
        let child_signals = ChildSignals::catch().map_err(LaunchError::System)?;
        poller.add(&child_signals.told, Source::Children.token(), Interest::Read).map_err(system)?;
        let streams = core.blueprint.streams.iter().map(Stream::create).collect::<Result<_, _>>()?;
        let managers = core.blueprint.managers.iter();
        let signal_lives = managers.clone().map(|_| SignalLives::default()).collect();
        let processes = managers.map(|it| Process::new(&it.supervision, it.safe_deadline)).collect();
        Ok(Self {
            core,
            processes,
            streams,
            signal_lives,
            owed_signals: Vec::new(),
            log,
            trace,
            log_level,
            quit: None,
            signals,
            child_signals,
            stops: Vec::new(),
            tasks: Tasks::default(),
            hooks,
            closing: None,
            owes_streams: false,
            launched: Some(launched),
            failure: None,
            guarding: None,
            losses: Vec::new(),
            faults: Vec::new(),
            begun_at: Instant::now(),
            sleeps_until: None,
            buffer: vec![0; MAX_ENVELOPE_BYTES + 1],
            told: Told::default(),
            unheard: Vec::new(),
            lanes: Vec::new(),
        })
    }

    /// Runs the rig to its end.
    pub(super) fn run(mut self) -> (RunSummary, Option<Guarding>) {
        self.start_those_that_may();
        self.pass_barrier();
        while !self.is_over() {
            self.write_notes();
            let patience = if self.look_at_lanes() { Some(Duration::ZERO) } else { self.patience() };
            if patience != Some(Duration::ZERO) {
                self.log.flush();
                self.write_trace(false);
            }
            let asleep_since = Instant::now();
            let ready = self.core.poller.wait(patience);
            self.make_up_for_standstill(asleep_since, patience);
            self.begin_telling();
            match ready {
                Ok(ready) => ready.into_iter().for_each(|ready| self.react(ready)),
                Err(errno) => self.fail(LaunchError::System(errno.into())),
            }
            self.hear_out();
            self.settle_values();
            self.keep_time();
            self.tell_states();
        }
        self.finish()
    }

    /// Writes into the log what other threads have left for it.
    pub(super) fn write_notes(&mut self) {
        let notes = std::mem::take(&mut self.core.lock().notes);
        self.log.warn_of(notes);
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
            Source::Children => self.heed_children(),
            Source::SafeProgram(index) => self.bury_safe_program(index),
            Source::SafeOutput(index) => self.read_safe_program(index),
            Source::Guardian => self.lose_guardian(),
            Source::Witness(index) => self.heed_witness(index),
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
        // What the start was armed for is over, and it may have taken long.
        self.sleeps_until = None;
        let Some(launched) = self.launched.take() else { return };
        let is_running = outcome.is_ok();
        if launched.send(outcome).is_err() {
            return self.begin_quit("nobody waits for the launch any longer");
        }
        if is_running {
            (0..self.processes.len()).for_each(|index| self.follow_witnesses(index));
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
        if let Some(index) = self.revived_culprit(&error) {
            return self.life_failed(index, &error);
        }
        self.log.note(Level::Error, &format!("{error}"));
        self.core.tell_event(|| RigEvent::Fault { manager: None, text: error.to_string() });
        self.failure.get_or_insert(error);
        self.begin_quit("the start-up failed");
    }

    // --- what time does ---

    fn patience(&mut self) -> Option<Duration> {
        if !self.unheard.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let own = self.processes.iter().filter_map(|process| self.due_of(process)).min();
        let closing = self.closing.as_ref().map(|closing| closing.until);
        let own =
            own.into_iter().chain(closing).chain(self.quit_deadline()).chain(self.stop_deadline()).min();
        let mut state = self.core.lock();
        for (peer, process) in state.peers.iter_mut().zip(&self.processes) {
            peer.is_hoped_for = process.history.supervisor.hopes().is_some();
        }
        let times = |peer: &Peer| [peer.look_at, peer.renew_at, peer.throttled_until];
        let pages = state.peers.iter().flat_map(times).flatten().min();
        let due = own.into_iter().chain(pages).chain(state.router.next_deadline()).min();
        let next = wake_up(now, self.sleeps_until, state.armed, due);
        state.armed = next;
        self.sleeps_until = next;
        next.map(|at| at.saturating_duration_since(now))
    }

    /// When time will do something about a manager.
    fn due_of(&self, process: &Process) -> Option<Instant> {
        let start = process.start_deadline(self.core.blueprint.start_deadline);
        let start = start.filter(|_| self.quit.is_none());
        let kill = process.kill_at.filter(|_| process.is_alive());
        let supervised = process.history.supervisor.due();
        [start, kill, supervised, process.terminate_at].into_iter().flatten().min()
    }

    fn keep_time(&mut self) {
        let now = Instant::now();
        if self.quit.is_none()
            && let Some(late) = self.late_starter(now)
        {
            self.fail(late);
        }
        self.press_closing(now);
        self.press_quit(now);
        self.resume_throttled(now);
        self.kill_the_cut_off(now);
        self.press_those_told_to_end(now);
        self.press_stops(now);
        self.look_at_pages(now);
        self.renew_leases(now);
        self.supervise(now);
        let mut state = self.core.lock();
        if state.router.next_deadline().is_some_and(|at| at <= now) {
            state.router.expire(now);
            let answers = self.core.perform(&mut state);
            drop(state);
            answers.hand_over();
        }
    }

    /// Managers whose pipe has ended and that have not: killed, and given up when not even that ends them.
    fn kill_the_cut_off(&mut self, now: Instant) {
        for index in 0..self.processes.len() {
            let process = &mut self.processes[index];
            if process.is_alive() && process.kill_at.is_some_and(|at| at <= now) {
                process.kill_at = None;
                let step = process.history.supervisor.stuck(Because::NotEnded, Rung::Kill, now);
                step.into_iter().for_each(|step| self.take_step(index, step));
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
                Request::Order { call, order, payload, codec, at, stop } => {
                    self.obey(Asker::new(call, codec), order, &payload, (stop, at));
                }
                Request::Startup { manager, answer } => {
                    let step = self.startup_ended(manager, answer);
                    self.check(step);
                }
                Request::OfferAnswered { number, answer } => self.offer_answered(number, answer),
                Request::ReadyToQuit => self.end_waiting_before_quit(),
                Request::HearOut(index) => self.unheard.push(index),
                Request::Lives(index) => self.look_again_soon(index),
                Request::Status(tell) => tell(self.status()),
            }
        }
    }

    /// Something is lost: it is counted, and the summary will say so.
    pub(super) fn note_loss(&mut self, manager: &str, what: &str, detail: &str) {
        self.log.line(manager, Level::Error, &format!("lost: {what}: {detail}"));
        self.core.tell_event(|| RigEvent::Loss {
            manager: manager.to_owned(),
            what: what.to_owned(),
            detail: detail.to_owned(),
        });
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
        match (&self.quit, &self.closing) {
            (Some(_), _) => self.hasten_quit(),
            (None, Some(_)) => self.end_waiting_before_quit(),
            (None, None) => self.begin_quit("told by a signal"),
        }
    }
}
