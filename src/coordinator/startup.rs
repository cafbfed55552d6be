//! Starting the managers: spawn, configure, hello, set up, start-up commands, and one barrier for all.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use log::Level;

use super::launch_error::LaunchError;
use super::main_loop::{MainLoop, Source};
use super::outputs::Output;
use super::peers::{Peer, UrgentLane};
use super::process::Phase;
use super::router::{Caller, Life};
use crate::config::OnPanic;
use crate::remote::{Answer, CallError, CallFacts, StreamError, StreamParts};
use crate::shm::{Doorbell, LanePair, ReadMode, StatusPage};
use crate::transport::{Interest, Line, PipeError, Spawned};
use crate::wire::control::{self, Configure, CoordinatorWord};
use crate::wire::envelope::PROTOCOL_VERSION;
use crate::wire::{CodecId, CommandId, Ending, Generation, Header, Kind, NotDone, Refusal, Target};

impl MainLoop {
    /// Starts every manager whose predecessors are ready, or will not be there.
    pub(super) fn start_those_that_may(&mut self) {
        for index in 0..self.processes.len() {
            let may = self.processes[index].phase == Phase::Waiting
                && self.plan(index).after.iter().all(|before| self.is_prepared(*before));
            if may {
                let step = self.start(index);
                self.check(step);
            }
        }
    }

    fn is_prepared(&self, index: usize) -> bool {
        let process = &self.processes[index];
        process.is_absent || matches!(process.phase, Phase::Prepared | Phase::Running)
    }

    pub(super) fn start(&mut self, index: usize) -> Result<(), LaunchError> {
        let (manager, generation) = (self.name(index), self.processes[index].generation);
        let page_error = |source| LaunchError::Page { manager: manager.clone(), source };
        let page = Arc::new(StatusPage::create(u64::from(generation)).map_err(page_error)?);
        let urgent = Arc::new(Doorbell::create()?);
        self.begin_signals(index)?;
        let spawned = self
            .plan(index)
            .child
            .spawn()
            .map_err(|source| LaunchError::Spawn { manager: manager.clone(), source })?;
        self.log.begin_life(&manager, self.processes[index].generation);
        self.log.line(&manager, Level::Debug, &format!("started as process {}", spawned.process.pid));
        self.adopt(index, spawned, &page, &urgent).map_err(|errno| LaunchError::System(errno.into()))?;
        let process = &mut self.processes[index];
        process.page = Some(page);
        process.urgent = Some(urgent);
        process.started_at = Some(Instant::now());
        process.phase = Phase::Starting;
        self.guard(index)?;
        match self.configure(index) {
            // It has ended already, which its pidfd tells, and how.
            Ok(()) | Err(PipeError::Closed) => Ok(()),
            Err(error) => Err(self.pipe_failed(index, &error)),
        }
    }

    /// Puts a new process under watch.
    fn adopt(
        &mut self,
        index: usize,
        spawned: Spawned,
        page: &Arc<StatusPage>,
        urgent: &Arc<Doorbell>,
    ) -> Result<(), rustix::io::Errno> {
        let Spawned { pipe, stdout, stderr, process: child } = spawned;
        let poller = &self.core.poller;
        poller.add(&pipe, Source::Pipe(index).token(), Interest::Read)?;
        poller.add(&child.pidfd, Source::Exit(index).token(), Interest::Read)?;
        poller.add(&stdout, Source::Stdout(index).token(), Interest::Read)?;
        poller.add(&stderr, Source::Stderr(index).token(), Interest::Read)?;
        let lane = UrgentLane::new(page, urgent);
        let plan = &self.core.blueprint.managers[index];
        let mut state = self.core.lock();
        state.peers[index] = Peer::new(Line::new(pipe), Source::Pipe(index).token(), lane, plan);
        state.pages.0[index] = Some(Arc::clone(page));
        if self.processes[index].generation > 1 {
            // The page of the new life first: the router counts by it from now on.
            state.router.begin_life(index, Generation(self.processes[index].generation));
            state.router.set_inactive(index, self.processes[index].history.is_inactive);
        }
        state.peers[index].begin_watch(Instant::now());
        drop(state);
        let process = &mut self.processes[index];
        process.stdout = Some(Output::new(stdout));
        process.stderr = Some(Output::new(stderr));
        process.child = Some(child);
        Ok(())
    }

