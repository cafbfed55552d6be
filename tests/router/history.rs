//! A history of a rig as its outside sees it: what was offered, what came out of the pipes, what the
//! managers took and said, and what the callers were told.

use labrig::coordinator::router::{Caller, Remembered, Totals};
use labrig::wire::{CommandId, Ending, Kind, Refusal, Undelivered};

use super::bench::{NAMES, POOL_NAME, SCOPE, STAGE_X, STAGE_Y};

/// Stands for one command: what it carries, and its caller's number for it.
pub(crate) type Token = u64;

/// Time since the history began, in µs.
pub(crate) type Micros = u64;

/// A command that was offered.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) caller: Caller,
    pub(crate) kind: Kind,
    pub(crate) command: CommandId,
    /// The stations that it is for.
    pub(crate) goals: Vec<usize>,
    /// Those of them in whose queue it was found afterwards.
    pub(crate) reached: Vec<usize>,
    /// When it is to expire.
    pub(crate) deadline: Option<Micros>,
    /// Why it was not accepted.
    pub(crate) refusal: Option<Refusal>,
}

/// How a station says that a call has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Done,
    Failed,
    Cancelled,
}

/// Something that was seen.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// A command was offered and accepted or refused.
    Offered { token: Token, offer: Offer },
    /// Its caller takes it back.
    Cancelled { token: Token },
    /// Its caller waits no longer.
    Abandoned { token: Token },
    /// It is to expire at another time, or never.
    ExpirySet { token: Token, deadline: Option<Micros> },
    /// The handler that asked is about to do nothing else until it has ended.
    WaitBegan { token: Token },
    /// That handler goes on, though it has not.
    WaitEnded { token: Token },
    /// So late is it.
    Time { now: Micros },

    /// A command came out of the pipe of that station, marked for that life of it.
    Delivered { token: Token, station: usize, life: u32, marked: u32 },
    /// The station took it.
    Taken { token: Token, station: usize },
    /// The station has carried out a one-way command.
    Finished { token: Token, station: usize },
    /// The station says how it ended.
    Answered { token: Token, station: usize, said: Said },
    /// The station answers it by a stream.
    Opened { token: Token, station: usize },
    /// The station sends that chunk of the stream.
    ChunkSent { token: Token, number: u32 },
    /// The station says how far it has come.
    Stepped { token: Token, station: usize, step: u32 },
    /// The station is told to cancel a call that it has, or one that it has not.
    ToldToCancel { token: Option<Token>, station: usize },

    /// A manager is told something of its call, in that life of it.
    Heard { token: Token, life: u32 },
    /// Its caller was told how it ended, and by whom.
    Ended { token: Token, ending: Ending, by: String },
    /// Its caller was told how a broadcast ended at each manager.
    Reported { token: Token, outcomes: Vec<(String, Ending)> },
    /// Its caller was told that it is answered by a stream.
    OpenHeard { token: Token, reply: Vec<u8> },
    /// Its caller has got a chunk of the stream.
    ChunkHeard { token: Token, chunk: Vec<u8> },
    /// Its caller was told how far a call has come, and which.
    StepHeard { token: Token, of: Token, step: u32 },
    /// A one-way command of that sender was told to be undelivered.
    Undelivered { sender: Caller, news: Undelivered },
    /// A manager was told that, in that life of it.
    LossHeard { station: usize, life: u32, news: Undelivered },
    /// The end of a call at a station was traced.
    Traced { caller: Caller, station: usize, ending: &'static str },

    /// A manager died, and is to return or not.
    Died { station: usize, returns: bool },
    /// It will not, after all.
    GivenUp { station: usize },
    /// A manager is ready, or starting.
    LifeSet { station: usize, is_ready: bool },
    /// A manager was told to end.
    Stopped { station: usize },
    /// A manager takes nothing that moves, or takes it again.
    Inactive { station: usize, is_inactive: bool },
    /// A manager is said to leave its safe state.
    LeavesSafe { station: usize },
    /// A manager says that it is in its safe state, and counts as safe now, or does not.
    SaidSafe { station: usize, is_safe: bool },
    /// Everything is stopped.
    StopOrdered,
    /// A station has thrown a one-way command away, as it was told.
    Dropped { token: Token, station: usize },
    /// A one-way command of a pool was reported to have failed.
    TaskFailed { station: usize },
    /// The rig has closed.
    Closed,
    /// So many commands wait for a manager.
    Waiting { station: usize, waiting: u64 },
    /// Nothing more happens, though everyone does what there is to do: this station still waits for that.
    Stuck { station: usize, token: Token },
    /// Nothing more happens.
    Quiet { remembered: Remembered },
}

/// What was seen, in order, and the figures at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) seen: Vec<Seen>,
    pub(crate) is_tracing: bool,
    /// Whether the stages are one pool.
    pub(crate) is_pooled: bool,
    pub(crate) totals: Totals,
    pub(crate) remembered: Remembered,
    pub(crate) high_water: usize,
    /// How many chunks were refused that nobody had asked for.
    pub(crate) overflows: u64,
}

/// The number that a caller has for its command.
pub(crate) fn token_of(caller: Caller) -> Token {
    match caller {
        Caller::Local(token) | Caller::Manager { correlation: token, .. } => token,
        Caller::Startup(_) | Caller::Gathering(_) | Caller::Offer(_) => panic!("{caller:?} has no token"),
    }
}

/// The station whose handler a caller may be.
pub(crate) fn station_of(caller: Caller) -> usize {
    match caller {
        Caller::Manager { index, .. } => index,
        _ => SCOPE,
    }
}

/// The stations of which a pool consists.
pub(crate) const MEMBERS: [usize; 2] = [STAGE_X, STAGE_Y];

/// The name of a station, or of the pool behind them.
pub(crate) fn name_at(station: usize) -> &'static str {
    NAMES.get(station).copied().unwrap_or(POOL_NAME)
}

/// What a station replies to a command: nobody else would say so.
pub(crate) fn reply_of(token: Token, station: usize) -> Vec<u8> {
    assert!(station <= SCOPE, "there is no such station");
    [&token.to_le_bytes()[..], &[station as u8]].concat()
}

/// What a chunk of a stream holds: no other does.
pub(crate) fn chunk_of(token: Token, number: u32) -> Vec<u8> {
    [&token.to_le_bytes()[..], &number.to_le_bytes()].concat()
}
