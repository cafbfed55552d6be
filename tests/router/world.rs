//! A made-up world around a router: managers that take, answer, lie, lag and die, and callers of all kinds.

use std::collections::VecDeque;
use std::time::Duration;

use labrig::coordinator::router::{Caller, Effect, Life};
use labrig::remote::Answer;
use labrig::wire::{
    BroadcastOutcome, CommandId, Ending, Failure, Generation, Header, Kind, NotDone, TypeSchema, codec,
};

use super::bench::*;
use super::history::{History, Seen, Token, reply_of};

/// How many envelopes a made-up pipe holds.
const PIPE: usize = 2;
/// How long a made-up call may take at most.
const PATIENCE_US: usize = 1_000;

/// Numbers that look like chance and are the same everywhere.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// One process, or the scope's thread.
#[derive(Default)]
struct Player {
    life: u32,
    is_dead: bool,
    pipe: VecDeque<Sent>,
    /// Requests that it has taken and not answered.
    working_at: Vec<Sent>,
}

pub(crate) struct World {
    bench: Bench,
    chance: Chance,
    players: Vec<Player>,
    next: Token,
    /// Calls that a caller of this process or a manager may abandon.
    open: Vec<(Token, Caller)>,
    pub(crate) history: History,
}

fn token_of(payload: &[u8]) -> Token {
    Token::from_le_bytes(payload[..8].try_into().expect("a command carries its token"))
}