    /// A manager's first word: versions are compared. Who it is has been in its pipe before it began.
    pub(super) fn hello(&mut self, index: usize, version: &str) -> Result<(), LaunchError> {
        if self.processes[index].phase != Phase::Starting {
            return Ok(());
        }
        if version != env!("CARGO_PKG_VERSION") {
            let ours = format!("labrig {}", env!("CARGO_PKG_VERSION"));
            return Err(self.version_differs(index, format!("labrig {version}"), ours));
        }
        self.processes[index].phase = Phase::SettingUp;
        Ok(())
    }

    /// A manager's program is another one than that with which the rig was proved.
    pub(super) fn differs(
        &mut self,
        index: usize,
        command: String,
        theirs: CommandId,
    ) -> Result<(), LaunchError> {
        let ours = self.plan(index).commands.get(&command).filter(|_| self.processes[index].is_starting());
        let Some(ours) = ours.map(CommandId::to_string) else { return Ok(()) };
        Err(LaunchError::CommandDiffers {
            manager: self.name(index),
            command,
            theirs: theirs.to_string(),
            ours,
        })
    }

    fn version_differs(&self, index: usize, theirs: String, ours: String) -> LaunchError {
        LaunchError::VersionDiffers { manager: self.name(index), theirs, ours }
    }

    /// A manager whose hello cannot be read, because it is one of another protocol: that is what is wrong with it.
    pub(super) fn refuse_protocol(&mut self, index: usize, found: u8) {
        if self.processes[index].phase == Phase::Starting {
            let ours = format!("protocol {PROTOCOL_VERSION} (labrig {})", env!("CARGO_PKG_VERSION"));
            self.fail(self.version_differs(index, format!("protocol {found}"), ours));
        }
    }

    fn pipe_failed(&self, index: usize, error: &PipeError) -> LaunchError {
        let (manager, last_lines) = (self.name(index), self.processes[index].last_lines());
        LaunchError::Died { manager, how: error.to_string(), last_lines }
    }

    /// Tells a manager who it is, and gives it its memory.
    fn configure(&mut self, index: usize) -> Result<(), PipeError> {
        let word = control::seal(&CoordinatorWord::Configure(self.configuration(index)));
        let core = Arc::clone(&self.core);
        let state = core.lock();
        let line = state.peers[index].line.as_ref().ok_or(PipeError::Closed)?;
        let name_of = |index: usize| core.blueprint.managers[index].name.to_string();
        for stream in self.streams.iter_mut().filter(|stream| stream.producer == index) {
            stream.give_to_producer(line, &name_of)?;
        }
        self.signal_lives[index].give(&core.blueprint.managers[index], line)?;
        let process = &self.processes[index];
        let (page, urgent) = process.page.as_ref().zip(process.urgent.as_ref()).ok_or(PipeError::Closed)?;
        let lanes = core.blueprint.has_fast_lanes.then(LanePair::create).transpose();
        let lanes = lanes.unwrap_or_else(|error| {
            log::warn!("a manager goes without its fast lane: {error}");
            None
        });
        let mut descriptors = vec![page.fd(), urgent.as_fd()];
        descriptors.extend(lanes.as_ref().map(LanePair::fd));
        line.send_with(&word, &descriptors)?;
        if let Some(lanes) = &lanes {
            line.widen(lanes.of_coordinator());
            line.keep_back();
        }
        Ok(())
    }

