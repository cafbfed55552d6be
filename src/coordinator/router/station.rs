//! A station's queue: bounded, in order, with the policy that each command declares.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::queue::Queue;
use super::{Caller, Moment};
use crate::wire::{CommandId, Filter, Generation, ManagerName, Overflow, Parcel, Refusal, Undelivered};

/// Where the generation stands in an envelope's bytes.
const GENERATION: Range<usize> = 4..8;
/// Where the time left stands there.
const TIME_LEFT: Range<usize> = 24..32;

/// Up to so many one-way commands in the pipe it does not matter which of them have ended.
const FEW_IN_PIPE: usize = 256;

/// How many buffers may wait for a station: each is a descriptor of this process.
const MOST_BUFFERS: usize = 256;

/// What a station can be asked now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Not started, or starting.
    Starting,
    /// Takes commands.
    Ready,
    /// Ending in good order.
    Stopping,
    /// Gone.
    Dead,
}

/// What waits for room in a station's pipe.
#[derive(Debug)]
pub(super) struct Queued {
    /// The sealed envelope.
    pub(super) parcel: Parcel,
    /// The call in flight that it belongs to, when it wants an answer.
    pub(super) call: Option<u64>,
    /// Which command, and who sent it; none for answers and control words, which do not count against the depth.
    pub(super) command: Option<Ordered>,
    /// When it expires.
    pub(super) deadline: Option<Instant>,
    /// What it tells of a call before its end.
    pub(super) tells: Option<Tells>,
    /// Whether it is a command that moves or emits something.
    pub(super) is_hazardous: bool,
}

/// Something about a call in flight, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// How far it has come; a newer word on that takes its place.
    Progress(u64),
    /// Some items of the stream that answers it.
    Chunk(u64),
}

/// A command and who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) command: CommandId,
    pub(super) sender: Caller,
}

/// A command that asks for a place in a queue.
#[derive(Clone, Copy)]
pub(super) struct Entrant {
    pub(super) command: CommandId,
    pub(super) overflow: Overflow,
    pub(super) is_startup: bool,
    pub(super) is_hazardous: bool,
    /// How many buffers travel with it.
    pub(super) buffers: usize,
}

/// What has gone into a station's pipe.
pub(super) enum Advanced {
    Nothing,
    /// An answer or a control word, by its bytes.
    Word(Parcel),
    /// A command, and its number among those that did.
    Command(Queued, u64),
}

/// A manager, or the scope, as the router sees it.
#[derive(Debug)]
pub struct Station {
    /// Its name.
    pub name: ManagerName,
    /// The same, as answers carry it.
    pub(super) shared_name: Arc<str>,
    /// Which life of it.
    pub generation: Generation,
    pub(super) life: Life,
    /// Why it takes no part in this run, when it was found absent.
    pub(super) absent: Option<String>,
    /// How many commands may wait.
    pub(super) depth: u32,
    /// The name of the pool that it belongs to, if it is one of several.
    pub(super) pool_name: Option<ManagerName>,
    /// That pool, by place.
    pub(super) pool: Option<usize>,
    /// When it is a pool itself: its instances, by place.
    pub(super) members: Vec<usize>,
    /// When it is an instance: what went into its pipe and was not answered.
    pub(super) at_work: Vec<u64>,
    /// How often an idempotent call is given to a next life.
    pub(super) max_retries: u32,
    /// Whether calls wait for its next life.
    pub(super) has_next: bool,
    /// Which broadcasts it hears; without filters, all.
    filters: Vec<Filter>,
    /// How many commands have gone into its pipe in this life.
    sent: u64,
    /// What waits for room in the pipe.
    queue: Queue<Queued>,
    commands_queued: usize,
    /// How many of them it had taken when that was last looked at.
    seen_taken: u64,
    /// How many one-way commands have given way to newer ones in its queue, in all lives.
    pub(super) displaced: u64,
    /// One-way commands in the pipe that it has not ended yet, as far as was last seen.
    in_pipe: VecDeque<(u64, Ordered)>,
    /// With so many of them it is looked again.
    look_at: usize,
    /// Whether it takes nothing that moves or emits.
    pub(super) is_inactive: bool,
    /// Whether nothing that it is asked moves or emits anything: its kind has no hazardous command.
    pub(super) is_harmless: bool,
    /// Whether nothing hazardous has been queued for it since it was last in its safe state.
    pub(super) is_safe: bool,
    /// The place of the last hazardous command among those that went into its pipe.
    last_hazard: u64,
    /// The last of its one-way commands that did not run, with the number of others before, when it has not been
    /// told of them yet because it reads too slowly.
    pub(super) untold: Option<Box<Undelivered>>,
}

