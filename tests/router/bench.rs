//! A router on a bench: no pipes and no processes, only what goes in and what comes out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use labrig::coordinator::router::{
    Caller, Effect, Gauge, HolderNews, Life, Moment, Remembered, Route, Router, Station, TracedEnding,
};
use labrig::remote::scope::Ping;
use labrig::remote::{Answer, StreamNews};
use labrig::wire::control::{self, CoordinatorWord};
use labrig::wire::{
    BroadcastOutcome, Command, CommandId, DeliveryKind, Ending, Envelope, EnvelopeError, Filter, Generation,
    Header, Kind, ManagerName, NotDone, Overflow, Progress, Refusal, Target, TypeSchema, Undelivered, codec,
};

pub(crate) const CAMERA: usize = 0;
pub(crate) const STAGE_X: usize = 1;
pub(crate) const STAGE_Y: usize = 2;
pub(crate) const SCOPE: usize = 3;
/// The pool of both stages, where they are one: behind the scope.
pub(crate) const POOL: usize = 4;
pub(crate) const POOL_NAME: &str = "stages";
pub(crate) const NAMES: [&str; 4] = ["camera", "stage_x", "stage_y", "scope"];
/// How many commands may wait for a manager.
pub(crate) const DEPTH: u32 = 3;

/// How often a call may be given to a next life.
pub(crate) const RETRIES: u32 = 2;

/// To the camera.
pub(crate) const EXPOSE: CommandId = CommandId(1);
/// To either stage.
pub(crate) const MOVE: CommandId = CommandId(2);
/// To the camera; the oldest gives way.
pub(crate) const SHOW: CommandId = CommandId(3);
/// To the camera; only the newest waits.
pub(crate) const FOLLOW: CommandId = CommandId(4);
/// Broadcast to all managers.
pub(crate) const SET_LIGHT: CommandId = CommandId(5);
/// To the scope.
pub(crate) const SAVE: CommandId = CommandId(6);
/// Known, and served by nobody.
pub(crate) const GHOST: CommandId = CommandId(7);
/// A method of a value, to whoever has that.
pub(crate) const HEIGHT: CommandId = CommandId(9);
/// Known to nobody.
pub(crate) const UNKNOWN: CommandId = CommandId(8);

/// What moves or emits something.
pub(crate) const HAZARDOUS: [CommandId; 2] = [MOVE, SET_LIGHT];
/// What may run again.
pub(crate) const IDEMPOTENT: [CommandId; 2] = [EXPOSE, SET_LIGHT];

/// How far the managers say that they have got: commands that they have taken, and those of them that they are at.
pub(crate) struct Pages(pub(crate) Vec<u64>, pub(crate) Vec<u64>);

impl Gauge for Pages {
    fn taken(&self, index: usize) -> u64 {
        self.0[index]
    }

    fn done(&self, index: usize) -> u64 {
        self.0[index] - self.1[index]
    }
}

/// A command to be offered.
#[derive(Clone)]
pub(crate) struct Sending {
    pub(crate) caller: Caller,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn sending(kind: Kind, command: CommandId) -> Sending {
    Sending { caller: Caller::Local(1), header: Header { command, ..Header::new(kind) }, payload: vec![7] }
}

pub(crate) fn request(command: CommandId) -> Sending {
    sending(Kind::Request, command)
}

/// A command whose caller, a handler, does nothing else until it has ended.
pub(crate) fn call(command: CommandId) -> Sending {
    sending(Kind::Call, command)
}

pub(crate) fn send(command: CommandId) -> Sending {
    sending(Kind::Send, command)
}

pub(crate) fn broadcast(command: CommandId) -> Sending {
    sending(Kind::Broadcast, command)
}

impl Sending {
    pub(crate) fn to(mut self, name: &str) -> Self {
        self.header.target = Target::Named(name.to_owned());
        self
    }

    pub(crate) fn by(mut self, caller: Caller) -> Self {
        self.caller = caller;
        if let Caller::Manager { correlation, .. } = caller {
            self.header.correlation = correlation;
        }
        self
    }

    /// By the first life of a manager.
    pub(crate) fn by_manager(self, index: usize, correlation: u64) -> Self {
        self.by(Caller::Manager { index, generation: Generation(1), correlation })
    }

    pub(crate) fn within(mut self, time: Duration) -> Self {
        self.header.time_left_us = time.as_micros() as u64;
        self
    }

