//! A made-up world around a router: managers that take, answer, wait, stream, lie, lag and die, and callers
//! of all kinds.
//!
//! It is honest where processes are: a station is at one command at a time, and one whose handler waits takes
//! nothing and answers nothing until what it waits for has ended. So a deadlock that the router let through
//! would be one here.

mod callers;
mod hearing;
mod players;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use labrig::coordinator::router::{Caller, Life};
use labrig::remote::WINDOW;
use labrig::wire::Kind;

use super::bench::*;
use super::history::{History, Micros, Seen, Token};

/// How many envelopes a made-up pipe holds.
const PIPE: usize = 2;
/// How long a made-up call may take at most.
const PATIENCE_US: usize = 1_000;
/// After how many rounds nothing more is expected to happen.
const ROUNDS: usize = 1_000;

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

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
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
    /// Whether it is dead and is to return.
    returns: bool,
    pipe: VecDeque<Sent>,
    /// Commands that it has read and not begun.
    inbox: VecDeque<Sent>,
    /// The command that its handler is at.
    at: Option<Sent>,
    /// How far it has said to be with that.
    step: u32,
    /// What its handler does nothing else for.
    waits_for: Option<Caller>,
    /// Calls that it was told to cancel.
    cancelled: BTreeSet<u64>,
    /// One-way commands that it does not begin any more.
    dropped: BTreeSet<Token>,
    streams: Vec<Outflow>,
}

/// A stream that a station sends.
struct Outflow {
    asked: Sent,
    token: Token,
    next: u32,
    credit: u32,
    is_cancelled: bool,
}

impl Outflow {
    fn new(asked: Sent, token: Token) -> Self {
        Self { asked, token, next: 0, credit: WINDOW, is_cancelled: false }
    }
}

/// A call whose caller has not heard of its end.
struct Open {
    caller: Caller,
    /// Whether a stream answers it, and how many chunks of that were read and not asked for again.
    read: Option<u32>,
}