impl Station {
    /// A station that has not started, for which `depth` commands may wait.
    pub fn new(name: ManagerName, depth: u32) -> Self {
        Self {
            shared_name: name.as_str().into(),
            name,
            generation: Generation(1),
            life: Life::Starting,
            absent: None,
            depth,
            pool_name: None,
            pool: None,
            members: Vec::new(),
            at_work: Vec::new(),
            max_retries: 0,
            has_next: false,
            filters: Vec::new(),
            sent: 0,
            queue: Queue::default(),
            commands_queued: 0,
            displaced: 0,
            seen_taken: 0,
            in_pipe: VecDeque::new(),
            look_at: FEW_IN_PIPE,
            is_inactive: false,
            is_harmless: false,
            is_safe: true,
            last_hazard: 0,
            untold: None,
        }
    }

    /// The station that hears only the broadcasts which one of these filters lets pass; without filters, all.
    pub fn hearing(self, filters: Vec<Filter>) -> Self {
        Self { filters, ..self }
    }

    /// The station whose next life is given what was to be done by the last one, so often at most: those calls
    /// whose command says that it may run again.
    pub fn retrying(self, max_retries: u32) -> Self {
        Self { max_retries, ..self }
    }

    /// The station of a kind without hazardous commands: not even a self-check of it is one.
    pub fn harmless(self, is_harmless: bool) -> Self {
        Self { is_harmless, ..self }
    }

    /// The station that is one instance of a pool: what the pool is given goes to whichever is free.
    pub fn pooled(self, pool: ManagerName) -> Self {
        Self { pool_name: Some(pool), ..self }
    }

