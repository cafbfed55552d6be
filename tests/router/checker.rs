//! The checker: says what is wrong with a history.
//!
//! It knows nothing of the router's insides. From what was seen it works out by itself what has become of
//! every command at every station, and holds against that what the callers and the stations were told.

mod fates;
mod figures;
mod lives;
mod losses;
mod streams;
mod telling;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use labrig::coordinator::router::Caller;
use labrig::wire::Undelivered;

use super::bench::DEPTH;
use super::history::{History, MEMBERS, Seen, Token};
use fates::Fate;

/// What is wrong with a history; nothing, when it keeps every promise.
pub(crate) fn mistakes_in(history: &History) -> Vec<String> {
    let mut checker = Checker { is_pooled: history.is_pooled, ..Checker::default() };
    history.seen.iter().for_each(|seen| checker.look_at(seen));
    checker.fates_are_whole(history.is_tracing);
    checker.totals_add_up(history);
    checker.mistakes
}

#[derive(Default)]
struct Checker {
    fates: BTreeMap<Token, Fate>,
    /// The last command that came from each caller out of each pipe.
    last: HashMap<(&'static str, usize, bool), Token>,
    lives: HashMap<usize, u32>,
    dead: BTreeSet<(usize, u32)>,
    /// What handlers wait for, by their station.
    waits: BTreeMap<usize, BTreeSet<Token>>,
    /// Calls of which a station is to be told that they are taken back.
    to_cancel: Vec<(Token, usize)>,
    /// Losses of which a life of a manager has not been told yet.
    owed: HashMap<(usize, u32), VecDeque<Undelivered>>,
    /// The managers that have ended or are to end, and whether they are dead; those that are to return are not
    /// among them.
    gone: BTreeMap<usize, bool>,
    /// The managers that are dead now.
    down: BTreeSet<usize>,
    inactive: BTreeSet<usize>,
    /// The managers that have left their safe state.
    unsafe_now: BTreeSet<usize>,
    /// What went into the pipe of an instance and was not answered by it.
    at_work: BTreeSet<(usize, Token)>,
    /// How often calls were given to a next life.
    retried: u64,
    is_pooled: bool,
    mistakes: Vec<String>,
}

impl Checker {
    fn blame(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    fn fate(&mut self, token: Token) -> &mut Fate {
        self.fates.get_mut(&token).expect("what is seen of a command was offered before")
    }

    fn look_at(&mut self, seen: &Seen) {
        match seen {
            Seen::Offered { token, offer } => self.offered(*token, offer),
            Seen::Cancelled { token } => self.cancelled(*token),
            Seen::Abandoned { token } => self.abandoned(*token),
            Seen::ExpirySet { token, deadline } => self.fate(*token).deadline = *deadline,
            Seen::WaitBegan { token } => self.wait_began(*token),
            Seen::WaitEnded { token } => self.wait_ended(*token),
            Seen::Time { now } => self.time_passed(*now),
            // One that it was at and that runs again comes on top of those that waited.
            Seen::Waiting { station, waiting } if *waiting > u64::from(DEPTH) + 1 => {
                self.blame(format!("{waiting} commands wait for {station}"));
            }
            Seen::Waiting { .. } => self.no_cycle_stands(),
            Seen::Died { station, returns } => self.died(*station, *returns),
            Seen::GivenUp { station } => self.given_up(*station),
            Seen::LifeSet { station, is_ready } => self.life_set(*station, *is_ready),
            Seen::Stopped { station } => self.stopped(*station),
            Seen::Inactive { station, is_inactive } => self.set_inactive(*station, *is_inactive),
            Seen::LeavesSafe { station } => self.leaves_safe(*station),
            Seen::SaidSafe { station, is_safe } => self.said_safe(*station, *is_safe),
            Seen::StopOrdered => self.all_stopped(),
            Seen::Closed => self.closed(),
            Seen::Stuck { station, token } => self.blame(format!("{station} waits for {token} for ever")),
            Seen::Quiet { remembered } => self.all_is_told(*remembered),
            seen => self.look_at_station(seen),
        }
    }

    fn look_at_station(&mut self, seen: &Seen) {
        match seen {
            Seen::Delivered { token, station, life, marked } => {
                self.delivered(*token, *station);
                if life != marked {
                    let lives = format!("{station}, which lives its {life}");
                    self.blame(format!("{token} is marked for life {marked} of {lives}"));
                }
            }
            Seen::Dropped { token, station } => self.dropped(*token, *station),
            Seen::TaskFailed { station } if !self.is_pooled || !MEMBERS.contains(station) => {
                self.blame(format!("{station} is no instance, and a task of it failed"));
            }
            Seen::TaskFailed { .. } => {}
            Seen::Taken { token, station } => self.part(*token, *station).is_taken = true,
            Seen::Finished { token, station } => self.finished(*token, *station),
            Seen::Answered { token, station, said } => self.answered(*token, *station, *said),
            Seen::Opened { token, station } => self.opened(*token, *station),
            Seen::ChunkSent { token, number } => self.chunk_sent(*token, *number),
            Seen::Stepped { token, station, step } => self.stepped(*token, *station, *step),
            Seen::ToldToCancel { token, station } => self.told_to_cancel(*token, *station),
            seen => self.look_at_caller(seen),
        }
    }

    fn look_at_caller(&mut self, seen: &Seen) {
        match seen {
            Seen::Heard { token, life } => self.heard(*token, *life),
            Seen::Ended { token, ending, by } => self.ended(*token, ending, by),
            Seen::Reported { token, outcomes } => self.reported(*token, outcomes),
            Seen::OpenHeard { token, reply } => self.open_heard(*token, reply),
            Seen::ChunkHeard { token, chunk } => self.chunk_heard(*token, chunk),
            Seen::StepHeard { token, of, step } => self.step_heard(*token, *of, *step),
            Seen::Undelivered { sender, news } => self.undelivered(*sender, news),
            Seen::LossHeard { station, life, news } => self.loss_heard(*station, *life, news),
            Seen::Traced { caller, station, ending } => self.traced(*caller, *station, ending),
            seen => panic!("nobody looks at {seen:?}"),
        }
    }

    /// Whether whoever offered a command still lives.
    fn is_alive(&self, caller: Caller) -> bool {
        match caller {
            Caller::Manager { index, generation, .. } => !self.dead.contains(&(index, generation.0)),
            _ => true,
        }
    }
}