    pub(crate) fn carrying(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }
}

/// An envelope that went into a pipe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) progress: Pages,
    pub(crate) now: Instant,
}

fn routes() -> HashMap<CommandId, Route> {
    use DeliveryKind::{Broadcast, Direct, Scope, Value};
    use Overflow::{DropOldest, KeepLatest, Refuse};
    let route = |id, name: &str, delivery, overflow, stations: &[usize]| {
        let (name, stations) = (name.to_owned(), stations.to_vec());
        let (idempotent, hazardous) = (IDEMPOTENT.contains(&id), HAZARDOUS.contains(&id));
        (id, Route { name, delivery, overflow, idempotent, hazardous, stations })
    };
    HashMap::from([
        route(EXPOSE, "Expose", Direct, Refuse, &[CAMERA]),
        route(MOVE, "Move", Direct, Refuse, &[STAGE_X, STAGE_Y]),
        route(SHOW, "Show", Direct, DropOldest, &[CAMERA]),
        route(FOLLOW, "Follow", Direct, KeepLatest, &[CAMERA]),
        route(SET_LIGHT, "SetLight", Broadcast, Refuse, &[CAMERA, STAGE_X, STAGE_Y]),
        route(SAVE, "Save", Scope, Refuse, &[SCOPE]),
        route(GHOST, "Ghost", Direct, Refuse, &[]),
        route(HEIGHT, "Table::height", Value, Refuse, &[]),
    ])
}

pub(crate) fn name(index: usize) -> ManagerName {
    ManagerName::new(NAMES[index]).expect("a valid name")
}

impl Bench {
    /// A rig that has not started.
    pub(crate) fn starting() -> Self {
        Self::hearing(|_| Vec::new())
    }

    /// A rig that has not started, with filters on what each manager hears.
    pub(crate) fn hearing(filters: impl Fn(usize) -> Vec<Filter>) -> Self {
        let managers = (0..SCOPE)
            .map(|index| Station::new(name(index), DEPTH).hearing(filters(index)).retrying(RETRIES));
        let scope = Station::new(name(SCOPE), DEPTH);
        let router = Router::new(managers.collect(), scope, routes(), Ping::spec());
        Self { router, progress: Pages(vec![0; SCOPE], vec![0; SCOPE]), now: Instant::now() }
    }

    /// Everyone is ready, and the stages are one pool.
    pub(crate) fn pooled() -> Self {
        let pool = || ManagerName::new(POOL_NAME).expect("a valid name");
        let managers = (0..SCOPE).map(|index| {
            let station = Station::new(name(index), DEPTH).retrying(RETRIES);
            if index == CAMERA { station } else { station.pooled(pool()) }
        });
        let scope = Station::new(name(SCOPE), DEPTH);
        let router = Router::new(managers.collect(), scope, routes(), Ping::spec());
        let progress = Pages(vec![0; SCOPE], vec![0; SCOPE]);
        let mut bench = Self { router, progress, now: Instant::now() };
        bench.all_ready();
        bench
    }

    /// So many managers that all serve the same command, and all are ready.
    pub(crate) fn of(managers: usize) -> Self {
        let name = |index| ManagerName::new(&format!("manager_{index}")).expect("a valid name");
        let stations = (0..managers).map(|index| Station::new(name(index), DEPTH)).collect();
        let scope = Station::new(self::name(SCOPE), DEPTH);
        let (overflow, stations_of) = (Overflow::Refuse, (0..managers).collect());
        let route = Route {
            name: "Move".into(),
            delivery: DeliveryKind::Direct,
            overflow,
            idempotent: false,
            hazardous: false,
            stations: stations_of,
        };
        let mut router = Router::new(stations, scope, HashMap::from([(MOVE, route)]), Ping::spec());
        (0..=managers).for_each(|index| router.set_life(index, Life::Ready));
        Self { router, progress: Pages(vec![0; managers], vec![0; managers]), now: Instant::now() }
    }

    /// Everyone is ready.
    pub(crate) fn ready() -> Self {
        let mut bench = Self::starting();
        bench.all_ready();
        bench
    }

    pub(crate) fn all_ready(&mut self) {
        (0..=SCOPE).for_each(|index| self.router.set_life(index, Life::Ready));
    }