    pub(super) fn hears(&self, subject: &str, sender: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.passes(subject, sender))
    }

    /// The station takes no part in this run: whatever it is asked is refused with this reason.
    pub(super) fn leave_out(&mut self, why: String) {
        self.absent = Some(why);
    }

    /// How many commands wait: queued here, or in the pipe and not taken.
    pub fn waiting(&self, taken: u64) -> u64 {
        self.commands_queued as u64 + self.sent.saturating_sub(taken)
    }

    /// Whether a command may be queued; says how many queued ones must give way. Nothing has changed yet.
    pub(super) fn admit(
        &mut self,
        entrant: Entrant,
        taken: impl FnOnce() -> u64,
        name: &dyn Fn() -> String,
    ) -> Result<usize, Refusal> {
        let manager = || self.name.clone();
        if let Some(why) = &self.absent {
            return Err(Refusal::NotPresent { manager: manager(), command: name(), why: why.clone() });
        }
        match self.life {
            Life::Ready => {}
            Life::Starting if entrant.is_startup => {}
            Life::Starting => return Err(Refusal::NotReady { manager: manager(), command: name() }),
            Life::Stopping => return Err(Refusal::Quitting { command: name() }),
            Life::Dead => return Err(Refusal::Dead { manager: manager(), command: name() }),
        }
        if entrant.is_hazardous && self.is_inactive {
            return Err(Refusal::Inactive { manager: manager(), command: name() });
        }
        if !self.has_room_for(entrant.buffers) {
            return Err(Refusal::Busy { manager: manager(), command: name(), depth: MOST_BUFFERS as u32 });
        }
        let depth = u64::from(self.depth);
        let mut waiting = self.waiting(self.seen_taken);
        if waiting >= depth {
            // Only now: the word is the manager's, and each look takes it out of the hands of the processor that it runs on.
            self.seen_taken = taken();
            waiting = self.waiting(self.seen_taken);
        }
        let displaceable = || self.queue.iter().filter(|queued| queued.gives_way_to(entrant.command)).count();
        let displaced = match entrant.overflow {
            Overflow::KeepLatest => displaceable(),
            Overflow::DropOldest if waiting >= depth => displaceable().min(1),
            _ => 0,
        };
        if waiting - displaced as u64 >= depth {
            return Err(Refusal::Busy { manager: manager(), command: name(), depth: self.depth });
        }
        Ok(displaced)
    }

    /// Whether so many more buffers may wait for it.
    pub(super) fn has_room_for(&self, buffers: usize) -> bool {
        let waiting = || self.queue.iter().map(|queued| queued.parcel.buffers().len()).sum::<usize>();
        buffers == 0 || waiting() + buffers <= MOST_BUFFERS
    }

    /// Takes the `most` oldest queued one-way commands of a type out.
    pub(super) fn displace(&mut self, command: CommandId, most: usize) -> Vec<Ordered> {
        if most == 0 {
            return Vec::new();
        }
        let mut left = most;
        let displaced = self.queue.take_where(|queued| {
            let goes = left > 0 && queued.gives_way_to(command);
            left -= usize::from(goes);
            goes
        });
        self.commands_queued -= displaced.len();
        self.displaced += displaced.len() as u64;
        displaced.into_iter().filter_map(|queued| queued.command).collect()
    }

    /// Takes out what waits at that place.
    pub(super) fn withdraw(&mut self, place: u64) -> Option<Queued> {
        let queued = self.queue.remove(place)?;
        self.commands_queued -= usize::from(queued.command.is_some());
        Some(queued)
    }

    /// Queues an envelope, and says at which place.
    pub(super) fn push(&mut self, queued: Queued) -> u64 {
        self.commands_queued += usize::from(queued.command.is_some());
        self.queue.push(queued)
    }

    /// Queues what an earlier life was given, or a pool, for this life.
    pub(super) fn push_again(&mut self, mut queued: Queued) -> u64 {
        queued.parcel.bytes[GENERATION].copy_from_slice(&self.generation.0.to_le_bytes());
        queued.parcel.bytes[TIME_LEFT].fill(0);
        self.push(queued)
    }

    /// Queues something where it was before.
    pub(super) fn put_back(&mut self, place: u64, queued: Queued) {
        self.commands_queued += usize::from(queued.command.is_some());
        self.queue.put_back(place, queued);
    }

    /// What is next, and its place.
    pub(super) fn head(&mut self) -> Option<(u64, &mut Queued)> {
        self.queue.front_mut()
    }

    /// Whether it has nothing to do, as an instance of a pool.
    pub(super) fn is_free(&self) -> bool {
        self.life == Life::Ready && self.commands_queued == 0 && self.at_work.is_empty()
    }

    /// Whether it takes commands now, or will.
    pub(super) fn is_to_be_counted_on(&self) -> bool {
        matches!(self.life, Life::Ready | Life::Starting) || self.has_next
    }

    /// What waits at that place expires at another time than it was to.
    pub(super) fn set_deadline(&mut self, place: u64, deadline: Option<Instant>) {
        if let Some(queued) = self.queue.get_mut(place) {
            queued.deadline = deadline;
            queued.parcel.bytes[TIME_LEFT].fill(0);
        }
    }

    /// Queues an answer or a control word.
    pub(super) fn push_word(&mut self, parcel: Parcel) {
        let _ = self.push(Queued::word(parcel, None));
    }

    /// Queues news of a call that this station has made; of its progress, in the place of older news.
    pub(super) fn push_news(&mut self, tells: Tells, parcel: Parcel) {
        let is_older = |queued: &&mut Queued| queued.tells == Some(tells);
        let is_progress = matches!(tells, Tells::Progress(_));
        match is_progress.then(|| self.queue.iter_mut().find(is_older)).flatten() {
            Some(older) => older.parcel = parcel,
            None => drop(self.push(Queued::word(parcel, Some(tells)))),
        }
    }

    /// How many chunks of the stream that answers a call of this station have not gone into its pipe.
    pub(super) fn chunks_waiting(&self, call: u64) -> u32 {
        let waiting = self.queue.iter().filter(|queued| queued.tells == Some(Tells::Chunk(call))).count();
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// How many answers and control words wait.
    pub(super) fn words_waiting(&self) -> usize {
        self.queue.len() - self.commands_queued
    }

    /// The envelope at the front, with the time left as of now.
    pub(super) fn front(&mut self, now: &Moment) -> Option<&Parcel> {
        let (_, front) = self.queue.front_mut()?;
        if let Some(deadline) = front.deadline {
            let left = deadline.saturating_duration_since(now.get()).as_micros();
            let left = u64::try_from(left).unwrap_or(u64::MAX).max(1);
            front.parcel.bytes[TIME_LEFT].copy_from_slice(&left.to_le_bytes());
        }
        Some(&front.parcel)
    }

    /// The front has gone into the pipe; says what that was.
    pub(super) fn advance(&mut self, done: impl FnOnce() -> u64) -> Advanced {
        let Some(front) = self.queue.pop() else { return Advanced::Nothing };
        let Some(command) = front.command else { return Advanced::Word(front.parcel) };
        self.commands_queued -= 1;
        if front.call.is_none() {
            self.passed(command, done);
        } else {
            self.sent += 1;
        }
        if front.is_hazardous {
            self.last_hazard = self.sent;
        }
        Advanced::Command(front, self.sent)
    }

    /// A one-way command has gone into the pipe.
    pub(super) fn passed(&mut self, command: Ordered, done: impl FnOnce() -> u64) {
        self.sent += 1;
        self.in_pipe.push_back((self.sent, command));
        if self.in_pipe.len() >= self.look_at {
            self.forget_done(done());
        }
    }

    /// Whether it is no pool, nor an instance of one, and whatever comes next goes into its pipe next.
    pub(super) fn has_nothing_waiting(&self) -> bool {
        self.queue.len() == 0 && self.untold.is_none() && self.pool.is_none() && self.members.is_empty()
    }

    fn forget_done(&mut self, done: u64) {
        let first = self.in_pipe.partition_point(|(ordinal, _)| *ordinal <= done);
        self.in_pipe.drain(..first);
        self.look_at = FEW_IN_PIPE.max(2 * self.in_pipe.len());
    }

    /// Takes out every command that has not gone into the pipe; answers and words stay.
    pub(super) fn take_commands(&mut self) -> Vec<Queued> {
        self.take_where(|queued| queued.command.is_some())
    }

    /// Takes every hazardous command out that has not gone into the pipe.
    pub(super) fn take_hazards(&mut self) -> Vec<Queued> {
        self.take_where(|queued| queued.is_hazardous)
    }

    fn take_where(&mut self, goes: impl Fn(&Queued) -> bool) -> Vec<Queued> {
        let gone = self.queue.take_where(goes);
        self.commands_queued -= gone.iter().filter(|queued| queued.command.is_some()).count();
        gone
    }

    /// Empties everything when the station is gone. Gives the one-way command that it was at when it had taken
    /// more than it had ended, and those that it had not taken.
    pub(super) fn clear(&mut self, taken: u64, done: u64) -> (Option<Ordered>, Vec<Ordered>) {
        let (mut begun, mut lost) = (None, Vec::new());
        for (ordinal, ordered) in self.in_pipe.drain(..) {
            match ordinal {
                _ if ordinal > taken => lost.push(ordered),
                _ if ordinal > done => begun = Some(ordered),
                _ => {}
            }
        }
        let queued = self.queue.take_where(|_| true).into_iter();
        lost.extend(queued.filter(|queued| queued.call.is_none()).filter_map(|it| it.command));
        self.commands_queued = 0;
        self.untold = None;
        (begun, lost)
    }

    /// A new life. The end of the old one has left nothing behind.
    pub(super) fn begin_life(&mut self, generation: Generation) {
        self.generation = generation;
        self.life = Life::Starting;
        self.absent = None;
        self.sent = 0;
        self.seen_taken = 0;
        self.look_at = FEW_IN_PIPE;
        self.at_work.clear();
        self.is_safe = true;
        self.last_hazard = 0;
    }

    /// How many commands have gone into its pipe in this life: the number of the last.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether something hazardous waits here, or went into the pipe behind those that were taken.
    pub(super) fn has_hazards_ahead(&self, taken: u64) -> bool {
        self.last_hazard > taken || self.queue.iter().any(|queued| queued.is_hazardous)
    }

    /// Forgets a one-way command that went into its pipe, and gives it, if it is still remembered.
    pub(super) fn forget_one_way(&mut self, ordinal: u64) -> Option<Ordered> {
        let at = self.in_pipe.iter().position(|(found, _)| *found == ordinal)?;
        self.in_pipe.remove(at).map(|(_, ordered)| ordered)
    }

    /// Forgets the one-way commands that it has not taken, and gives them.
    pub(super) fn forget_untaken(&mut self, taken: u64) -> Vec<Ordered> {
        let first = self.in_pipe.partition_point(|(ordinal, _)| *ordinal <= taken);
        self.in_pipe.drain(first..).map(|(_, ordered)| ordered).collect()
    }
}

impl Queued {
    /// An answer or a control word.
    fn word(parcel: Parcel, tells: Option<Tells>) -> Self {
        Self { parcel, call: None, command: None, deadline: None, tells, is_hazardous: false }
    }

    /// Whether a newer command of this type may take its place.
    fn gives_way_to(&self, command: CommandId) -> bool {
        self.call.is_none() && self.command.is_some_and(|ordered| ordered.command == command)
    }
}
