//! What all threads of the coordinator's process share: the router, the pipes, and who waits for what.
//!
//! Everything is under one lock that is never held while waiting. Answers are handed over after the lock
//! is released.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::blueprint::Blueprint;
use super::peers::{Pages, Peer};
use super::router::{Caller, Effect, Router, Station};
use super::status::RigStatus;
use crate::remote::scope::Ping;
use crate::remote::{Answer, Outgoing, Port, Slot, StreamError, StreamParts};
use crate::shm::{Doorbell, DoorbellError, ReadMode};
use crate::transport::Poller;
use crate::wire::{Command, CommandSpec, Ending, Header, Hop, ManagerName, NotDone, Refusal};

/// How many commands may wait for the scope's thread.
const SCOPE_DEPTH: u32 = 1024;

/// See the module's words.
pub(crate) struct Core {
    pub(crate) blueprint: Blueprint,
    pub(crate) poller: Poller,
    /// Wakes the main loop.
    pub(crate) wake: Doorbell,
    state: Mutex<CoreState>,
    /// Wakes the scope's thread.
    scope_queued: Condvar,
}

/// What the lock guards.
pub(crate) struct CoreState {
    pub(crate) router: Router,
    pub(crate) peers: Vec<Peer>,
    pub(crate) pages: Pages,
    /// What other threads ask of the main loop.
    pub(crate) requests: Vec<Request>,
    /// When the main loop will wake by itself.
    pub(crate) armed: Option<Instant>,
    pub(crate) is_closed: bool,
    slots: HashMap<u64, Arc<Slot>>,
    next_call: u64,
}

/// What another thread asks of the main loop.
pub(crate) enum Request {
    /// How the rig is doing.
    Status(Sender<RigStatus>),
    /// The rig is to quit.
    Quit(String),
    /// A thread of this process wants to read a stream.
    OpenStream { stream: String, mode: ReadMode, asker: Sender<Result<StreamParts, StreamError>> },
    /// The program itself has lost something.
    Loss { what: String, detail: String },
    /// A start-up command has ended.
    Startup { manager: usize, answer: Answer },
}

/// Answers to hand over once the lock is released.
#[derive(Default)]
#[must_use = "answers that are not handed over leave their callers waiting"]
pub(crate) struct Answers(Vec<(Arc<Slot>, Answer)>);

impl Answers {
    pub(crate) fn hand_over(self) {
        for (slot, answer) in self.0 {
            // A second answer is impossible here: the slot left the table with the first.
            let _ = slot.fill(answer);
        }
    }
}

