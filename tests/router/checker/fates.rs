//! What has become of each command at each station, worked out from what was seen.

use std::collections::BTreeMap;

use labrig::coordinator::router::Caller;
use labrig::wire::{Ending, Kind};

use super::super::history::{Micros, Offer, Said, Token, station_of};
use super::Checker;
use super::waiting::Graph;

/// A command, and what has become of it.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) offer: Offer,
    pub(super) deadline: Option<Micros>,
    /// By the stations that are to do it.
    pub(super) parts: BTreeMap<usize, Part>,
    pub(super) endings: Vec<Ending>,
    pub(super) reports: usize,
    /// How often it was told to be undelivered.
    pub(super) losses: usize,
    pub(super) is_abandoned: bool,
    /// Whether its caller does not listen any more, though it may have ended before.
    pub(super) is_ignored: bool,
    /// Who waited for whom when the wait for it was to be refused.
    pub(super) deadlock: Option<Graph>,
    pub(super) is_open_heard: bool,
    pub(super) chunks: Flow,
    pub(super) steps: Flow,
}

/// What was sent on, and how much of that has arrived.
#[derive(Default, Debug)]
pub(super) struct Flow {
    pub(super) sent: u32,
    pub(super) heard: u32,
}

/// One command at one station.
#[derive(Default, Debug)]
pub(super) struct Part {
    pub(super) is_delivered: bool,
    pub(super) is_taken: bool,
    pub(super) is_opened: bool,
    /// Whether its station was told to cancel it.
    pub(super) was_told: bool,
    /// Whether an earlier life had taken it.
    pub(super) may_have_run: bool,
    /// Whether it was in the pipe of a life that is over.
    pub(super) is_past: bool,
    /// Whether it waits for a next life.
    pub(super) is_held: bool,
    /// Whether it has gone back to its pool from an instance that died.
    pub(super) is_back: bool,
    /// To how many next lives it was given.
    pub(super) retries: u32,
    pub(super) over: Option<Over>,
    pub(super) traces: Vec<&'static str>,
}

/// How a command has ended at a station.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Over {
    /// One-way, and carried out.
    Ran,
    Answered(Said),
    /// Taken back before it was sent.
    Cancelled,
    Expired,
    Abandoned,
    Deadlock,
    Displaced,
    Lost,
    Indeterminate,
    /// Refused because its station was to end.
    Stopped,
    /// Refused because the rig has ended.
    Closed,
    /// Refused because its station is inactive.
    Inactive,
    /// One-way, and thrown away because everything was stopped.
    Halted,
}

impl Over {
    /// What is said of something that may have run: not that it did not.
    fn of(self, may_have_run: bool) -> Self {
        match self {
            Self::Cancelled | Self::Lost | Self::Stopped | Self::Closed | Self::Inactive if may_have_run => {
                Self::Indeterminate
            }
            Self::Answered(Said::Cancelled) if may_have_run => Self::Indeterminate,
            over => over,
        }
    }
}

impl Fate {
    pub(super) fn new(offer: &Offer) -> Self {
        let is_accepted = offer.refusal.is_none();
        let part = |station: &usize| (*station, Part::default());
        let (chunks, steps) = (Flow::default(), Flow::default());
        Self {
            offer: offer.clone(),
            deadline: offer.deadline,
            parts: offer.reached.iter().filter(|_| is_accepted).map(part).collect(),
            endings: Vec::new(),
            reports: 0,
            losses: 0,
            is_abandoned: false,
            is_ignored: false,
            deadlock: None,
            is_open_heard: false,
            chunks,
            steps,
        }
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.offer.refusal.is_none()
    }

    pub(super) fn wants_answer(&self) -> bool {
        self.offer.kind != Kind::Send
    }

    pub(super) fn is_broadcast(&self) -> bool {
        self.offer.kind == Kind::Broadcast
    }

    /// The stations at which it has not ended.
    pub(super) fn open(&self) -> Vec<usize> {
        self.parts.iter().filter(|(_, part)| part.over.is_none()).map(|(station, _)| *station).collect()
    }

    /// Ends it wherever it has not ended.
    pub(super) fn end_open(&mut self, over: Over) {
        for part in self.parts.values_mut() {
            part.over.get_or_insert(over);
        }
    }

