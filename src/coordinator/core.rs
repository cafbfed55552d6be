//! What all threads of the coordinator's process share: the router, the pipes, and who waits for what.
//!
//! Everything is under one lock that is never held while waiting. Answers are handed over after the lock
//! is released.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use foldhash::fast::RandomState;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::answers::Answers;
use super::blueprint::Blueprint;
use super::events::{Events, RigEvent};
use super::peers::{Pages, Peer};
use super::router::{Caller, Effect, Moment, Router, Station, TracedEnding};
use super::run_log::Notes;
use super::signals::SignalTable;
use super::status::RigStatus;
use crate::registry::{Desk, RouteTable};
use crate::remote::orders::StopAll;
use crate::remote::scope::Ping;
use crate::remote::{Answer, Estate, OnUndelivered, Slot, StreamError, StreamNews, StreamParts};
use crate::shm::{Doorbell, DoorbellError, ReadMode};
use crate::transport::Poller;
use crate::wire::control::CoordinatorWord;
use crate::wire::{
    CodecId, Command, CommandId, Ending, Header, Hops, ManagerName, NotDone, Refusal, Undelivered,
};

/// How many commands may wait for the scope's thread.
const SCOPE_DEPTH: u32 = 1024;
/// How many traced endings wait until the main loop writes them down in any case.
pub(super) const TRACED_AT_ONCE: usize = 4096;

/// See the module's words.
pub(crate) struct Core {
    pub(crate) blueprint: Blueprint,
    pub(crate) poller: Poller,
    /// Wakes the main loop.
    pub(crate) wake: Doorbell,
    /// What scripts are held against; there before the first of them can come.
    pub(crate) routes: OnceLock<Arc<RouteTable>>,
    /// What those are told who watch the rig.
    pub(crate) events: Events,
    /// What managers publish.
    pub(crate) signals: SignalTable,
    state: Mutex<CoreState>,
    /// Wakes the scope's thread.
    pub(super) scope_queued: Condvar,
    /// What the scope's thread is at.
    pub(crate) scope_desk: Desk,
    /// The values of this process, and those of others that it holds.
    pub(super) values: Arc<Estate>,
    pub(super) scope_thread: OnceLock<ThreadId>,
}

/// What the lock guards.
pub(crate) struct CoreState {
    pub(crate) router: Router,
    pub(crate) peers: Vec<Peer>,
    pub(crate) pages: Pages,
    /// How often each manager was throttled.
    pub(crate) throttles: Vec<u64>,
    /// What other threads ask of the main loop.
    pub(crate) requests: Vec<Request>,
    /// When the main loop will wake by itself.
    pub(crate) armed: Option<Instant>,
    pub(crate) is_closed: bool,
    /// Endings to be written down, when they are traced.
    pub(crate) traced: Vec<(Instant, Box<TracedEnding>)>,
    /// What the main loop is to write into the log.
    pub(super) notes: Notes,
    /// How often everything was stopped.
    stops: u64,
    /// Empty between events; its memory is used again.
    effects: Vec<Effect>,
    pub(super) slots: HashMap<u64, Arc<Slot>, RandomState>,
    pub(super) next_call: u64,
    /// What the scope's thread waits for.
    pub(super) scope_waits: Option<Arc<Slot>>,
    /// Whether the scope's thread is at a command.
    pub(super) is_scope_busy: bool,
    pub(super) is_quitting: bool,
    pub(super) on_undelivered: Vec<OnUndelivered>,
    /// What the scope's thread is to know of its values.
    pub(super) scope_words: Vec<CoordinatorWord>,
}

/// What another thread asks of the main loop.
pub(crate) enum Request {
    /// A manager may have more to say than its pipe tells.
    HearOut(usize),
    /// A manager that was found stuck has said something.
    Lives(usize),
    /// How the rig is doing.
    Status(Box<dyn FnOnce(RigStatus) + Send>),
    /// The rig is to quit.
    Quit(String),
    /// A thread of this process wants to read a stream.
    OpenStream { stream: String, mode: ReadMode, asker: Sender<Result<StreamParts, StreamError>> },
    /// The program itself has lost something.
    Loss { what: String, detail: String },
    /// The coordinator itself is asked for something.
    Order { call: u64, order: CommandId, payload: Vec<u8>, codec: CodecId, at: Instant, stop: u64 },
    /// What the program wanted to do before the quit is done.
    ReadyToQuit,
    /// A start-up command has ended.
    Startup { manager: usize, answer: Answer },
    /// A runner has said something to the offer of a task, or never will.
    OfferAnswered { number: u64, answer: Answer },
}