pub(crate) struct World {
    bench: Bench,
    chance: Chance,
    players: Vec<Player>,
    next: Token,
    now: Micros,
    open: Vec<Open>,
    abandoned: BTreeSet<Token>,
    /// Commands that were sent one way.
    one_way: BTreeSet<Token>,
    /// How many envelopes have gone into pipes, and come out of them.
    moved: u64,
    pub(crate) history: History,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let is_pooled = chance.one_in(2);
        let mut bench = if is_pooled { Bench::pooled() } else { Bench::ready() };
        let is_tracing = chance.one_in(2);
        if is_tracing {
            bench.router.trace_endings();
        }
        let player = || Player { life: 1, ..Player::default() };
        Self {
            bench,
            chance,
            players: std::iter::repeat_with(player).take(SCOPE + 1).collect(),
            next: 1,
            now: 0,
            open: Vec::new(),
            abandoned: BTreeSet::new(),
            one_way: BTreeSet::new(),
            moved: 0,
            history: History { is_tracing, is_pooled, ..History::default() },
        }
    }

    /// Lives through so many events and ends the rig.
    pub(crate) fn live(mut self, events: usize) -> History {
        let quits_at = if self.chance.one_in(3) { self.chance.below(events) } else { events };
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
        match self.chance.below(89) {
            0..17 => self.offer(),
            17..29 => self.flush(station),
            29..38 => self.at_some(|player| !player.pipe.is_empty(), Self::read),
            38..46 => self.at_some(|player| !player.inbox.is_empty(), Self::begin),
            46..54 => self.at_some(|player| player.at.is_some(), Self::finish),
            54..57 => self.at_some(|player| player.at.is_some(), Self::step),
            57..62 => self.at_some(|player| !player.streams.is_empty(), Self::stream),
            62 => self.grant(),
            63 => self.overflow(),
            64 | 65 => self.begin_wait(),
            66 | 67 => self.end_wait(),
            68 | 69 => self.cancel(),
            70 => self.abandon(),
            71 => self.set_expiry(),
            72 | 73 => self.pass_time(),
            74 => self.lie(station),
            75..77 => self.die_or_be_born(station),
            80 | 81 => self.set_inactive(station),
            82..85 => self.say_safe(station),
            86..89 => self.at_some(|player| player.is_dead, Self::die_or_be_born),
            85 if self.chance.one_in(6) => self.stop_everything(),
            _ => self.change_life(station),
        }
    }

    /// Something happens at one of the stations where it can.
    fn at_some(&mut self, can: impl Fn(&Player) -> bool, happens: impl Fn(&mut Self, usize)) {
        let stations: Vec<_> = (0..=SCOPE).filter(|station| can(&self.players[*station])).collect();
        if !stations.is_empty() {
            let station = self.chance.one_of(&stations);
            happens(self, station);
        }
    }

    fn see(&mut self, seen: Seen) {
        self.history.seen.push(seen);
    }

    fn pass_time(&mut self) {
        let by = self.chance.below(PATIENCE_US) as Micros;
        self.now += by;
        self.see(Seen::Time { now: self.now });
        self.bench.later(Duration::from_micros(by));
    }

    // --- lives ---

    fn die_or_be_born(&mut self, station: usize) {
        if station == SCOPE {
            return;
        }
        if self.players[station].returns && self.chance.one_in(6) {
            self.give_up(station);
        } else if self.players[station].is_dead {
            self.bench.progress.0[station] = 0;
            let life = self.players[station].life + 1;
            self.players[station] = Player { life, ..Player::default() };
            self.bench.router.begin_life(station, labrig::wire::Generation(life));
            self.see(Seen::LifeSet { station, is_ready: false });
            if self.chance.one_in(3) {
                return;
            }
            self.set_life(station, true);
        } else {
            self.die(station);
        }
    }

    fn die(&mut self, station: usize) {
        let returns = self.chance.one_in(2);
        self.see(Seen::Died { station, returns });
        self.bench.router.gone(station, &self.bench.progress, returns);
        let life = self.players[station].life;
        self.players[station] = Player { life, is_dead: true, returns, ..Player::default() };
        self.bench.progress.1[station] = 0;
        let is_its = |caller: Caller| matches!(caller, Caller::Manager { index, .. } if index == station);
        self.open.retain(|open| !is_its(open.caller));
    }

    fn change_life(&mut self, station: usize) {
        match self.chance.below(8) {
            _ if station == SCOPE => {}
            0 => {
                self.see(Seen::Stopped { station });
                self.bench.router.stop(station);
            }
            1 => self.set_life(station, false),
            _ => self.set_life(station, true),
        }
    }

    fn set_life(&mut self, station: usize, is_ready: bool) {
        if !self.players[station].is_dead {
            self.see(Seen::LifeSet { station, is_ready });
        }
        self.bench.router.set_life(station, if is_ready { Life::Ready } else { Life::Starting });
    }

    /// No next life of the manager comes, or none that gets ready.
    fn give_up(&mut self, station: usize) {
        self.players[station].returns = false;
        self.see(Seen::GivenUp { station });
        self.bench.router.give_up(station);
    }

    fn set_inactive(&mut self, station: usize) {
        let is_inactive = self.chance.one_in(4);
        if station != SCOPE {
            self.see(Seen::Inactive { station, is_inactive });
            self.bench.router.set_inactive(station, is_inactive);
        }
    }

    fn say_safe(&mut self, station: usize) {
        if station != SCOPE && !self.players[station].is_dead {
            let is_safe = self.bench.router.now_safe(station, self.bench.progress.0[station]);
            self.see(Seen::SaidSafe { station, is_safe });
        }
    }

    /// Every manager heeds at once that all is stopped.
    fn stop_everything(&mut self) {
        self.see(Seen::StopOrdered);
        drop(self.bench.router.stop_everything(&self.bench.progress));
        for player in &mut self.players[..SCOPE] {
            let commands = player.pipe.iter().chain(&player.inbox).chain(&player.at);
            let asked = commands.filter(|sent| sent.header.kind == Kind::Request);
            player.cancelled.extend(asked.map(|sent| sent.header.correlation));
            let sent = player.pipe.iter().chain(&player.inbox).filter(|sent| sent.header.kind == Kind::Send);
            player.dropped.extend(sent.map(players::token_in));
        }
    }

    // --- the end ---

    /// Everyone does what there is to do, or at least hears what is on the way; then all die, and the rig closes.
    fn end(mut self) -> History {
        self.bench.router.begin_quit();
        if self.chance.below(3) > 0 {
            self.settle();
        }
        for station in (0..SCOPE).cycle().take(3 * SCOPE) {
            self.flush(station);
            while !self.players[station].pipe.is_empty() {
                self.read(station);
            }
            self.observe();
        }
        for station in 0..SCOPE {
            if !self.players[station].is_dead {
                self.die(station);
                self.observe();
            }
        }
        self.see(Seen::Closed);
        self.bench.router.close();
        self.observe();
        self.history.totals = self.bench.router.totals();
        self.history.remembered = self.bench.router.remembered();
        self.history.high_water = self.bench.router.in_flight().1;
        self.history
    }

    /// Everyone does what there is to do until nothing more happens. No time passes: nothing expires.
    fn settle(&mut self) {
        for station in 0..SCOPE {
            match self.players[station].is_dead {
                true if self.players[station].returns => self.give_up(station),
                true => {}
                false => self.set_life(station, true),
            }
            // Somebody has looked at the hardware.
            self.see(Seen::Inactive { station, is_inactive: false });
            self.bench.router.set_inactive(station, false);
            self.observe();
        }
        let rounds = (0..ROUNDS).take_while(|_| self.round()).count();
        assert!(rounds < ROUNDS, "it goes on and on");
        for station in 0..=SCOPE {
            if let Some(caller) = self.players[station].waits_for {
                self.see(Seen::Stuck { station, token: super::history::token_of(caller) });
            }
        }
        self.see(Seen::Quiet { remembered: self.bench.router.remembered() });
    }

    /// Says whether anything has happened.
    fn round(&mut self) -> bool {
        let before = self.happened();
        for station in 0..=SCOPE {
            self.flush(station);
            while !self.players[station].pipe.is_empty() {
                self.read(station);
            }
            self.observe();
            self.begin(station);
            self.observe();
            self.finish(station);
            self.observe();
            self.send_the_rest(station);
            self.observe();
        }
        self.read_the_rest();
        self.observe();
        self.happened() != before
    }

    /// How much was seen, and how much has gone through pipes.
    fn happened(&self) -> (usize, u64) {
        let is_news = |seen: &&Seen| !matches!(seen, Seen::Waiting { .. });
        (self.history.seen.iter().filter(is_news).count(), self.moved)
    }
}
