//! Whether the router's figures are those of what has happened.

use labrig::coordinator::router::{Caller, Remembered};

use super::super::history::{History, Said};
use super::Checker;
use super::fates::{Fate, Over};

/// How a call is counted that wants an answer: as its only part ended, or as a broadcast.
fn counted(fate: &Fate) -> Option<&'static str> {
    if fate.is_broadcast() {
        return Some(match (fate.is_abandoned, &fate.deadlock) {
            (true, _) => "expired",
            (_, Some(_)) => "refused",
            _ => "done",
        });
    }
    let over = fate.parts.values().next()?.over?;
    Some(match over {
        Over::Answered(Said::Done) => "done",
        Over::Answered(Said::Failed) => "failed",
        Over::Answered(Said::Cancelled) | Over::Cancelled => "cancelled",
        Over::Expired | Over::Abandoned => "expired",
        Over::Deadlock | Over::Stopped | Over::Closed | Over::Inactive => "refused",
        Over::Lost => "lost",
        Over::Indeterminate => "indeterminate",
        Over::Ran | Over::Displaced | Over::Halted => "one-way",
    })
}

impl Checker {
    pub(super) fn totals_add_up(&mut self, history: &History) {
        let totals = history.totals;
        let count =
            |which: &dyn Fn(&Fate) -> bool| self.fates.values().filter(|fate| which(fate)).count() as u64;
        let ended = |word: &'static str| {
            count(&|fate| fate.is_accepted() && fate.wants_answer() && counted(fate) == Some(word))
        };
        let lost = |over: &[Over]| {
            let is_one = |over_at: Option<Over>| over_at.is_some_and(|it| over.contains(&it));
            count(&|fate| !fate.wants_answer() && fate.parts.values().any(|part| is_one(part.over)))
        };
        let is_manager = |fate: &Fate| matches!(fate.offer.caller, Caller::Manager { .. });
        let refused_sends = count(&|fate| !fate.is_accepted() && !fate.wants_answer() && is_manager(fate));
        let by_reason = totals.undelivered_displaced
            + totals.undelivered_lost
            + totals.undelivered_indeterminate
            + totals.undelivered_refused
            + totals.undelivered_stopped;
        let figures = [
            ("accepted calls", totals.accepted, count(&|fate| fate.is_accepted() && fate.wants_answer())),
            ("accepted sends", totals.sends, count(&|fate| fate.is_accepted() && !fate.wants_answer())),
            ("not accepted", totals.not_accepted, count(&|fate| !fate.is_accepted())),
            ("ended", totals.ended(), totals.accepted),
            ("done", totals.done, ended("done")),
            ("failed", totals.failed, ended("failed")),
            ("cancelled", totals.cancelled, ended("cancelled")),
            ("expired", totals.expired, ended("expired")),
            ("refused", totals.refused, ended("refused")),
            ("lost", totals.lost, ended("lost")),
            ("indeterminate", totals.indeterminate, ended("indeterminate")),
            ("undelivered", totals.undelivered, by_reason),
            ("displaced", totals.undelivered_displaced, lost(&[Over::Displaced])),
            ("undelivered and lost", totals.undelivered_lost, lost(&[Over::Lost])),
            ("half run", totals.undelivered_indeterminate, lost(&[Over::Indeterminate])),
            (
                "undelivered and refused",
                totals.undelivered_refused,
                lost(&[Over::Stopped, Over::Closed, Over::Inactive]) + refused_sends,
            ),
            ("stopped one-way", totals.undelivered_stopped, lost(&[Over::Halted])),
            ("retried", totals.retried, self.retried),
        ];
        let wrong = figures.iter().filter(|(_, found, expected)| found != expected);
        let mut mistakes: Vec<_> =
            wrong.map(|(what, found, expected)| format!("{what}: {found}, not {expected}")).collect();
        if history.remembered != Remembered::default() {
            mistakes.push(format!("there is left at the end: {:?}", history.remembered));
        }
        self.mistakes.append(&mut mistakes);
    }
}
