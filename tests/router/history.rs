//! A history of a rig as its outside sees it, and the checker that says what is wrong with it.
//!
//! The checker knows nothing of the router's insides: it looks at what was offered, what came out of the
//! pipes, what the managers took and answered, and what the callers were told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use labrig::coordinator::router::{Caller, Totals};
use labrig::wire::{Ending, Kind, NotDone};

use super::bench::{DEPTH, NAMES, SCOPE};

/// Stands for one command: what it carries.
pub(crate) type Token = u64;

/// Something that was seen.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// A command was offered and accepted or refused.
    Offered { token: Token, caller: Caller, kind: Kind, goals: Vec<usize>, is_accepted: bool },
    /// It came out of the pipe of that station, marked for that life of it.
    Delivered { token: Token, station: usize, life: u32, marked: u32 },
    /// The station took it.
    Taken { token: Token, station: usize },
    /// The station answered it.
    Answered { token: Token, station: usize },
    /// A manager that called is told of its call, in that life of it.
    Heard { token: Token, life: u32 },
    /// Its caller was told how it ended, and by whom.
    Ended { token: Token, ending: Ending, by: String },
    /// Its caller was told how a broadcast ended at each manager.
    Reported { token: Token, outcomes: Vec<(String, Ending)> },
    /// A one-way command was told to be undelivered.
    Undelivered,
    /// The caller waits no longer.
    Abandoned { token: Token },
    /// A manager died.
    Died { station: usize },
    /// So many commands wait for a manager.
    Waiting { station: usize, waiting: u64 },
}

/// What was seen, in order, and the figures at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) seen: Vec<Seen>,
    pub(crate) totals: Totals,
    pub(crate) in_flight: usize,
}

/// What a command has come to.
#[derive(Default, Debug)]
struct Fate {
    is_accepted: bool,
    kind: Option<Kind>,
    caller: Option<Caller>,
    goals: Vec<usize>,
    delivered: Vec<usize>,
    taken: BTreeSet<usize>,
    answered: BTreeSet<usize>,
    endings: Vec<Ending>,
    reports: usize,
    is_abandoned: bool,
}

/// What is wrong with a history; nothing, when it keeps every promise.
pub(crate) fn mistakes_in(history: &History) -> Vec<String> {
    let mut checker = Checker::default();
    history.seen.iter().for_each(|seen| checker.look_at(seen));
    checker.fates_are_whole();
    checker.totals_add_up(history);
    checker.mistakes
}

#[derive(Default)]
struct Checker {
    fates: BTreeMap<Token, Fate>,
    /// The last command that came from each caller out of each pipe.
    last: HashMap<(String, usize), Token>,
    dead: BTreeSet<(usize, u32)>,
    lives: HashMap<usize, u32>,
    undelivered: u64,
    mistakes: Vec<String>,
}

/// Who a command's order is kept for.
fn sender_of(caller: Caller) -> String {
    match caller {
        Caller::Local(_) => "local".to_owned(),
        Caller::Manager { index, .. } => NAMES[index].to_owned(),
        other => format!("{other:?}"),
    }
}