    pub(crate) fn offer(&mut self, sending: Sending) -> Result<(), Refusal> {
        let Sending { caller, header, payload } = sending;
        self.router.submit(caller, &header, &payload, &Moment::at(self.now), &self.progress)
    }

    /// Passes a one-way command on by the short way, if it takes that; gives the station, and what has gone into its pipe.
    pub(crate) fn pass_on(
        &mut self,
        sending: &Sending,
        has_room: impl Fn(usize) -> bool,
    ) -> Option<(usize, Sent)> {
        let Sending { caller, header, payload } = sending;
        let mut passed = None;
        let has_passed = self.router.pass(*caller, header, payload, &self.progress, |index, bytes| {
            let envelope = Envelope::open(bytes).expect("the router passes envelopes on");
            let sent = Sent { header: envelope.header, payload: envelope.payload.to_vec() };
            passed = has_room(index).then_some((index, sent));
            passed.is_some()
        });
        assert_eq!(has_passed, passed.is_some());
        passed
    }

    /// Offers what a router on a bench surely accepts.
    pub(crate) fn accept(&mut self, sending: Sending) {
        self.offer(sending).expect("it is accepted");
    }

    /// Moves one envelope into the pipe of a station.
    pub(crate) fn pass(&mut self, index: usize) -> Option<Sent> {
        let parcel = self.router.next_for(index, &Moment::at(self.now))?.clone();
        self.router.sent(index, &self.progress);
        let envelope = Envelope::unpack(&parcel).expect("the router queues envelopes");
        Some(Sent { header: envelope.header, payload: envelope.payload.to_vec() })
    }

    /// Moves everything into the pipe of a station.
    pub(crate) fn pass_all(&mut self, index: usize) -> Vec<Sent> {
        std::iter::from_fn(|| self.pass(index)).collect()
    }

    /// What each command in the pipe carries.
    pub(crate) fn payloads(&mut self, index: usize) -> Vec<Vec<u8>> {
        self.pass_all(index).into_iter().map(|sent| sent.payload).collect()
    }

    /// The manager takes the next command.
    pub(crate) fn take(&mut self, index: usize) {
        self.progress.0[index] += 1;
    }

    /// A station answers what it got.
    pub(crate) fn answer(&mut self, index: usize, asked: &Sent, ending: Result<&[u8], NotDone>) {
        let (kind, payload) = match ending {
            Ok(reply) => (Kind::Done, reply.to_vec()),
            Err(why) => (Kind::Ended, codec::to_postcard(&why).expect("an ending can be written")),
        };
        let header = Header {
            codec: asked.header.codec,
            generation: asked.header.generation,
            correlation: asked.header.correlation,
            ..Header::new(kind)
        };
        self.router.answered(index, &header, &payload).expect("an answer can be read");
    }

    pub(crate) fn die(&mut self, index: usize) {
        self.router.gone(index, &self.progress, false);
    }

    /// The manager dies, and is to return.
    pub(crate) fn fall(&mut self, index: usize) {
        self.router.gone(index, &self.progress, true);
    }

    /// Its next life begins.
    pub(crate) fn begin(&mut self, index: usize, life: u32) {
        (self.progress.0[index], self.progress.1[index]) = (0, 0);
        self.router.begin_life(index, Generation(life));
    }

    /// Its next life begins and is ready.
    pub(crate) fn rise(&mut self, index: usize, life: u32) {
        self.begin(index, life);
        self.router.set_life(index, Life::Ready);
    }

    pub(crate) fn leave_out(&mut self, index: usize, why: &str) {
        self.router.leave_out(index, why.to_owned(), &self.progress);
    }

    pub(crate) fn later(&mut self, by: Duration) {
        self.now += by;
        self.router.expire(self.now);
    }

