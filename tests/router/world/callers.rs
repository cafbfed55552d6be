//! What callers do: threads of the coordinator's process, the scope's handler, and managers.

use std::time::Duration;

use labrig::coordinator::router::Caller;
use labrig::wire::{CommandId, Generation, Header, Kind, Target};

use super::super::bench::*;
use super::super::history::{Micros, Offer, Seen, station_of, token_of};
use super::{Open, PATIENCE_US, PIPE, World};

impl World {
    pub(super) fn offer(&mut self) {
        let caller = self.some_caller();
        let sending = self.some_command(caller);
        let (kind, goals) = (sending.header.kind, goals_of(&sending.header, self.history.is_pooled));
        if kind == Kind::Send {
            self.one_way.insert(token_of(caller));
        }
        let waiting = |world: &Self| goals.iter().map(|goal| world.waiting(*goal)).collect::<Vec<_>>();
        let before = waiting(self);
        let passed = if self.chance.one_in(2) { self.pass_on(&sending) } else { None };
        let refusal = if passed.is_some() { None } else { self.bench.offer(sending.clone()).err() };
        let after = waiting(self);
        let has_grown = |at: &usize| kind != Kind::Broadcast || after[*at] > before[*at];
        let reached = (0..goals.len()).filter(has_grown).map(|at| goals[at]).collect();
        let deadline = match sending.header.time_left_us {
            0 => None,
            left => Some(self.now + left),
        };
        let command = sending.header.command;
        let offer = Offer { caller, kind, command, goals, reached, deadline, refusal: refusal.clone() };
        self.see(Seen::Offered { token: token_of(caller), offer });
        match (refusal, caller) {
            (None, _) => self.accepted(caller, kind),
            (Some(refusal), Caller::Manager { index, .. }) => {
                self.bench.router.refuse(index, &sending.header, refusal);
            }
            _ => {}
        }
        if let Some((station, sent)) = passed {
            self.enter_pipe(station, sent);
        }
    }

    /// The short way of a one-way command.
    fn pass_on(&mut self, sending: &Sending) -> Option<(usize, Sent)> {
        let players = &self.players;
        self.bench.pass_on(sending, |station| !players[station].is_dead && players[station].pipe.len() < PIPE)
    }

    fn accepted(&mut self, caller: Caller, kind: Kind) {
        if kind == Kind::Call {
            self.players[station_of(caller)].waits_for = Some(caller);
        }
        if kind != Kind::Send {
            self.open.push(Open { caller, read: None });
        }
    }

    /// How many commands wait for a station, as its outside sees it.
    fn waiting(&self, station: usize) -> u64 {
        let taken = self.bench.progress.0.get(station).copied();
        if station == POOL {
            return 0;
        }
        self.bench.router.station(station).waiting(taken.unwrap_or(u64::MAX))
    }

    fn some_caller(&mut self) -> Caller {
        let token = self.next;
        self.next += 1;
        match self.chance.below(SCOPE + 2) {
            index if index < SCOPE && !self.players[index].is_dead => {
                let generation = Generation(self.players[index].life);
                Caller::Manager { index, generation, correlation: token }
            }
            _ => Caller::Local(token),
        }
    }

    fn some_command(&mut self, caller: Caller) -> Sending {
        let commands =
            [EXPOSE, EXPOSE, MOVE, MOVE, MOVE, SHOW, FOLLOW, SAVE, SAVE, SET_LIGHT, GHOST, UNKNOWN];
        let command = self.chance.one_of(&commands);
        let may_wait = self.players[station_of(caller)].waits_for.is_none();
        let kind = match command {
            SET_LIGHT => Kind::Broadcast,
            _ if may_wait => self.chance.one_of(&[Kind::Call, Kind::Request, Kind::Request, Kind::Send]),
            _ => self.chance.one_of(&[Kind::Request, Kind::Send]),
        };
        let sending = sending(kind, command);
        let sending = match (command, self.chance.below(8)) {
            (MOVE, 0) => sending,
            (MOVE, 1) => sending.to("camera"),
            (MOVE, 2..5) if self.history.is_pooled => sending,
            (MOVE, 2..5) => sending.to("stage_x"),
            (MOVE, _) => sending.to("stage_y"),
            _ => sending,
        };
        let sending = sending.by(caller).carrying(token_of(caller).to_le_bytes());
        if kind != Kind::Send && self.chance.one_in(3) {
            return sending.within(Duration::from_micros(1 + self.chance.below(PATIENCE_US) as u64));
        }
        sending
    }