impl Checker {
    fn blame(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    fn look_at(&mut self, seen: &Seen) {
        match seen {
            Seen::Offered { token, caller, kind, goals, is_accepted } => {
                let fate = self.fates.entry(*token).or_default();
                (fate.kind, fate.caller, fate.goals) = (Some(*kind), Some(*caller), goals.clone());
                fate.is_accepted = *is_accepted;
            }
            Seen::Delivered { token, station, life, marked } => {
                self.delivered(*token, *station);
                if life != marked {
                    self.blame(format!(
                        "{token} is marked for life {marked} of {station}, which lives its {life}"
                    ));
                }
            }
            Seen::Taken { token, station } => drop(self.fate(*token).taken.insert(*station)),
            Seen::Answered { token, station } => drop(self.fate(*token).answered.insert(*station)),
            Seen::Heard { token, life } => self.heard(*token, *life),
            Seen::Ended { token, ending, by } => self.ended(*token, ending, by),
            Seen::Reported { token, outcomes } => self.reported(*token, outcomes),
            Seen::Undelivered => self.undelivered += 1,
            Seen::Abandoned { token } => self.fate(*token).is_abandoned = true,
            Seen::Died { station } => {
                let life = self.lives.entry(*station).or_insert(1);
                self.dead.insert((*station, *life));
                *life += 1;
            }
            Seen::Waiting { station, waiting } if *waiting > u64::from(DEPTH) => {
                self.blame(format!("{waiting} commands wait for {station}"));
            }
            Seen::Waiting { .. } => {}
        }
    }

    fn fate(&mut self, token: Token) -> &mut Fate {
        self.fates.entry(token).or_default()
    }

    fn delivered(&mut self, token: Token, station: usize) {
        let fate = self.fate(token);
        let (is_new, is_goal) = (!fate.delivered.contains(&station), fate.goals.contains(&station));
        fate.delivered.push(station);
        let (is_accepted, caller) = (fate.is_accepted, fate.caller);
        if fate.endings.contains(&Ending::NotDone(NotDone::Expired)) {
            self.blame(format!("{token} came to {station} after its caller was told that it had expired"));
        }
        if !is_new {
            self.blame(format!("{token} came twice to {station}"));
        }
        if !is_accepted || !is_goal {
            self.blame(format!("{token} came to {station}, where it was not to go"));
        }
        if let Some(caller) = caller {
            let last = self.last.insert((sender_of(caller), station), token);
            if last.is_some_and(|last| last > token) {
                self.blame(format!("{token} came to {station} after a later command of its sender"));
            }
        }
    }

    fn heard(&mut self, token: Token, life: u32) {
        match self.fate(token).caller {
            Some(Caller::Manager { generation, .. }) if generation.0 == life => {}
            caller => self.blame(format!("life {life} was told of {token}, which {caller:?} asked")),
        }
    }

    fn ended(&mut self, token: Token, ending: &Ending, by: &str) {
        let fate = self.fate(token);
        fate.endings.push(ending.clone());
        let goals = fate.goals.clone();
        if !by.is_empty() && !goals.iter().any(|goal| NAMES[*goal] == by) {
            self.blame(format!("{token} was ended by `{by}`, which it was not for"));
        }
        if let [goal] = goals[..] {
            self.ending_is_true(token, goal, ending);
        }
    }

    /// What the caller was told is what happened at that station.
    fn ending_is_true(&mut self, token: Token, station: usize, ending: &Ending) {
        let fate = self.fate(token);
        let (was_taken, was_answered) = (fate.taken.contains(&station), fate.answered.contains(&station));
        let is_true = match ending {
            Ending::Done(reply) => was_answered && *reply == reply_of(token, station),
            Ending::NotDone(NotDone::Failed(_)) => was_answered,
            Ending::NotDone(NotDone::Lost | NotDone::Refused(_)) => !was_taken,
            Ending::NotDone(NotDone::Indeterminate) => was_taken && !was_answered,
            // Nobody cancels here; and what expires may be taken, or even answered, meanwhile.
            Ending::NotDone(why) => *why == NotDone::Expired,
        };
        if !is_true {
            self.blame(format!(
                "{token} at {station}: {ending:?} (taken {was_taken}, answered {was_answered})"
            ));
        }
    }

    fn reported(&mut self, token: Token, outcomes: &[(String, Ending)]) {
        let fate = self.fate(token);
        fate.reports += 1;
        let goals = fate.goals.clone();
        let told: Vec<_> = outcomes.iter().map(|(manager, _)| manager.as_str()).collect();
        let expected: Vec<_> = goals.iter().map(|goal| NAMES[*goal]).collect();
        if told != expected {
            self.blame(format!("the report of {token} is about {told:?}, not {expected:?}"));
            return;
        }
        for (goal, (_, ending)) in goals.iter().zip(outcomes) {
            self.ending_is_true(token, *goal, ending);
        }
    }

    /// At the end, every accepted call has been told once, and no other.
    fn fates_are_whole(&mut self) {
        let mut mistakes = Vec::new();
        for (token, fate) in &self.fates {
            let told = fate.endings.len() + fate.reports;
            let expected = usize::from(self.is_to_be_told(fate));
            if told != expected {
                mistakes.push(format!("{token} was told {told} times, not {expected}: {fate:?}"));
            }
            if (fate.kind == Some(Kind::Broadcast)) != (fate.reports > 0) && fate.is_accepted && told > 0 {
                mistakes.push(format!("{token} was told in the wrong way: {fate:?}"));
            }
        }
        self.mistakes.append(&mut mistakes);
    }

    fn is_to_be_told(&self, fate: &Fate) -> bool {
        let is_refused_manager = !fate.is_accepted && matches!(fate.caller, Some(Caller::Manager { .. }));
        let caller_is_dead = match fate.caller {
            Some(Caller::Manager { index, generation, .. }) => self.dead.contains(&(index, generation.0)),
            _ => false,
        };
        let wants_answer = fate.kind != Some(Kind::Send);
        let was_told = !fate.endings.is_empty() || fate.reports > 0;
        // Who died meanwhile may have been told before, and need not have been.
        if caller_is_dead || fate.is_abandoned {
            return wants_answer && was_told;
        }
        wants_answer && (fate.is_accepted || is_refused_manager)
    }

    fn totals_add_up(&mut self, history: &History) {
        let totals = history.totals;
        let of = |kind: fn(Kind) -> bool, is_accepted: bool| {
            let counts = |fate: &&Fate| fate.kind.is_some_and(kind) && fate.is_accepted == is_accepted;
            self.fates.values().filter(counts).count() as u64
        };
        let ran = |fate: &&Fate| fate.kind == Some(Kind::Send) && !fate.taken.is_empty();
        let ran = self.fates.values().filter(ran).count() as u64;
        let refused_sends = self.fates.values().filter(|fate| {
            let by_manager = matches!(fate.caller, Some(Caller::Manager { .. }));
            fate.kind == Some(Kind::Send) && !fate.is_accepted && by_manager
        });
        let figures = [
            ("accepted calls", totals.accepted, of(|kind| kind != Kind::Send, true)),
            ("accepted sends", totals.sends, of(|kind| kind == Kind::Send, true)),
            ("refused", totals.not_accepted, of(|_| true, false)),
            ("ended and in flight", totals.ended() + history.in_flight as u64, totals.accepted),
            ("in flight at the end", history.in_flight as u64, 0),
            ("sends that ran", totals.sends + refused_sends.count() as u64 - totals.undelivered, ran),
            ("told to be undelivered", self.undelivered, totals.undelivered),
        ];
        for (what, found, expected) in figures {
            if found != expected {
                self.blame(format!("{what}: {found}, not {expected}"));
            }
        }
    }
}

/// What a station replies to a command: nobody else would say so.
pub(crate) fn reply_of(token: Token, station: usize) -> Vec<u8> {
    assert!(station <= SCOPE, "there is no such station");
    [&token.to_le_bytes()[..], &[station as u8]].concat()
}