    /// The stations that are still to answer it.
    pub(super) fn awaited(&self) -> Vec<usize> {
        let is_opened = |station: &usize| self.parts[station].is_opened;
        self.open().into_iter().filter(|station| !is_opened(station)).collect()
    }
}

impl Checker {
    pub(super) fn part(&mut self, token: Token, station: usize) -> &mut Part {
        self.fate(token).parts.entry(station).or_default()
    }

    pub(super) fn end_part(&mut self, token: Token, station: usize, over: Over) {
        let part = self.part(token, station);
        let over = over.of(part.may_have_run);
        part.over.get_or_insert(over);
    }

    /// Where each command that has not ended is open, and so is `which`.
    pub(super) fn open_parts(&self, which: impl Fn(&Fate, usize, &Part) -> bool) -> Vec<(Token, usize)> {
        let of = |(token, fate): (&Token, &Fate)| {
            let open = fate.open().into_iter().filter(|station| which(fate, *station, &fate.parts[station]));
            open.map(|station| (*token, station)).collect::<Vec<_>>()
        };
        self.fates.iter().flat_map(of).collect()
    }

    /// From now on the station is expected to be told that a call is taken back, unless it was told before.
    pub(super) fn is_to_be_told(&mut self, token: Token, station: usize) {
        if !std::mem::replace(&mut self.part(token, station).was_told, true) {
            self.to_cancel.push((token, station));
        }
    }

    pub(super) fn told_to_cancel(&mut self, token: Option<Token>, station: usize) {
        match self.to_cancel.iter().position(|due| (Some(due.0), due.1) == (token, station)) {
            Some(due) => drop(self.to_cancel.swap_remove(due)),
            None => self.blame(format!("{station} was told to cancel {token:?}, for no reason")),
        }
    }

    // --- what callers do ---

    pub(super) fn offered(&mut self, token: Token, offer: &Offer) {
        self.wait_is_judged_well(token, offer);
        self.inactive_refuse(token, offer);
        self.fates.insert(token, Fate::new(offer));
        if offer.kind == Kind::Call && offer.refusal.is_none() {
            self.waits.entry(station_of(offer.caller)).or_default().insert(token);
        }
    }

    pub(super) fn cancelled(&mut self, token: Token) {
        for station in self.fate(token).open() {
            match self.part(token, station).is_delivered {
                true => self.is_to_be_told(token, station),
                false => self.end_part(token, station, Over::Cancelled),
            }
        }
    }

    pub(super) fn abandoned(&mut self, token: Token) {
        let open = self.fate(token).open();
        self.fate(token).is_abandoned = !open.is_empty();
        self.fate(token).is_ignored = true;
        for station in open {
            if self.part(token, station).is_opened {
                self.is_to_be_told(token, station);
            }
            self.end_part(token, station, Over::Abandoned);
        }
    }

    pub(super) fn time_passed(&mut self, now: Micros) {
        let is_late = |fate: &Fate| fate.deadline.is_some_and(|deadline| deadline <= now);
        let expires = |fate: &Fate, _, part: &Part| fate.wants_answer() && is_late(fate) && !part.is_opened;
        for (token, station) in self.open_parts(expires) {
            if self.part(token, station).is_delivered {
                self.is_to_be_told(token, station);
            }
            self.end_part(token, station, Over::Expired);
        }
    }

    // --- what stations do ---

    pub(super) fn finished(&mut self, token: Token, station: usize) {
        self.at_work.remove(&(station, token));
        self.end_part(token, station, Over::Ran);
    }

    pub(super) fn answered(&mut self, token: Token, station: usize, said: Said) {
        self.at_work.remove(&(station, token));
        self.end_part(token, station, Over::Answered(said));
    }

    pub(super) fn opened(&mut self, token: Token, station: usize) {
        self.at_work.remove(&(station, token));
        let caller = self.fate(token).offer.caller;
        let (is_broadcast, is_alive) = (self.fate(token).is_broadcast(), self.is_alive(caller));
        let part = self.part(token, station);
        part.was_told = false;
        if part.over.is_some() || is_broadcast {
            part.over.get_or_insert(Over::Answered(Said::Failed));
            return self.is_to_be_told(token, station);
        }
        part.is_opened = true;
        if !is_alive {
            self.is_to_be_told(token, station);
        }
    }
}

/// Whether a caller is some life of that manager.
pub(super) fn is_of(caller: Caller, station: usize) -> bool {
    matches!(caller, Caller::Manager { index, .. } if index == station)
}