/// The token under which a caller made its call: its own number for it.
fn token_of_caller(caller: Caller) -> Token {
    match caller {
        Caller::Local(token) | Caller::Manager { correlation: token, .. } => token,
        Caller::Startup(_) | Caller::Gathering(_) => panic!("{caller:?} has no token"),
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut bench = Bench::ready();
        drop(bench.router.take_effects());
        let player = || Player { life: 1, ..Player::default() };
        Self {
            bench,
            chance: Chance::new(seed),
            players: std::iter::repeat_with(player).take(SCOPE + 1).collect(),
            next: 1,
            open: Vec::new(),
            history: History::default(),
        }
    }

    /// Lives through so many events and ends the rig.
    pub(crate) fn live(mut self, events: usize) -> History {
        let quits_at = if self.chance.below(3) == 0 { self.chance.below(events) } else { events };
        for event in 0..events {
            if event == quits_at {
                self.bench.router.begin_quit();
            }
            self.event();
            self.observe();
        }
        self.end()
    }

    fn event(&mut self) {
        let station = self.chance.below(SCOPE + 1);
        match self.chance.below(40) {
            0..14 => self.offer(),
            14..22 => self.flush(station),
            22..28 => self.take(station),
            28..34 => self.answer(station),
            34 => self.lie(station),
            35 | 36 => {
                let by = Duration::from_micros(self.chance.below(PATIENCE_US) as u64);
                self.bench.later(by);
            }
            37 => self.abandon(),
            38 => self.die_or_be_born(station),
            _ => self.change_life(station),
        }
    }

    // --- callers ---

    fn offer(&mut self) {
        let token = self.next;
        self.next += 1;
        let caller = match self.chance.below(SCOPE + 2) {
            index if index < SCOPE && !self.players[index].is_dead => {
                let generation = Generation(self.players[index].life);
                Caller::Manager { index, generation, correlation: token }
            }
            _ => Caller::Local(token),
        };
        let sending = self.some_command().by(caller).carrying(token.to_le_bytes());
        let (kind, goals) = (sending.header.kind, goals_of(&sending.header));
        let offered = self.bench.offer(sending.clone());
        let is_accepted = offered.is_ok();
        self.history.seen.push(Seen::Offered { token, caller, kind, goals, is_accepted });
        match (offered, caller) {
            (Ok(()), _) if kind != Kind::Send => self.open.push((token, caller)),
            (Err(refusal), Caller::Manager { index, .. }) => {
                self.bench.router.refuse(index, &sending.header, refusal);
            }
            _ => {}
        }
    }

    fn some_command(&mut self) -> Sending {
        let command =
            self.chance.one_of(&[EXPOSE, EXPOSE, MOVE, MOVE, SHOW, FOLLOW, SAVE, SET_LIGHT, GHOST, UNKNOWN]);
        let kind = match command {
            SET_LIGHT => Kind::Broadcast,
            _ => self.chance.one_of(&[Kind::Request, Kind::Request, Kind::Send]),
        };
        let sending = sending(kind, command);
        let sending = match (command, self.chance.below(6)) {
            (MOVE, 0) => sending,
            (MOVE, 1) => sending.to("camera"),
            (MOVE, 2 | 3) => sending.to("stage_x"),
            (MOVE, _) => sending.to("stage_y"),
            _ => sending,
        };
        match self.chance.below(3) {
            0 if kind != Kind::Send => {
                sending.within(Duration::from_micros(1 + self.chance.below(PATIENCE_US) as u64))
            }
            _ => sending,
        }
    }

    fn abandon(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let (token, caller) = self.open.swap_remove(self.chance.below(self.open.len()));
        self.bench.router.abandon(caller);
        self.history.seen.push(Seen::Abandoned { token });
    }

    // --- managers ---

    /// Moves what fits into the pipe of a manager; the scope takes one command at a time.
    fn flush(&mut self, station: usize) {
        while !self.players[station].is_dead && self.players[station].pipe.len() < PIPE {
            let Some(sent) = self.bench.pass(station) else { return };
            if matches!(sent.header.kind, Kind::Request | Kind::Send) {
                let (token, marked) = (token_of(&sent.payload), sent.header.generation.0);
                let life = self.players[station].life;
                self.history.seen.push(Seen::Delivered { token, station, life, marked });
            }
            self.players[station].pipe.push_back(sent);
            if station == SCOPE {
                return self.take(SCOPE);
            }
        }
    }

    fn take(&mut self, station: usize) {
        let Some(sent) = self.players[station].pipe.pop_front() else { return };
        match sent.header.kind {
            Kind::Request | Kind::Send => {
                self.history.seen.push(Seen::Taken { token: token_of(&sent.payload), station });
                if station != SCOPE {
                    self.bench.take(station);
                }
                if sent.header.kind == Kind::Request {
                    self.players[station].working_at.push(sent);
                }
            }
            Kind::Control => {}
            _ => self.hear_answer(station, &sent),
        }
    }

    /// A manager that called is told how its call ended.
    fn hear_answer(&mut self, station: usize, sent: &Sent) {
        let (token, life) = (sent.header.correlation, self.players[station].life);
        self.history.seen.push(Seen::Heard { token, life });
        let by = match &sent.header.target {
            labrig::wire::Target::Named(name) => name.clone(),
            labrig::wire::Target::Route => String::new(),
        };
        let ending = match sent.header.kind {
            Kind::Report => {
                let schema = TypeSchema::known::<Vec<BroadcastOutcome>>();
                let outcomes = codec::from_postcard(&sent.payload, schema).expect("a report can be read");
                return self.reported(token, outcomes);
            }
            Kind::Done => Ending::Done(sent.payload.clone()),
            _ => {
                let why = codec::from_postcard(&sent.payload, TypeSchema::known::<NotDone>());
                Ending::NotDone(why.expect("an ending can be read"))
            }
        };
        self.ended(token, ending, by);
    }

    fn answer(&mut self, station: usize) {
        let count = self.players[station].working_at.len();
        if count == 0 {
            return;
        }
        let asked = self.players[station].working_at.remove(self.chance.below(count));
        let token = token_of(&asked.payload);
        self.history.seen.push(Seen::Answered { token, station });
        match self.chance.below(4) {
            0 => self.bench.answer(station, &asked, Err(NotDone::Failed(Failure::text("no")))),
            _ => self.bench.answer(station, &asked, Ok(&reply_of(token, station))),
        }
    }

    /// Answers what it was not asked, or not in this life.
    fn lie(&mut self, station: usize) {
        let asked = self.players.iter().flat_map(|player| player.pipe.iter().chain(&player.working_at));
        let asked: Vec<u64> = asked.map(|sent| sent.header.correlation).collect();
        let correlation = match asked.is_empty() {
            true => self.chance.below(50) as u64,
            false => asked[self.chance.below(asked.len())],
        };
        let generation = Generation(self.players[station].life + 1 + self.chance.below(2) as u32);
        let header = Header { generation, correlation, ..Header::new(Kind::Done) };
        self.bench.router.answered(station, &header, b"a lie").expect("a reply needs no reading");
    }

    fn die_or_be_born(&mut self, station: usize) {
        if station == SCOPE {
            return;
        }
        if self.players[station].is_dead {
            self.bench.progress.0[station] = 0;
            let life = self.players[station].life + 1;
            self.players[station] = Player { life, ..Player::default() };
            self.bench.router.begin_life(station, Generation(life));
            self.bench.router.set_life(station, Life::Ready);
        } else {
            self.die(station);
        }
    }

    fn die(&mut self, station: usize) {
        self.bench.die(station);
        let player = &mut self.players[station];
        player.is_dead = true;
        player.pipe.clear();
        player.working_at.clear();
        self.history.seen.push(Seen::Died { station });
    }

    fn change_life(&mut self, station: usize) {
        match self.chance.below(4) {
            _ if station == SCOPE => {}
            0 => self.bench.router.stop(station),
            1 => self.bench.router.set_life(station, Life::Starting),
            _ => self.bench.router.set_life(station, Life::Ready),
        }
    }

    // --- what is seen ---

    fn observe(&mut self) {
        for effect in self.bench.router.take_effects() {
            match effect {
                Effect::Flush(_) => {}
                Effect::Undelivered { .. } => self.history.seen.push(Seen::Undelivered),
                Effect::Answer { caller, answer } => self.answered(token_of_caller(caller), answer),
                Effect::Cancel { .. } => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
        for station in 0..SCOPE {
            let waiting = self.bench.router.station(station).waiting(self.bench.progress.0[station]);
            self.history.seen.push(Seen::Waiting { station, waiting });
        }
    }

    fn answered(&mut self, token: Token, answer: Answer) {
        match answer {
            Answer::One { ending, by, .. } => self.ended(token, ending, by),
            Answer::Many(outcomes) => self.reported(token, outcomes),
        }
    }

    fn ended(&mut self, token: Token, ending: Ending, by: String) {
        self.open.retain(|(open, _)| *open != token);
        self.history.seen.push(Seen::Ended { token, ending, by });
    }

    fn reported(&mut self, token: Token, outcomes: Vec<BroadcastOutcome>) {
        self.open.retain(|(open, _)| *open != token);
        let ending = |outcome: Result<_, _>| outcome.map_or_else(Ending::NotDone, Ending::Done);
        let outcomes = outcomes.into_iter().map(|one| (one.manager, ending(one.outcome))).collect();
        self.history.seen.push(Seen::Reported { token, outcomes });
    }

    /// Everyone hears what is on the way, dies, and the rig closes.
    fn end(mut self) -> History {
        self.bench.router.begin_quit();
        for station in (0..SCOPE).cycle().take(3 * SCOPE) {
            self.flush(station);
            while !self.players[station].pipe.is_empty() {
                self.take(station);
            }
            self.observe();
        }
        for station in 0..SCOPE {
            if !self.players[station].is_dead {
                self.die(station);
            }
        }
        self.bench.router.close();
        self.observe();
        self.history.totals = self.bench.router.totals();
        self.history.in_flight = self.bench.router.in_flight().0;
        self.history
    }
}

/// The stations that a command may reach.
fn goals_of(header: &Header) -> Vec<usize> {
    let named = |name: &str| NAMES.iter().position(|other| *other == name);
    match (header.command, &header.target) {
        (EXPOSE | SHOW | FOLLOW, _) => vec![CAMERA],
        (MOVE, labrig::wire::Target::Named(name)) => named(name).into_iter().collect(),
        (SET_LIGHT, _) => vec![CAMERA, STAGE_X, STAGE_Y],
        (SAVE, _) => vec![SCOPE],
        (CommandId(_), _) => Vec::new(),
    }
}
