//! What becomes of stations, and what follows from that for the commands that they were to do.

use labrig::wire::Refusal;

use super::super::bench::{HAZARDOUS, IDEMPOTENT, POOL, RETRIES, SCOPE};
use super::super::history::{MEMBERS, Offer, Token};
use super::Checker;
use super::fates::{Fate, Over, Part, is_of};

impl Checker {
    // --- deaths and lives ---

    pub(super) fn died(&mut self, station: usize, returns: bool) {
        let life = self.lives.entry(station).or_insert(1);
        self.dead.insert((station, *life));
        *life += 1;
        self.waits.remove(&station);
        self.down.insert(station);
        self.last.retain(|(_, at, _), _| *at != station);
        self.at_work.retain(|(at, _)| *at != station);
        self.unsafe_now.remove(&station);
        let was_stopped = self.gone.get(&station) == Some(&false);
        match returns {
            true => drop(self.gone.remove(&station)),
            false => drop(self.gone.insert(station, true)),
        }
        for (token, at) in self.open_parts(|_, at, _| at == station) {
            self.died_with(token, at, returns, was_stopped);
        }
        for part in self.fates.values_mut().filter_map(|fate| fate.parts.get_mut(&station)) {
            part.is_past = !part.is_held;
        }
        let reads = |fate: &Fate, _, part: &Part| part.is_opened && is_of(fate.offer.caller, station);
        for (token, at) in self.open_parts(reads) {
            self.is_to_be_told(token, at);
        }
        self.tend_pool();
    }

    fn died_with(&mut self, token: Token, station: usize, returns: bool, was_stopped: bool) {
        let (is_from_pool, may_retry) = (self.is_from_pool(token), self.may_retry(token, station));
        let is_one_way = !self.fates[&token].wants_answer();
        let part = self.part(token, station);
        if may_retry && (returns || is_from_pool) {
            part.may_have_run |= part.is_taken;
            let was_delivered = std::mem::take(&mut part.is_delivered);
            part.is_taken = false;
            if is_from_pool {
                part.is_back = true;
                part.retries += u32::from(was_delivered);
                self.retried += u64::from(was_delivered);
                self.move_part(token, station, POOL);
            } else {
                part.is_held = true;
            }
            return;
        }
        let over = match () {
            () if part.is_taken => Over::Indeterminate,
            () if is_one_way && was_stopped => Over::Stopped,
            () => Over::Lost,
        };
        self.end_part(token, station, over);
    }

    /// Whether a call may go on in another life.
    fn may_retry(&self, token: Token, station: usize) -> bool {
        let fate = &self.fates[&token];
        let part = &fate.parts[&station];
        let is_free = !part.was_told && !part.is_opened && part.retries < RETRIES;
        let may = fate.wants_answer() && IDEMPOTENT.contains(&fate.offer.command);
        may && (part.is_held || is_free && self.is_alive(fate.offer.caller))
    }

    pub(super) fn is_from_pool(&self, token: Token) -> bool {
        self.fates[&token].offer.goals == [POOL]
    }

    pub(super) fn move_part(&mut self, token: Token, from: usize, to: usize) {
        let parts = &mut self.fate(token).parts;
        if let Some(part) = parts.remove(&from) {
            parts.insert(to, part);
        }
    }

    pub(super) fn given_up(&mut self, station: usize) {
        self.end_held(station, Over::Lost);
        if self.down.contains(&station) {
            self.gone.insert(station, true);
        }
        self.tend_pool();
    }

    fn end_held(&mut self, station: usize, over: Over) {
        for (token, at) in self.open_parts(|_, at, part| at == station && part.is_held) {
            self.end_part(token, at, over);
        }
    }

    pub(super) fn life_set(&mut self, station: usize, is_ready: bool) {
        self.gone.remove(&station);
        self.down.remove(&station);
        if is_ready {
            for (token, at) in self.open_parts(|_, at, part| at == station && part.is_held) {
                self.is_given_again(token, at);
            }
        }
        self.tend_pool();
    }

    fn is_given_again(&mut self, token: Token, station: usize) {
        if self.is_hazardous(token) && self.inactive.contains(&station) {
            return self.end_part(token, station, Over::Lost);
        }
        let part = self.part(token, station);
        part.is_held = false;
        part.retries += 1;
        self.retried += 1;
    }

    pub(super) fn stopped(&mut self, station: usize) {
        self.end_held(station, Over::Lost);
        let is_down = self.down.contains(&station);
        self.gone.entry(station).or_insert(is_down);
        for (token, at) in self.open_parts(|_, at, part| at == station && !part.is_delivered) {
            self.end_part(token, at, Over::Stopped);
        }
        self.tend_pool();
    }

    pub(super) fn closed(&mut self) {
        for (token, at) in self.open_parts(|_, _, _| true) {
            let over = if self.part(token, at).is_delivered { Over::Indeterminate } else { Over::Closed };
            self.end_part(token, at, over);
        }
    }

    /// A pool goes on as long as one of its instances does, or will.
    fn tend_pool(&mut self) {
        if !self.is_pooled {
            return;
        }
        let queued = self.open_parts(|_, at, _| at == POOL);
        let left: Vec<usize> = MEMBERS.into_iter().filter(|it| !self.gone.contains_key(it)).collect();
        let over = match MEMBERS.iter().any(|member| self.gone.get(member) == Some(&false)) {
            true => Over::Stopped,
            false => Over::Lost,
        };
        for (token, at) in queued {
            if left.is_empty() {
                self.end_part(token, at, over);
            } else if self.is_hazardous(token) && left.iter().all(|member| self.inactive.contains(member)) {
                self.end_part(token, at, Over::Inactive);
            }
        }
        self.end_waits_for_the_pool();
    }

