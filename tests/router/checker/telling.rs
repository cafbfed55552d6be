//! Whether callers are told what has become of their commands: that, once, and nobody else.

use labrig::coordinator::router::{Caller, Remembered};
use labrig::wire::{Ending, NotDone, Refusal};

use super::super::bench::{NAMES, POOL};
use super::super::history::{MEMBERS, Said, Token, name_at, reply_of};
use super::Checker;
use super::fates::{Fate, Over, Part};

/// Who a command's order is kept for.
fn sender_of(caller: Caller) -> &'static str {
    match caller {
        Caller::Manager { index, .. } => NAMES[index],
        _ => "local",
    }
}

/// Whether a caller is told by this what has become of its command at that station.
fn tells(token: Token, station: usize, part: &Part, ending: &Ending) -> bool {
    let Some(over) = part.over else { return false };
    let reply = || if part.is_opened { Vec::new() } else { reply_of(token, station) };
    match ending {
        Ending::Done(told) => over == Over::Answered(Said::Done) && *told == reply().into(),
        Ending::NotDone(why) => is_reason(over, why),
    }
}

fn is_reason(over: Over, why: &NotDone) -> bool {
    match why {
        NotDone::Failed(_) => over == Over::Answered(Said::Failed),
        NotDone::Cancelled => matches!(over, Over::Cancelled | Over::Answered(Said::Cancelled)),
        NotDone::Expired => over == Over::Expired,
        NotDone::Refused(Refusal::Closed) => over == Over::Closed,
        NotDone::Refused(Refusal::Inactive { .. }) => over == Over::Inactive,
        NotDone::Refused(_) => over == Over::Stopped,
        NotDone::Lost => over == Over::Lost,
        NotDone::Indeterminate => over == Over::Indeterminate,
        NotDone::Deadlock { .. } => over == Over::Deadlock,
        _ => false,
    }
}

/// What a trace calls it.
fn word_for(over: Over) -> &'static str {
    match over {
        Over::Answered(Said::Done) => "done",
        Over::Answered(Said::Failed) => "failed",
        Over::Answered(Said::Cancelled) | Over::Cancelled => "cancelled",
        Over::Expired => "expired",
        Over::Abandoned => "abandoned",
        Over::Deadlock => "deadlock",
        Over::Lost => "lost",
        Over::Indeterminate => "indeterminate",
        Over::Stopped | Over::Closed | Over::Inactive => "refused",
        Over::Ran | Over::Displaced | Over::Halted => "one-way",
    }
}

impl Checker {
    pub(super) fn delivered(&mut self, token: Token, station: usize) {
        let fate = self.fate(token);
        let is_from_pool = fate.parts.contains_key(&POOL) && MEMBERS.contains(&station);
        if is_from_pool {
            self.is_given_by_pool(token, station);
        }
        self.is_announced(token, station);
        let fate = self.fate(token);
        let is_goal = is_from_pool || fate.offer.reached.contains(&station);
        let (is_accepted, caller) = (fate.is_accepted(), fate.offer.caller);
        let part = self.part(token, station);
        let was_delivered = std::mem::replace(&mut part.is_delivered, true);
        let over = part.over.filter(|over| *over != Over::Abandoned);
        if was_delivered {
            self.blame(format!("{token} came twice to {station}"));
        } else if let Some(over) = over {
            self.blame(format!("{token} came to {station} after it had ended there: {over:?}"));
        }
        if !is_accepted || !is_goal {
            self.blame(format!("{token} came to {station}, where it was not to go"));
        }
        if self.is_pooled && MEMBERS.contains(&station) {
            self.at_work.insert((station, token));
        }
        let is_back = self.part(token, station).is_back;
        let last = self.last.insert((sender_of(caller), station, is_from_pool), token);
        if last.is_some_and(|last| last > token) && !is_back {
            self.blame(format!("{token} came to {station} after a later command of its sender"));
        }
    }

    pub(super) fn heard(&mut self, token: Token, life: u32) {
        match self.fate(token).offer.caller {
            Caller::Manager { generation, .. } if generation.0 == life => {}
            caller => self.blame(format!("life {life} was told of {token}, which {caller:?} asked")),
        }
    }

    pub(super) fn ended(&mut self, token: Token, ending: &Ending, by: &str) {
        let fate = self.fate(token);
        fate.endings.push(ending.clone());
        let is_its =
            |goal: &usize| name_at(*goal) == by || *goal == POOL && MEMBERS.map(name_at).contains(&by);
        if !by.is_empty() && !fate.offer.goals.iter().any(is_its) {
            self.blame(format!("{token} was ended by `{by}`, which it was not for"));
        }
        if let Ending::NotDone(NotDone::Deadlock { cycle }) = ending {
            self.deadlock_is_true(token, cycle);
        }
        let fate = &self.fates[&token];
        let is_true = match (&fate.offer.refusal, ending) {
            (Some(refusal), Ending::NotDone(NotDone::Refused(told))) => refusal == told,
            (Some(_), _) => false,
            (None, _) if fate.is_broadcast() => matches!(ending, Ending::NotDone(NotDone::Deadlock { .. })),
            (None, _) => fate.parts.iter().all(|(station, part)| tells(token, *station, part, ending)),
        };
        if !is_true {
            let mistake = format!("{token} ended otherwise than {ending:?}: {fate:?}");
            self.blame(mistake);
        }
        self.flows_are_whole(token);
    }