    fn configuration(&self, index: usize) -> Configure {
        let blueprint = &self.core.blueprint;
        let plan = &blueprint.managers[index];
        let agreed = plan.commands.iter().map(|(path, id)| (path.clone(), *id));
        Configure {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            agreed: agreed.collect(),
            rig: blueprint.rig.clone(),
            manager: plan.name.to_string(),
            kind: plan.kind.clone(),
            generation: self.processes[index].generation,
            index: u16::try_from(index).unwrap_or(u16::MAX),
            roster: blueprint.managers.iter().map(|manager| manager.name.to_string()).collect(),
            commands: blueprint.routes.iter().map(|(id, route)| (*id, route.name.clone())).collect(),
            config_json: plan.config_json.clone(),
            run_dir: blueprint.run_dir.to_string_lossy().into_owned(),
            state_dir: blueprint.state_dir.to_string_lossy().into_owned(),
            default_deadline_ms: blueprint.default_deadline.as_millis() as u64,
            safe_deadline_ms: plan.safe_deadline.as_millis() as u64,
            log_level: self.log_level,
            sends_traces: blueprint.sends_traces,
            watchdog_ms: plan.supervision.watchdog.map_or(0, |limit| limit.as_millis() as u64),
            lease_ms: plan.supervision.lease.as_millis() as u64,
            restarts_on_panic: plan.supervision.on_panic == OnPanic::Restart,
            max_remote_values: plan.max_remote_values,
        }
    }

    /// A producer has mapped its ring.
    pub(super) fn mapped(&mut self, index: usize, stream: &str) -> Result<(), LaunchError> {
        let is_absent = self.processes[index].is_absent;
        for known in self.streams.iter_mut().filter(|known| known.producer == index && !is_absent) {
            known.seal(stream)?;
        }
        self.connect_streams();
        Ok(())
    }

    /// Tells producers of new readers, and hands every sealed stream to the readers that are there. Who is not
    /// told because its pipe is full is told once it has room.
    pub(super) fn connect_streams(&mut self) {
        self.owes_streams = false;
        for index in 0..self.processes.len() {
            if !self.processes[index].is_at_work() {
                continue;
            }
            let core = Arc::clone(&self.core);
            let name_of = |index: usize| core.blueprint.managers[index].name.to_string();
            let mut state = core.lock();
            let Some(line) = state.peers[index].line.as_ref() else { continue };
            let told = self.streams.iter_mut().try_for_each(|stream| {
                if stream.producer == index {
                    stream.introduce_readers(line, &name_of)?;
                }
                stream.give_to_reader(index, line)
            });
            if told == Err(PipeError::NotReady) {
                state.peers[index].await_room(&core.poller);
                self.owes_streams = true;
                continue;
            }
            drop(state);
            if let Err(error) = told {
                self.fail(self.pipe_failed(index, &error));
            }
        }
    }

    /// A manager's devices are open: it gets its start-up commands.
    pub(super) fn ready(&mut self, index: usize) -> Result<(), LaunchError> {
        if self.processes[index].phase != Phase::SettingUp {
            return Ok(());
        }
        let all = 0..self.plan(index).startup.len();
        let is_put_off = |at: &usize| {
            self.processes[index].history.is_inactive && self.core.is_startup_hazardous(index, *at)
        };
        let (put_off, now): (Vec<_>, Vec<_>) = all.partition(is_put_off);
        let count = now.len();
        self.processes[index].phase = Phase::Preparing(count);
        self.processes[index].put_off = put_off;
        self.connect_streams();
        if self.processes[index].phase == Phase::Preparing(count) {
            now.into_iter().try_for_each(|at| self.send_startup(index, at))?;
            self.prepared(index);
        }
        Ok(())
    }

    pub(super) fn send_startup(&mut self, index: usize, at: usize) -> Result<(), LaunchError> {
        let core = Arc::clone(&self.core);
        let startup = &core.blueprint.managers[index].startup[at];
        let header = Header {
            command: startup.command,
            codec: CodecId::Json,
            time_left_us: core.blueprint.start_deadline.as_micros() as u64,
            target: Target::Named(self.name(index)),
            ..Header::new(Kind::Request)
        };
        let offered = core.submit_own(Caller::Startup(index), &header, &startup.json);
        if offered.is_ok() {
            self.processes[index].in_startup.push_back(at);
        }
        offered.map_err(|refusal| self.startup_failed(index, &startup.name, CallError::Refused(refusal)))
    }

    fn startup_failed(&self, index: usize, command: &str, source: CallError) -> LaunchError {
        LaunchError::StartupCommand {
            manager: self.name(index),
            command: command.to_owned(),
            source: Box::new(source),
        }
    }