impl Core {
    pub(crate) fn new(blueprint: Blueprint) -> Result<Self, DoorbellError> {
        let station = |manager: &super::blueprint::ManagerBlueprint| {
            let station = Station::new(manager.name.clone(), manager.depth)
                .hearing(manager.hears.clone())
                .retrying(manager.supervision.max_retries)
                .harmless(!manager.is_hazardous);
            match &manager.pool {
                Some(pool) => station.pooled(pool.clone()),
                None => station,
            }
        };
        let managers: Vec<_> = blueprint.managers.iter().map(station).collect();
        let count = managers.len();
        let scope = Station::new(scope_name(), SCOPE_DEPTH);
        let mut router = Router::new(managers, scope, blueprint.routes.clone(), Ping::spec());
        if blueprint.traces {
            router.trace_endings();
        }
        let scope_desk = Desk::default();
        if !blueprint.sends_traces {
            scope_desk.withhold_traces();
        }
        let state = CoreState {
            router,
            peers: std::iter::repeat_with(Peer::default).take(count).collect(),
            pages: Pages(vec![None; count]),
            throttles: vec![0; count],
            requests: Vec::new(),
            armed: None,
            is_closed: false,
            traced: Vec::new(),
            notes: Notes::default(),
            stops: 0,
            effects: Vec::new(),
            slots: HashMap::default(),
            next_call: 1,
            scope_waits: None,
            is_scope_busy: false,
            is_quitting: false,
            on_undelivered: Vec::new(),
            scope_words: Vec::new(),
        };
        let poller = Poller::new().map_err(|errno| DoorbellError::NoDescriptor { errno })?;
        Ok(Self {
            signals: SignalTable::of(&blueprint),
            blueprint,
            poller,
            wake: Doorbell::create()?,
            routes: OnceLock::new(),
            events: Events::default(),
            state: Mutex::new(state),
            scope_queued: Condvar::new(),
            scope_desk,
            values: Arc::default(),
            scope_thread: OnceLock::new(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, CoreState> {
        self.state.lock()
    }

    /// Does what the router wants done. Call it after every event, under the same lock.
    pub(crate) fn perform(&self, state: &mut CoreState) -> Answers {
        self.perform_at(state, &Moment::now())
    }

    /// The same, for an event of that moment.
    pub(super) fn perform_at(&self, state: &mut CoreState, now: &Moment) -> Answers {
        let mut answers = Answers::default();
        self.perform_for(state, &mut answers, now);
        self.arm(state);
        answers
    }

    /// As [`perform`](Self::perform), for who does several things under one lock and arms the time after the last.
    pub(super) fn perform_for(&self, state: &mut CoreState, answers: &mut Answers, now: &Moment) {
        let mut effects = std::mem::take(&mut state.effects);
        loop {
            state.router.swap_effects(&mut effects);
            if effects.is_empty() {
                break;
            }
            for effect in effects.drain(..) {
                self.perform_one(state, effect, answers, now);
            }
        }
        state.effects = effects;
    }

    fn perform_one(&self, state: &mut CoreState, effect: Effect, answers: &mut Answers, now: &Moment) {
        match effect {
            Effect::Flush(index) if index == state.router.scope_index() => {
                self.scope_queued.notify_all();
            }
            Effect::Flush(index) => self.flush(state, index, now),
            Effect::Answer { caller: Caller::Local(call), mut answer } => {
                self.receive_answer(&state.router, &mut answer);
                answers.answers.extend(state.slots.remove(&call).map(|slot| (slot, answer)));
            }
            Effect::Opened { caller: Caller::Local(call), mut answer } => {
                self.receive_answer(&state.router, &mut answer);
                answers.answers.extend(state.slots.get(&call).map(|slot| (Arc::clone(slot), answer)));
            }
            Effect::Stream { caller: Caller::Local(call), mut news } => {
                if let StreamNews::Chunk(chunk) = &mut news {
                    self.receive_values(&state.router, chunk.attached.as_deref_mut());
                }
                state.stream(call, news);
            }
            Effect::Holders(news) => self.tell_owners(state, news),
            Effect::Progress { caller: Caller::Local(call), progress } => {
                if let Some(slot) = state.slots.get(&call) {
                    slot.report(progress);
                }
            }
            Effect::Answer { caller: Caller::Startup(manager), mut answer } => {
                self.receive_answer(&state.router, &mut answer);
                state.requests.push(Request::Startup { manager, answer });
                self.wake.ring();
            }
            Effect::Answer { caller: Caller::Offer(number), answer } => {
                state.requests.push(Request::OfferAnswered { number, answer });
                self.wake.ring();
            }
            Effect::Cancel { station, call } => self.tell_to_cancel(state, station, call),
            Effect::Grant { call, chunks } => self.scope_desk.streams().grant(call, chunks),
            Effect::Undelivered { sender, news } => {
                let Undelivered { command, to, reason, .. } = &news;
                let CoreState { router, notes, .. } = state;
                let sender = match sender {
                    Caller::Manager { index, .. } => &router.station(index).name,
                    _ => &router.station(router.scope_index()).name,
                };
                let line = || format!("`{command}` from `{sender}` to `{to}` was not delivered: {reason}");
                self.note(notes, line);
                self.tell_event(|| RigEvent::Undelivered { sender: sender.to_string(), news: news.clone() });
                if !state.on_undelivered.is_empty() {
                    answers.on_undelivered.clone_from(&state.on_undelivered);
                    answers.undelivered.push(news);
                }
            }
            Effect::Order { call, order, payload, codec } => {
                let at = Instant::now();
                if order == StopAll::spec().id {
                    state.stop_all();
                }
                let stop = state.stops;
                state.requests.push(Request::Order { call, order, payload, codec, at, stop });
                self.wake.ring();
            }
            Effect::LeavesSafeState(index) => {
                let lease = self.blueprint.managers[index].supervision.lease;
                state.peers[index].lease(lease, Instant::now());
                let renew_at = state.peers[index].renew_at;
                self.arm_for(state, renew_at);
            }
            Effect::TaskFailed { station, command, failure } => {
                let CoreState { router, notes, .. } = state;
                let name = &router.station(station).name;
                let route = self.blueprint.routes.get(&command);
                let command = route.map_or_else(|| command.to_string(), |route| route.name.clone());
                self.note(notes, || format!("the one-way command `{command}` failed at `{name}`: {failure}"));
            }
            Effect::Traced(ending) => self.note_traced(state, ending),
            Effect::Answer { caller, .. }
            | Effect::Opened { caller, .. }
            | Effect::Stream { caller, .. }
            | Effect::Progress { caller, .. } => log::error!("news for {caller:?} have nowhere to go"),
        }
    }

    /// Moves what is queued for a manager into its line.
    pub(super) fn flush(&self, state: &mut CoreState, index: usize, now: &Moment) {
        let CoreState { router, peers, pages, .. } = state;
        if peers[index].flush(index, router, pages, &self.poller, now) {
            let look_at = state.peers[index].look_at;
            self.arm_for(state, look_at);
        }
    }

    /// Leaves a line of the log for the main loop.
    fn note(&self, notes: &mut Notes, line: impl FnOnce() -> String) {
        if notes.add(line) {
            self.wake.ring();
        }
    }

    fn tell_to_cancel(&self, state: &mut CoreState, station: usize, call: u64) {
        if station != state.router.scope_index() {
            return state.peers[station].cancel(call);
        }
        self.scope_desk.cancel(call);
        if let Some(slot) = &state.scope_waits {
            slot.disturb();
        }
    }

    fn note_traced(&self, state: &mut CoreState, ending: Box<TracedEnding>) {
        if self.events.are_endings_watched() {
            self.tell_event(|| RigEvent::Ending(ending.clone()));
        }
        if !self.blueprint.traces {
            return;
        }
        state.traced.push((Instant::now(), ending));
        if state.traced.len() == TRACED_AT_ONCE {
            self.wake.ring();
        }
    }

    /// Wakes the main loop when a call expires before it would wake by itself.
    pub(super) fn arm(&self, state: &mut CoreState) {
        let next = state.router.next_deadline();
        self.arm_for(state, next);
    }

    /// Wakes the main loop at that time.
    pub(super) fn arm_for(&self, state: &mut CoreState, at: Option<Instant>) {
        if let Some(at) = at
            && state.armed.is_none_or(|armed| at < armed)
        {
            state.armed = Some(at);
            self.wake.ring();
        }
    }

    /// A manager's command, from its pipe.
    pub(crate) fn submit_from(&self, state: &mut CoreState, index: usize, header: &Header, payload: &[u8]) {
        let generation = state.router.station(index).generation;
        let caller = Caller::Manager { index, generation, correlation: header.correlation };
        if self.pass(state, caller, header, payload) {
            return;
        }
        let CoreState { router, pages, .. } = state;
        if let Err(refusal) = router.submit(caller, header, payload, &Moment::now(), pages) {
            router.refuse(index, header, refusal);
        }
    }

    /// A command of the coordinator itself: of a manager's start-up, or the offer of a task.
    pub(crate) fn submit_own(&self, caller: Caller, header: &Header, payload: &[u8]) -> Result<(), Refusal> {
        let mut state = self.lock();
        let CoreState { router, pages, .. } = &mut *state;
        let offered = router.submit(caller, header, payload, &Moment::now(), pages);
        let answers = self.perform(&mut state);
        drop(state);
        answers.hand_over();
        offered
    }

    /// Whether that start-up command of a manager moves or emits something.
    pub(super) fn is_startup_hazardous(&self, manager: usize, at: usize) -> bool {
        let command = self.blueprint.managers[manager].startup[at].command;
        self.blueprint.routes.get(&command).is_some_and(|route| route.hazardous)
    }

    /// Whether this is the thread that runs the scope's handlers.
    pub(super) fn is_scope_thread(&self) -> bool {
        self.scope_thread.get() == Some(&thread::current().id())
    }

    /// Does something with the router, and what follows from it.
    pub(crate) fn with_router<X>(&self, act: impl FnOnce(&mut Router) -> X) -> X {
        let mut state = self.lock();
        let outcome = act(&mut state.router);
        let answers = self.perform(&mut state);
        drop(state);
        answers.hand_over();
        outcome
    }

    /// The scope's thread has something to know of its values. Its lock is held.
    pub(super) fn wake_scope(&self) {
        self.scope_queued.notify_all();
    }

    /// The same, for who does not hold the lock.
    pub(super) fn wake_scope_for_values(&self) {
        let _state = self.lock();
        self.wake_scope();
    }

    /// From now on nothing new is accepted, and what the scope has not begun is refused.
    pub(super) fn begin_quit(&self) {
        let mut state = self.lock();
        state.is_quitting = true;
        state.router.begin_quit();
        let scope = state.router.scope_index();
        state.router.stop(scope);
        let answers = self.perform(&mut state);
        drop(state);
        answers.hand_over();
    }

    /// Whether a handler of the scope runs.
    pub(super) fn is_scope_busy(&self) -> bool {
        self.lock().is_scope_busy
    }

    /// The handler of the scope that runs is to give up.
    pub(super) fn cancel_scope(&self) {
        self.scope_desk.cancel_all();
        if let Some(slot) = &self.lock().scope_waits {
            slot.disturb();
        }
    }

    /// Asks the main loop how the rig is doing.
    pub(crate) fn ask_status(&self) -> Receiver<RigStatus> {
        let (sender, receiver) = bounded(1);
        // Whoever asked may have gone on meanwhile.
        self.ask(Request::Status(Box::new(move |status| drop(sender.send(status)))));
        receiver
    }

    /// Asks the main loop for something; a rig that has closed answers nothing.
    pub(super) fn ask(&self, request: Request) {
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
        self.scope_desk.cancel_all();
        for slot in left {
            if slot.fill(closed()).is_err() {
                slot.push(StreamNews::End(Err(NotDone::Refused(Refusal::Closed))));
            }
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
        by: Arc::default(),
        generation: crate::wire::Generation(0),
        chain: Hops::new(),
    }
}

impl CoreState {
    /// Everything to its safe state, in whichever thread somebody says so: what is queued does not run.
    fn stop_all(&mut self) {
        let Self { router, peers, pages, stops, .. } = self;
        let barriers = router.stop_everything(pages);
        *stops += 1;
        for (peer, barrier) in peers.iter_mut().zip(barriers) {
            peer.stop(barrier, *stops);
        }
    }

    /// Something came out of a stream that answers a call of this process.
    fn stream(&mut self, call: u64, news: StreamNews) {
        let slot = match news {
            StreamNews::Chunk(_) => self.slots.get(&call).cloned(),
            StreamNews::End(_) => self.slots.remove(&call),
        };
        if let Some(slot) = slot {
            slot.push(news);
        }
    }
}