    pub(super) fn reported(&mut self, token: Token, outcomes: &[(String, Ending)]) {
        let fate = self.fate(token);
        fate.reports += 1;
        let goals = fate.offer.goals.clone();
        let told: Vec<_> = outcomes.iter().map(|(manager, _)| manager.as_str()).collect();
        let expected: Vec<_> = goals.iter().map(|goal| NAMES[*goal]).collect();
        if told != expected {
            return self.blame(format!("the report of {token} is about {told:?}, not {expected:?}"));
        }
        for (goal, (_, ending)) in goals.iter().zip(outcomes) {
            let is_true = match self.fate(token).parts.get(goal) {
                Some(part) => tells(token, *goal, part, ending),
                None => matches!(ending, Ending::NotDone(NotDone::Refused(_))),
            };
            if !is_true {
                let part = format!("{:?}", self.fate(token).parts.get(goal));
                self.blame(format!("{token} is reported otherwise than {ending:?} at {goal}: {part}"));
            }
        }
    }

    pub(super) fn traced(&mut self, caller: Caller, station: usize, ending: &'static str) {
        let token = super::super::history::token_of(caller);
        if self.fate(token).offer.caller != caller {
            self.blame(format!("{caller:?} is said to have called {token}"));
        }
        let is_there = self.fate(token).parts.contains_key(&station);
        let station = if is_there || !self.is_from_pool(token) { station } else { POOL };
        self.part(token, station).traces.push(ending);
    }

    /// How often a caller that lives and waits is told.
    fn is_to_hear(&self, fate: &Fate) -> bool {
        let is_manager = matches!(fate.offer.caller, Caller::Manager { .. });
        fate.wants_answer() && !fate.is_abandoned && (fate.is_accepted() || is_manager)
    }

    /// When nothing more happens, everyone has been told everything, and nothing is remembered.
    pub(super) fn all_is_told(&mut self, remembered: Remembered) {
        if remembered != Remembered::default() {
            self.blame(format!("all have answered, and there is left: {remembered:?}"));
        }
        let mut mistakes = Vec::new();
        for (token, fate) in &self.fates {
            let told = fate.endings.len() + fate.reports;
            if self.is_alive(fate.offer.caller) && told != usize::from(self.is_to_hear(fate)) {
                mistakes.push(format!("{token} was told {told} times when all was quiet: {fate:?}"));
            }
            if !fate.open().is_empty() {
                mistakes.push(format!("{token} has not ended when all was quiet: {fate:?}"));
            }
        }
        self.mistakes.append(&mut mistakes);
        self.nothing_is_owed();
    }

    /// At the end, every accepted command has ended everywhere and was told once, and no other.
    pub(super) fn fates_are_whole(&mut self, is_tracing: bool) {
        let mut mistakes = Vec::new();
        for (token, fate) in &self.fates {
            let told = fate.endings.len() + fate.reports;
            let expected = usize::from(self.is_to_hear(fate));
            // Who died meanwhile may have been told before, and need not have been.
            let is_alive = self.is_alive(fate.offer.caller);
            if told > expected || told < expected && is_alive {
                mistakes.push(format!("{token} was told {told} times, not {expected}: {fate:?}"));
            }
            if fate.reports > 0 && !fate.is_broadcast() || !fate.open().is_empty() {
                mistakes.push(format!("{token} has not ended in the right way: {fate:?}"));
            }
            mistakes.extend(mistake_in_losses(*token, fate));
            mistakes.extend(mistake_in_traces(*token, fate, is_tracing));
        }
        mistakes
            .extend(self.to_cancel.iter().map(|due| format!("(call, station) {due:?} were not cancelled")));
        self.mistakes.append(&mut mistakes);
    }
}

/// A one-way command runs or is told to be undelivered, once; others are not.
fn mistake_in_losses(token: Token, fate: &Fate) -> Option<String> {
    let ran = fate.parts.values().all(|part| part.over == Some(Over::Ran));
    let is_refused_here = !fate.is_accepted() && !matches!(fate.offer.caller, Caller::Manager { .. });
    let is_lost = !fate.wants_answer() && !is_refused_here && (!ran || fate.parts.is_empty());
    let is_right = fate.losses == usize::from(is_lost);
    (!is_right).then(|| format!("{token} was told {} times to be undelivered: {fate:?}", fate.losses))
}

fn mistake_in_traces(token: Token, fate: &Fate, is_tracing: bool) -> Option<String> {
    let is_right = |part: &Part| match part.over {
        Some(over) if is_tracing && fate.wants_answer() => part.traces == [word_for(over)],
        _ => part.traces.is_empty(),
    };
    let all_right = fate.parts.values().all(is_right);
    (!all_right).then(|| format!("{token} was not traced as it ended: {fate:?}"))
}