    /// A start-up command has ended.
    pub(super) fn startup_ended(&mut self, index: usize, answer: Answer) -> Result<(), LaunchError> {
        let Some(at) = self.processes[index].in_startup.pop_front() else { return Ok(()) };
        let command = self.plan(index).startup[at].name.clone();
        let why = match answer {
            Answer::One { ending: Ending::Done(_), .. } => None,
            Answer::One { ending: Ending::NotDone(why), .. } => Some(why),
            Answer::Many(_) => Some(NotDone::Refused(Refusal::UnknownCommand { command: command.clone() })),
        };
        if matches!(why, Some(NotDone::Lost | NotDone::Indeterminate)) {
            // Its manager is dead. How it died says more, and is about to be seen.
            return Ok(());
        }
        if let Some(why) = why {
            let facts =
                CallFacts { command: command.clone(), manager: self.name(index), ..CallFacts::default() };
            let failed = self.startup_failed(index, &command, CallError::from_ending(why, facts));
            if self.processes[index].phase == Phase::Running {
                self.arming_failed(index, &failed.reason());
                return Ok(());
            }
            return Err(failed);
        }
        if let Phase::Preparing(left) = self.processes[index].phase {
            self.processes[index].phase = Phase::Preparing(left.saturating_sub(1));
            self.prepared(index);
        }
        self.armed(index);
        Ok(())
    }

    fn prepared(&mut self, index: usize) {
        if self.processes[index].phase == Phase::Preparing(0) {
            self.processes[index].phase = Phase::Prepared;
            self.start_those_that_may();
        }
        self.pass_barrier();
    }

    /// When all that are there are ready and every stream is connected, everyone begins.
    pub(super) fn pass_barrier(&mut self) {
        if self.launched.is_none() && self.quit.is_none() {
            return self.begin_those_back();
        }
        let is_decided = self.launched.is_none() || self.quit.is_some();
        let mut processes = self.processes.iter();
        let all_ready = processes.all(|process| process.is_absent || process.phase == Phase::Prepared);
        if is_decided || !all_ready || !self.streams.iter().all(super::streams::Stream::is_connected) {
            return;
        }
        let word = control::seal(&CoordinatorWord::Start);
        let mut state = self.core.lock();
        let present = self.processes.iter_mut().enumerate().filter(|(_, process)| !process.is_absent);
        for (index, process) in present {
            process.phase = Phase::Running;
            state.router.set_life(index, Life::Ready);
            state.router.tell(index, word.clone());
        }
        let scope = state.router.scope_index();
        state.router.set_life(scope, Life::Ready);
        let answers = self.core.perform(&mut state);
        drop(state);
        answers.hand_over();
        let absent = self.processes.iter().filter(|process| process.is_absent).count();
        let ready = self.processes.len() - absent;
        let but = if absent > 0 { format!(", {absent} absent") } else { String::new() };
        self.log.note(Level::Info, &format!("{ready} managers are ready{but}"));
        self.launched(Ok(()));
    }

    /// A thread of this process wants to read a stream.
    pub(super) fn open_stream(&mut self, name: &str, mode: ReadMode) -> Result<StreamParts, StreamError> {
        let state = self.core.lock();
        let stream =
            self.streams.iter_mut().find(|stream| stream.name() == name).ok_or(StreamError::Closed)?;
        match &state.peers[stream.producer].line {
            Some(line) if !self.processes[stream.producer].is_absent => stream.open(mode, line),
            _ => Err(StreamError::ProducerUnreachable { stream: name.to_owned() }),
        }
    }

    /// What a manager that is not ready in time has left to do.
    pub(super) fn late_starter(&self, now: Instant) -> Option<LaunchError> {
        let after = self.core.blueprint.start_deadline;
        let late = self
            .processes
            .iter()
            .enumerate()
            .find(|(_, process)| process.start_deadline(after).is_some_and(|at| now >= at));
        let (index, process) = late?;
        let missing = match process.phase {
            Phase::Starting => "its program has not said hello (does its `main` call labrig?)",
            Phase::SettingUp => "its set-up has not returned",
            _ => "its start-up commands are not done",
        };
        Some(LaunchError::TimedOut { manager: self.name(index), after, missing })
    }
}