    /// A station tells something of a command before its end.
    pub(crate) fn tell(
        &mut self,
        index: usize,
        asked: &Sent,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(), EnvelopeError> {
        let Header { codec, generation, correlation, .. } = asked.header;
        let header = Header { codec, generation, correlation, ..Header::new(kind) };
        self.router.told(index, &header, payload)
    }

    /// What has happened since this was last asked.
    pub(crate) fn news(&mut self) -> News {
        let mut news = News::default();
        self.router.take_effects().into_iter().for_each(|effect| news.note(effect));
        news
    }

    /// Which answers have come to callers of this process since this was last asked, without who and where.
    pub(crate) fn endings(&mut self) -> Vec<(Caller, Ending)> {
        let one = |(caller, answer)| match answer {
            Answer::One { ending, .. } => (caller, ending),
            Answer::Many(outcomes) => panic!("a report came instead: {outcomes:?}"),
        };
        self.answers().into_iter().map(one).collect()
    }

    pub(crate) fn answers(&mut self) -> Vec<(Caller, Answer)> {
        self.news().answers
    }

    /// The only report that has come since this was last asked.
    pub(crate) fn report(&mut self) -> Vec<BroadcastOutcome> {
        let mut answers = self.answers();
        match (answers.pop(), answers.is_empty()) {
            (Some((Caller::Local(1), Answer::Many(outcomes))), true) => outcomes,
            other => panic!("not one report: {other:?}"),
        }
    }

    /// What was told to be undelivered since this was last asked: command, goal and reason.
    pub(crate) fn undelivered(&mut self) -> Vec<(String, String, String)> {
        let told = |(_, news): (_, Undelivered)| (news.command, news.to, news.reason.to_string());
        self.news().undelivered.into_iter().map(told).collect()
    }

    /// Everything that was accepted has ended, nothing is remembered of it, and the totals add up.
    pub(crate) fn check_settled(&self) {
        let totals = self.router.totals();
        assert_eq!(self.router.in_flight().0, 0, "calls are in flight");
        assert_eq!(self.router.remembered(), Remembered::default());
        assert_eq!(totals.accepted, totals.ended(), "{totals:?}");
    }
}

/// Effects, each kind by itself.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) answers: Vec<(Caller, Answer)>,
    pub(crate) opened: Vec<(Caller, Answer)>,
    pub(crate) streamed: Vec<(Caller, StreamNews)>,
    pub(crate) progress: Vec<(Caller, Progress)>,
    pub(crate) cancels: Vec<(usize, u64)>,
    pub(crate) grants: Vec<(u64, u32)>,
    pub(crate) undelivered: Vec<(Caller, Undelivered)>,
    pub(crate) traced: Vec<TracedEnding>,
    pub(crate) orders: Vec<(u64, CommandId)>,
    pub(crate) leaving: Vec<usize>,
    pub(crate) failed_tasks: Vec<usize>,
    pub(crate) holders: Vec<HolderNews>,
}

impl News {
    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Flush(_) => {}
            Effect::Answer { caller, answer } => self.answers.push((caller, answer)),
            Effect::Opened { caller, answer } => self.opened.push((caller, answer)),
            Effect::Stream { caller, news } => self.streamed.push((caller, news)),
            Effect::Progress { caller, progress } => self.progress.push((caller, progress)),
            Effect::Cancel { station, call } => self.cancels.push((station, call)),
            Effect::Grant { call, chunks } => self.grants.push((call, chunks)),
            Effect::Undelivered { sender, news } => self.undelivered.push((sender, news)),
            Effect::Traced(traced) => self.traced.push(*traced),
            Effect::Order { call, order, .. } => self.orders.push((call, order)),
            Effect::TaskFailed { station, .. } => self.failed_tasks.push(station),
            Effect::LeavesSafeState(station) => self.leaving.push(station),
            Effect::Holders(news) => self.holders.extend(news),
        }
    }

    /// How calls of this process have ended.
    pub(crate) fn endings(&self) -> Vec<(Caller, Ending)> {
        let ending = |(caller, answer): &(Caller, Answer)| match answer {
            Answer::One { ending, .. } => Some((*caller, ending.clone())),
            Answer::Many(_) => None,
        };
        self.answers.iter().filter_map(ending).collect()
    }
}

impl Sent {
    /// The word of the coordinator that this is.
    pub(crate) fn word(&self) -> CoordinatorWord {
        assert_eq!(self.header.kind, Kind::Control);
        control::open(&self.payload).expect("the router's words can be read")
    }

    /// Why a call was not done, as a manager is told.
    pub(crate) fn not_done(&self) -> NotDone {
        assert_eq!(self.header.kind, Kind::Ended);
        codec::from_postcard(&self.payload, TypeSchema::known::<NotDone>()).expect("an ending can be read")
    }
}

/// How far a handler has come.
pub(crate) fn progress(done: f64, total: f64) -> Vec<u8> {
    let progress = Progress { done, total, note: String::new() };
    codec::to_postcard(&progress).expect("progress can be written")
}
