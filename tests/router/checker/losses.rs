//! Whether one-way commands that do not run are told: for a reason that fits, and to whoever sent them.

use labrig::coordinator::router::Caller;
use labrig::wire::{Kind, Refusal, Undelivered, UndeliveredReason};

use super::super::bench::{FOLLOW, NAMES, SHOW};
use super::super::history::{Token, token_of};
use super::Checker;
use super::fates::{Fate, Over};

impl Checker {
    pub(super) fn undelivered(&mut self, sender: Caller, news: &Undelivered) {
        let token = token_of(sender);
        let is_displaceable = news.reason == UndeliveredReason::Displaced && self.is_displaceable(token);
        let fate = self.fate(token);
        fate.losses += 1;
        if is_displaceable {
            fate.end_open(Over::Displaced);
        }
        let is_sender = fate.offer.caller == sender && fate.offer.kind == Kind::Send;
        if !is_sender || !is_reason(fate, &news.reason) {
            let mistake = format!("{sender:?} was told {news:?}: {fate:?}");
            self.blame(mistake);
        }
        if let Caller::Manager { index, generation, .. } = sender
            && self.is_alive(sender)
        {
            self.owed.entry((index, generation.0)).or_default().push_back(news.clone());
        }
    }

    /// Whether its type gives way to newer ones, of which there is one.
    fn is_displaceable(&self, token: Token) -> bool {
        let offer = &self.fates[&token].offer;
        let is_newer = |fate: &Fate| {
            fate.is_accepted() && fate.offer.command == offer.command && fate.offer.kind == Kind::Send
        };
        let is_queued = self.fates[&token].parts.values().all(|part| !part.is_delivered);
        let has_newer = self.fates.range(token + 1..).any(|(_, fate)| is_newer(fate));
        matches!(offer.command, SHOW | FOLLOW) && is_queued && has_newer
    }

    /// A manager hears of its losses in order; of some by their number alone.
    pub(super) fn loss_heard(&mut self, station: usize, life: u32, news: &Undelivered) {
        let owed = self.owed.entry((station, life)).or_default();
        owed.drain(..owed.len().min(news.untold as usize));
        let expected = owed.pop_front().map(|owed| Undelivered { untold: news.untold, ..owed });
        if expected.as_ref() != Some(news) {
            let who = NAMES[station];
            self.blame(format!("life {life} of {who} was told {news:?}, and {expected:?} was its own"));
        }
    }

    pub(super) fn nothing_is_owed(&mut self) {
        let is_owed = |((station, life), owed): (&(usize, u32), &std::collections::VecDeque<_>)| {
            !owed.is_empty() && !self.dead.contains(&(*station, *life))
        };
        if self.owed.iter().any(is_owed) {
            self.blame(format!("losses were not told to their own when all was quiet: {:?}", self.owed));
        }
    }
}

fn is_reason(fate: &Fate, reason: &UndeliveredReason) -> bool {
    let is_over = |over| fate.is_accepted() && fate.parts.values().all(|part| part.over == Some(over));
    match reason {
        UndeliveredReason::Displaced => is_over(Over::Displaced),
        UndeliveredReason::Lost => is_over(Over::Lost),
        UndeliveredReason::Indeterminate => is_over(Over::Indeterminate),
        UndeliveredReason::Quitting => is_over(Over::Stopped),
        UndeliveredReason::Closed => is_over(Over::Closed),
        UndeliveredReason::Refused(Refusal::Inactive { .. }) if fate.is_accepted() => is_over(Over::Inactive),
        UndeliveredReason::Refused(refusal) => fate.offer.refusal.as_ref() == Some(refusal),
        UndeliveredReason::Stopped => is_over(Over::Halted),
        _ => false,
    }
}