    // --- what moves ---

    fn is_hazardous(&self, token: Token) -> bool {
        HAZARDOUS.contains(&self.fates[&token].offer.command)
    }

    fn is_all_inactive(&self, station: usize) -> bool {
        match station {
            POOL => {
                let mut left = MEMBERS.iter().filter(|member| !self.gone.contains_key(member));
                left.all(|member| self.inactive.contains(member))
            }
            station => self.inactive.contains(&station),
        }
    }

    /// What moves is refused where nobody takes it, and only there.
    pub(super) fn inactive_refuse(&mut self, token: Token, offer: &Offer) {
        let is_refused = matches!(offer.refusal, Some(Refusal::Inactive { .. }));
        let is_hazardous = HAZARDOUS.contains(&offer.command);
        let is_inactive = offer.goals.first().is_some_and(|goal| self.is_all_inactive(*goal));
        let gets_in = |goal: &usize| offer.reached.contains(goal) && self.is_all_inactive(*goal);
        let is_let_in = offer.refusal.is_none() && offer.goals.iter().any(gets_in);
        if is_refused && !(is_hazardous && is_inactive) || is_hazardous && is_let_in {
            self.blame(format!("{token} was not judged as is right for who is inactive: {offer:?}"));
        }
    }

    pub(super) fn set_inactive(&mut self, station: usize, is_inactive: bool) {
        if !is_inactive {
            self.inactive.remove(&station);
        } else {
            self.inactive.insert(station);
            let is_queued = |_: &Fate, at, part: &Part| at == station && !part.is_delivered && !part.is_held;
            for (token, at) in self.open_parts(is_queued) {
                if self.is_hazardous(token) {
                    self.end_part(token, at, Over::Inactive);
                }
            }
        }
        self.tend_pool();
    }

    pub(super) fn leaves_safe(&mut self, station: usize) {
        let is_its = |at: usize| at == station || at == POOL && MEMBERS.contains(&station);
        let is_one = |fate: &Fate, at, part: &Part| {
            HAZARDOUS.contains(&fate.offer.command) && is_its(at) && !part.is_delivered
        };
        let has_reason =
            self.fates.values().any(|fate| fate.parts.iter().any(|(at, part)| is_one(fate, *at, part)));
        if !self.unsafe_now.insert(station) || !has_reason {
            self.blame(format!("{station} is said to leave its safe state, for no reason"));
        }
    }

    /// What moves comes to nobody who counts as safe.
    pub(super) fn is_announced(&mut self, token: Token, station: usize) {
        if station < SCOPE && self.is_hazardous(token) && !self.unsafe_now.contains(&station) {
            self.blame(format!("{token} came to {station}, which counts as safe"));
        }
    }

    pub(super) fn said_safe(&mut self, station: usize, is_safe: bool) {
        let (mut surely, mut perhaps) = (false, false);
        for fate in self.fates.values().filter(|fate| HAZARDOUS.contains(&fate.offer.command)) {
            for (at, part) in &fate.parts {
                let is_open = part.over.is_none();
                let is_ahead = part.is_delivered && !part.is_taken && !part.is_past
                    || !part.is_delivered && is_open && !part.is_held;
                surely |= *at == station && is_ahead;
                // What nobody waits for any more goes on its way, unless it was thrown away.
                perhaps |= *at == station && !part.is_taken;
            }
        }
        if is_safe && surely || !is_safe && !surely && !perhaps {
            self.blame(format!(
                "{station} counts as safe: {is_safe}, and something that moves is ahead: {surely}"
            ));
        }
        if is_safe {
            self.unsafe_now.remove(&station);
        }
    }

    // --- the stop of everything ---

    pub(super) fn all_stopped(&mut self) {
        for (token, at) in self.open_parts(|_, at, _| at != SCOPE) {
            let is_one_way = !self.fates[&token].wants_answer();
            // An instance says itself which one-way commands it has thrown away.
            let answers = self.is_pooled && MEMBERS.contains(&at);
            let part = self.part(token, at);
            match (part.is_delivered, is_one_way) {
                (false, true) => self.end_part(token, at, Over::Halted),
                (false, false) => self.end_part(token, at, Over::Cancelled),
                (true, true) if !part.is_taken && !answers => self.end_part(token, at, Over::Halted),
                (true, false) if part.is_opened => self.is_to_be_told(token, at),
                (true, false) => part.was_told = true,
                (true, true) => {}
            }
        }
    }

    pub(super) fn dropped(&mut self, token: Token, station: usize) {
        self.at_work.remove(&(station, token));
        // As far as its order goes, it has been dealt with.
        self.part(token, station).is_taken = true;
        self.end_part(token, station, Over::Halted);
    }

    // --- pools ---

    /// An instance is given something by its pool only when it is at nothing else.
    pub(super) fn is_given_by_pool(&mut self, token: Token, station: usize) {
        let is_busy = self.at_work.iter().any(|(at, _)| *at == station);
        if is_busy || self.gone.get(&station) == Some(&true) {
            self.blame(format!("{token} was given to {station}, which is at {:?}", self.at_work));
        }
        self.move_part(token, POOL, station);
    }
}
