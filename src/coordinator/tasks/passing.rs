//! Passing a task on: who is asked next, and how it ends; pure.
//!
//! A task for one is never offered to a runner while another may have it: it goes on only from somebody who has certainly
//! not taken it. One whose name its sender has chosen may have been placed before, so that everybody is asked first
//! whether they have it.

use std::collections::VecDeque;

use crate::remote::{Declination, Declined, InDoubt, Placement, Taken, TaskError, Whom};

/// See the module's words.
#[derive(Debug)]
pub(super) struct Passing {
    is_for_all: bool,
    /// Whether somebody may have it from an earlier time.
    may_be_known: bool,
    /// The order in which they are asked, by which they are told.
    order: Vec<String>,
    /// Who is still to be asked, in order, in this stage.
    left: VecDeque<String>,
    /// How many have been asked and have not answered.
    asked: usize,
    /// Those to whom it is offered once nobody has it already; none when that is not asked first.
    behind: Option<VecDeque<String>>,
    so_far: Placement,
}

/// What was heard of an offer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    /// The runner has it, as the procedure of that id.
    Taken(String),
    /// It was asked whether it has it, and has not.
    HasNot,
    /// It has certainly not taken it.
    Declined(Declination),
    /// It may have.
    InDoubt(String),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// That runner is to be offered the task, or only asked whether it has it.
    Offer { runner: String, only_asks: bool },
    /// Somebody is to answer first.
    Wait,
    /// It is over.
    Over(Result<Placement, TaskError>),
}

impl Passing {
    /// A task of that name that is to be offered to `runners` in this order. Of one that `may_be_known`, all `known` runners
    /// are asked first.
    pub(super) fn begin(task: String, whom: &Whom, runners: &[String], may_be_known: bool) -> Self {
        let mut so_far = Placement { task, ..Placement::default() };
        let offered: VecDeque<String> = match whom {
            Whom::One(name) if !runners.contains(name) => {
                let why = Declination::NoRunner { known: runners.to_vec() };
                so_far.declined.push(Declined { runner: name.clone(), why });
                VecDeque::new()
            }
            Whom::One(name) => [name.clone()].into(),
            Whom::Any | Whom::All => runners.iter().cloned().collect(),
        };
        let is_for_all = *whom == Whom::All;
        // For all, each knows by itself whether it has the task.
        let (left, behind) = match may_be_known && !is_for_all {
            true => (runners.iter().cloned().collect(), Some(offered)),
            false => (offered, None),
        };
        Self { is_for_all, may_be_known, order: runners.to_vec(), left, asked: 0, behind, so_far }
    }

    /// What is to be done now. Whoever is told to offer it says later what was [`heard`](Self::heard).
    pub(super) fn next(&mut self) -> Next {
        if let Some(end) = self.end() {
            return Next::Over(end);
        }
        let only_asks = self.behind.is_some();
        let may_ask = self.asked == 0 || only_asks || self.is_for_all;
        match if may_ask { self.left.pop_front() } else { None } {
            Some(runner) => {
                self.asked += 1;
                Next::Offer { runner, only_asks }
            }
            None => Next::Wait,
        }
    }

    /// A runner has answered, or it is known that it will not.
    pub(super) fn heard(&mut self, runner: String, heard: Heard) {
        self.asked = self.asked.saturating_sub(1);
        let only_asks = self.behind.is_some();
        match heard {
            Heard::Taken(id) => self.so_far.taken.push(Taken { runner, id }),
            Heard::HasNot => {}
            // Who cannot be reached may have it from before.
            Heard::Declined(why @ (Declination::Refused(_) | Declination::Lost))
                if only_asks || self.may_be_known && self.is_for_all =>
            {
                self.so_far.in_doubt.push(InDoubt { runner, why: why.to_string() });
            }
            Heard::Declined(why) => self.so_far.declined.push(Declined { runner, why }),
            Heard::InDoubt(why) => self.so_far.in_doubt.push(InDoubt { runner, why }),
        }
        let Placement { taken, in_doubt, .. } = &self.so_far;
        if only_asks && self.asked == 0 && self.left.is_empty() && taken.is_empty() && in_doubt.is_empty() {
            self.left = self.behind.take().unwrap_or_default();
        }
    }

    /// Whoever was asked first is told first, whenever they have answered.
    fn sort(&mut self) {
        let place = |runner: &String| self.order.iter().position(|name| name == runner);
        self.so_far.taken.sort_by_key(|it| place(&it.runner));
        self.so_far.declined.sort_by_key(|it| place(&it.runner));
        self.so_far.in_doubt.sort_by_key(|it| place(&it.runner));
    }

    fn end(&mut self) -> Option<Result<Placement, TaskError>> {
        let is_through = self.asked == 0 && self.left.is_empty();
        let only_asks = self.behind.is_some();
        let Placement { taken, declined, in_doubt, .. } = &self.so_far;
        let is_settled = !taken.is_empty() || !in_doubt.is_empty() || unfit(declined).is_some();
        if !(is_through || is_settled && self.asked == 0 && !self.is_for_all && !only_asks) {
            return None;
        }
        self.sort();
        let Placement { task, taken, declined, in_doubt } = &self.so_far;
        let task = task.clone();
        Some(match (taken.as_slice(), in_doubt.as_slice(), unfit(declined)) {
            ([_, ..], ..) => Ok(std::mem::take(&mut self.so_far)),
            ([], [_, ..], _) => Err(TaskError::NotKnown { task, in_doubt: in_doubt.clone() }),
            ([], [], Some((runner, faults))) => {
                Err(TaskError::BadInputs { task, runner: runner.to_owned(), faults: faults.to_vec() })
            }
            ([], [], None) => Err(TaskError::NoTaker { task, declined: declined.clone() }),
        })
    }
}

/// Whoever has looked at the inputs and found them wrong.
fn unfit(declined: &[Declined]) -> Option<(&str, &[String])> {
    declined.iter().find_map(|one| match &one.why {
        Declination::BadInputs { faults } => Some((one.runner.as_str(), faults.as_slice())),
        _ => None,
    })
}