impl Core {
    pub(crate) fn new(blueprint: Blueprint) -> Result<Self, DoorbellError> {
        let station = |manager: &super::blueprint::ManagerBlueprint| {
            Station::new(manager.name.clone(), manager.depth).hearing(manager.hears.clone())
        };
        let managers: Vec<_> = blueprint.managers.iter().map(station).collect();
        let count = managers.len();
        let scope = Station::new(scope_name(), SCOPE_DEPTH);
        let router = Router::new(managers, scope, blueprint.routes.clone(), Ping::spec());
        let state = CoreState {
            router,
            peers: std::iter::repeat_with(Peer::default).take(count).collect(),
            pages: Pages(vec![None; count]),
            requests: Vec::new(),
            armed: None,
            is_closed: false,
            slots: HashMap::new(),
            next_call: 1,
        };
        let poller = Poller::new().map_err(|errno| DoorbellError::NoDescriptor { errno })?;
        Ok(Self {
            blueprint,
            poller,
            wake: Doorbell::create()?,
            state: Mutex::new(state),
            scope_queued: Condvar::new(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, CoreState> {
        self.state.lock()
    }

    /// Does what the router wants done. Call it after every event, under the same lock.
    pub(crate) fn perform(&self, state: &mut CoreState) -> Answers {
        let mut answers = Answers::default();
        loop {
            let effects = state.router.take_effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.perform_one(state, effect, &mut answers);
            }
        }
        self.arm(state);
        answers
    }

    fn perform_one(&self, state: &mut CoreState, effect: Effect, answers: &mut Answers) {
        match effect {
            Effect::Flush(index) if index == state.router.scope_index() => {
                self.scope_queued.notify_all();
            }
            Effect::Flush(index) => {
                let CoreState { router, peers, pages, .. } = state;
                peers[index].flush(index, router, pages, &self.poller);
            }
            Effect::Answer { caller: Caller::Local(call), answer } => {
                answers.0.extend(state.slots.remove(&call).map(|slot| (slot, answer)));
            }
            Effect::Answer { caller: Caller::Startup(manager), answer } => {
                state.requests.push(Request::Startup { manager, answer });
                self.wake.ring();
            }
            Effect::Answer { caller, .. } => log::error!("an answer for {caller:?} has nowhere to go"),
            Effect::Undelivered { command, to, reason } => {
                log::warn!(target: "labrig", "`{command}` to `{to}` was not delivered: {reason}");
            }
        }
    }

    /// Wakes the main loop when a call expires before it would wake by itself.
    fn arm(&self, state: &mut CoreState) {
        let Some(next) = state.router.next_deadline() else { return };
        if state.armed.is_none_or(|armed| next < armed) {
            state.armed = Some(next);
            self.wake.ring();
        }
    }

    /// A manager's command, from its pipe.
    pub(crate) fn submit_from(&self, state: &mut CoreState, index: usize, header: &Header, payload: &[u8]) {
        let generation = state.router.station(index).generation;
        let caller = Caller::Manager { index, generation, correlation: header.correlation };
        let CoreState { router, pages, .. } = state;
        if let Err(refusal) = router.submit(caller, header, payload, Instant::now(), pages) {
            router.refuse(index, header, refusal);
        }
    }

    /// A start-up command of a manager.
    pub(crate) fn submit_startup(
        &self,
        state: &mut CoreState,
        manager: usize,
        header: &Header,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        let CoreState { router, pages, .. } = state;
        router.submit(Caller::Startup(manager), header, payload, Instant::now(), pages)
    }

    /// Waits, as the scope's thread, for the next command; none once the rig has closed.
    pub(crate) fn next_for_scope(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            let scope = state.router.scope_index();
            if let Some(bytes) = state.router.next_for(scope, Instant::now()).map(<[u8]>::to_vec) {
                let CoreState { router, pages, .. } = &mut *state;
                router.sent(scope, pages);
                return Some(bytes);
            }
            if state.is_closed {
                return None;
            }
            self.scope_queued.wait(&mut state);
        }
    }

    /// A command that no program of the rig handles is absent, under its name; unless one handles another shape
    /// of it.
    fn named(&self, refusal: Refusal, spec: &CommandSpec) -> Refusal {
        let command = spec.name.clone();
        match refusal {
            Refusal::UnknownCommand { .. }
                if self.blueprint.routes.values().any(|it| it.name == spec.name) =>
            {
                Refusal::UnknownCommand { command }
            }
            Refusal::UnknownCommand { .. } => Refusal::Absent { manager: None, command },
            other => other,
        }
    }

    /// Asks the main loop how the rig is doing.
    pub(crate) fn ask_status(&self) -> Receiver<RigStatus> {
        let (sender, receiver) = bounded(1);
        self.ask(Request::Status(sender));
        receiver
    }

    /// Asks the main loop for something; a rig that has closed answers nothing.
    fn ask(&self, request: Request) {
        let mut state = self.lock();
        if !state.is_closed {
            state.requests.push(request);
            self.wake.ring();
        }
    }

    /// Ends whatever is left; from now on every call answers `Closed`.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.router.close();
        // Who asked the main loop for something is told by the end of its channel.
        state.requests.clear();
        let answers = self.perform(&mut state);
        let left: Vec<_> = state.slots.drain().map(|(_, slot)| slot).collect();
        drop(state);
        answers.hand_over();
        for slot in left {
            let _ = slot.fill(closed());
        }
        self.scope_queued.notify_all();
    }
}

fn scope_name() -> ManagerName {
    ManagerName::new("scope").expect("`scope` follows the rules for names")
}

fn closed() -> Answer {
    Answer::One {
        ending: Ending::NotDone(NotDone::Refused(Refusal::Closed)),
        by: String::new(),
        generation: crate::wire::Generation(0),
        chain: Vec::new(),
    }
}

impl Port for Core {
    fn submit(&self, outgoing: Outgoing) -> Result<u64, Refusal> {
        let Outgoing { header, spec, payload, slot } = outgoing;
        let mut state = self.lock();
        if state.is_closed {
            return Err(Refusal::Closed);
        }
        let call = state.next_call;
        state.next_call += 1;
        let wants_answer = slot.is_some();
        if let Some(slot) = slot {
            state.slots.insert(call, slot);
        }
        let CoreState { router, pages, .. } = &mut *state;
        let offered = router.submit(Caller::Local(call), &header, &payload, Instant::now(), pages);
        if offered.is_err() && wants_answer {
            state.slots.remove(&call);
        }
        let answers = self.perform(&mut state);
        drop(state);
        answers.hand_over();
        offered.map(|()| call).map_err(|refusal| self.named(refusal, spec))
    }

    fn wait(&self, slot: &Slot, until: Instant) {
        slot.wait_until(until);
    }

    fn abandon(&self, correlation: u64) {
        let mut state = self.lock();
        if state.slots.remove(&correlation).is_some() {
            state.router.abandon(Caller::Local(correlation));
        }
    }

    fn quit(&self, reason: &str) {
        let reason = if reason.is_empty() { "asked by the program" } else { reason };
        self.ask(Request::Quit(reason.to_owned()));
    }

    fn report_loss(&self, what: &str, detail: &str) {
        self.ask(Request::Loss { what: what.to_owned(), detail: detail.to_owned() });
    }

    fn find_stream(&self, stream: &str) -> Result<(), StreamError> {
        let known: Vec<_> = self.blueprint.streams.iter().map(|known| known.name.clone()).collect();
        if known.iter().any(|name| name == stream) {
            return Ok(());
        }
        Err(StreamError::Unknown { stream: stream.to_owned(), known })
    }

    fn open_stream(&self, stream: &str, mode: ReadMode) -> Result<StreamParts, StreamError> {
        let (sender, receiver) = bounded(1);
        let request = Request::OpenStream { stream: stream.to_owned(), mode, asker: sender };
        self.ask(request);
        receiver.recv().unwrap_or(Err(StreamError::Closed))
    }

    fn default_deadline(&self) -> Duration {
        self.blueprint.default_deadline
    }

    fn name_of(&self, who: u16) -> String {
        match self.blueprint.managers.get(usize::from(who)) {
            Some(manager) => manager.name.to_string(),
            None if who == Hop::SCOPE => "scope".to_owned(),
            None => format!("#{who}"),
        }
    }
}