    fn some_open(&mut self) -> Option<Caller> {
        let count = self.open.len();
        (count > 0).then(|| self.open[self.chance.below(count)].caller)
    }

    pub(super) fn cancel(&mut self) {
        let Some(caller) = self.some_open() else { return };
        self.see(Seen::Cancelled { token: token_of(caller) });
        self.bench.router.cancel(caller);
    }

    pub(super) fn abandon(&mut self) {
        let Some(caller) = self.some_open() else { return };
        self.see(Seen::Abandoned { token: token_of(caller) });
        self.bench.router.abandon(caller);
        self.abandoned.insert(token_of(caller));
        self.forget(caller);
    }

    /// The caller has nothing more to hear of that call.
    pub(super) fn forget(&mut self, caller: Caller) {
        self.open.retain(|open| open.caller != caller);
        self.go_on(caller);
    }

    /// The handler that waited for that goes on.
    pub(super) fn go_on(&mut self, caller: Caller) {
        let waiter = &mut self.players[station_of(caller)];
        if waiter.waits_for == Some(caller) {
            waiter.waits_for = None;
        }
    }

    pub(super) fn set_expiry(&mut self) {
        let Some(caller) = self.some_open() else { return };
        let left = self.chance.below(PATIENCE_US) as Micros;
        let left = if self.chance.one_in(3) { None } else { Some(left) };
        let deadline = left.map(|left| self.now + left);
        self.see(Seen::ExpirySet { token: token_of(caller), deadline });
        let deadline = left.map(|left| self.bench.now + Duration::from_micros(left));
        self.bench.router.set_expiry(caller, deadline);
    }

    pub(super) fn begin_wait(&mut self) {
        let Some(caller) = self.some_open() else { return };
        let is_answered = self.open.iter().any(|open| open.caller == caller && open.read.is_some());
        let waiter = &mut self.players[station_of(caller)];
        if is_answered || waiter.waits_for.is_some() {
            return;
        }
        waiter.waits_for = Some(caller);
        self.see(Seen::WaitBegan { token: token_of(caller) });
        self.bench.router.begin_wait(caller);
    }

    pub(super) fn end_wait(&mut self) {
        let waiter = self.chance.below(SCOPE + 1);
        let Some(caller) = self.players[waiter].waits_for.take() else { return };
        self.see(Seen::WaitEnded { token: token_of(caller) });
        self.bench.router.end_wait(caller);
    }

    /// A reader asks for as many chunks as it has read, or for more than there can be.
    pub(super) fn grant(&mut self) {
        let is_greedy = self.chance.one_in(4);
        let streams: Vec<_> = (0..self.open.len()).filter(|at| self.open[*at].read.is_some()).collect();
        if streams.is_empty() {
            return;
        }
        let at = self.chance.one_of(&streams);
        self.grant_to(at, is_greedy);
    }

    fn grant_to(&mut self, at: usize, is_greedy: bool) {
        let Open { caller, read } = &mut self.open[at];
        let taken = read.as_mut().map(std::mem::take).unwrap_or_default();
        self.bench.router.grant(*caller, if is_greedy { u32::MAX } else { taken });
    }

    /// Every reader asks for as many chunks as it has read.
    pub(super) fn read_the_rest(&mut self) {
        (0..self.open.len()).for_each(|at| self.grant_to(at, false));
    }
}

/// The stations that a command is for.
fn goals_of(header: &Header, is_pooled: bool) -> Vec<usize> {
    let named = |name: &str| NAMES.iter().position(|other| *other == name);
    match (header.command, &header.target) {
        (EXPOSE | SHOW | FOLLOW, _) => vec![CAMERA],
        (MOVE, Target::Route) if is_pooled => vec![POOL],
        (MOVE, Target::Named(name)) => named(name).into_iter().collect(),
        (SET_LIGHT, _) => vec![CAMERA, STAGE_X, STAGE_Y],
        (SAVE, _) => vec![SCOPE],
        (CommandId(_), _) => Vec::new(),
    }
}
