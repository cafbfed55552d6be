//! The status page: what a manager is doing, readable even when it hangs or is dead.
//!
//! One page per life of a manager, mapped by it and by the coordinator. Each word has one writer; nothing locks, blocks
//! or makes a system call. The page tells *whether* a command was begun, *since when* the manager is busy, and carries
//! the urgent words that must not wait behind the commands of a pipe. What the codes and counters mean is the business
//! of the floors above.

use super::cancels::CancelWords;
use super::clock::monotonic_ns;
use super::layout::{Apart, LAYOUT_VERSION, Words, add};
use super::mapping::Mapping;
use super::segment::{PAGE_BYTES, Segment, SegmentCreateError, SegmentOpenError};
use std::ops::BitOr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// `labrigST` as a number: the first word of a status page.
const STATUS_MAGIC: u64 = u64::from_le_bytes(*b"labrigST");

/// How often a look at a changing page is repeated before it is given as it is.
const LOOKS: u32 = 16;

/// Why a descriptor was not accepted as a status page. It is closed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusPageError {
    /// The descriptor is no usable segment.
    #[error("status page: {0}")]
    Segment(#[from] SegmentOpenError),
    /// The segment holds something else; the wrong descriptor was handed over.
    #[error("the segment is not a status page: it starts with {found:#x}")]
    NotAStatusPage {
        /// Its first eight bytes.
        found: u64,
    },
    /// The page was made by another version of labrig.
    #[error("the status page has layout version {found}, expected {expected}")]
    OtherVersion {
        /// The page's version.
        found: u32,
        /// What this program knows.
        expected: u32,
    },
}

/// A set of urgent requests from the coordinator to a manager.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Urgent(u64);

impl Urgent {
    /// Nothing is asked for.
    pub const NONE: Self = Self(0);
    /// Leave.
    pub const QUIT: Self = Self(1);
    /// Enter the safe state.
    pub const SAFE: Self = Self(1 << 1);
    /// Cancel the commands that were posted.
    pub const CANCEL: Self = Self(1 << 2);
    /// There are more to cancel than there was room for: say when those that were posted are taken.
    pub const MORE_CANCELS: Self = Self(1 << 3);

    /// The set of these bits; bits without a name here are free for the floors above.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits of the set.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether everything in `other` is asked for.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Urgent {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a manager is doing, or did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// The ordinal of the last envelope whose handler was begun; 0 before the first.
    pub taken: u64,
    /// The ordinal of the last envelope whose handler has returned; 0 before the first.
    pub done: u64,
    /// The fingerprint of the command in `taken`.
    pub current_command: u64,
    /// Since when that handler runs, in nanoseconds of [`super::monotonic_ns`]; nothing when the manager is idle.
    pub busy_since_ns: Option<u64>,
    /// How long that handler may run, in nanoseconds; nothing when it may take as long as it likes.
    pub allowance_ns: Option<u64>,
    /// What the manager is busy with, when it is no command: the code given to [`StatusPage::begin_step`]; else 0.
    pub step: u64,
    /// How many such steps were begun.
    pub steps: u64,
}

#[derive(Debug)]
#[repr(C)]
struct StatusWords {
    about: Apart<AboutWords>,
    activity: Apart<ActivityWords>,
    requests: Apart<RequestWords>,
    counters: Apart<[AtomicU64; StatusPage::COUNTERS]>,
    cancels: Apart<CancelWords>,
}

/// Written at the beginning of a life; `state` by either side.
#[derive(Debug)]
#[repr(C)]
struct AboutWords {
    magic: AtomicU64,
    version: AtomicU32,
    state: AtomicU32,
    generation: AtomicU64,
    pid: AtomicU32,
    witnesses: [AtomicU32; StatusPage::WITNESSES],
}

/// Written by the manager.
#[derive(Debug)]
#[repr(C)]
struct ActivityWords {
    taken: AtomicU64,
    done: AtomicU64,
    current_command: AtomicU64,
    busy_since_ns: AtomicU64,
    allowance_ns: AtomicU64,
    step: AtomicU64,
    steps: AtomicU64,
    /// 1 while the manager is in its safe state.
    is_safe: AtomicU64,
}

/// Written by the coordinator; `urgent` is emptied by the manager.
#[derive(Debug)]
#[repr(C)]
struct RequestWords {
    urgent: AtomicU64,
    /// 1 when whatever runs is to give up, for good.
    gives_up: AtomicU64,
    /// 1 while the coordinator looks at this page again and again.
    is_watched: AtomicU64,
    lease_until_ns: AtomicU64,
    arguments: [AtomicU64; StatusPage::ARGUMENTS],
}

// SAFETY: `repr(C)`, and atomics throughout.
unsafe impl Words for StatusWords {}

const _: () = assert!(size_of::<StatusWords>() <= PAGE_BYTES);

/// The page that a manager and the coordinator share for one life of the manager.
#[derive(Debug)]
pub struct StatusPage {
    segment: Segment,
    memory: Mapping,
}

impl StatusPage {
    /// How many counters there are.
    pub const COUNTERS: usize = 64;
    /// How many argument words there are.
    pub const ARGUMENTS: usize = 8;
    /// How many threads testify to the manager's life.
    pub const WITNESSES: usize = 2;

    /// Creates the page of one life of a manager; everything but the generation is zero.
    ///
    /// # Errors
    /// - [`SegmentCreateError`]: the system refused the memory.
    pub fn create(generation: u64) -> Result<Self, SegmentCreateError> {
        let (segment, memory) = Segment::create_shared("labrig-status", PAGE_BYTES)?;
        let page = Self { segment, memory };
        let about = page.about();
        about.version.store(LAYOUT_VERSION, Ordering::Relaxed);
        about.generation.store(generation, Ordering::Relaxed);
        about.magic.store(STATUS_MAGIC, Ordering::Release);
        Ok(page)
    }

    /// Maps a page that another process created.
    ///
    /// # Errors
    /// - [`StatusPageError::Segment`], [`StatusPageError::NotAStatusPage`]: a wrong descriptor was handed over.
    /// - [`StatusPageError::OtherVersion`]: coordinator and manager come from different versions of labrig.
    pub fn map(fd: OwnedFd) -> Result<Self, StatusPageError> {
        let (segment, memory) = Segment::open_shared(fd, PAGE_BYTES)?;
        let page = Self { segment, memory };
        let found = page.about().magic.load(Ordering::Acquire);
        if found != STATUS_MAGIC {
            return Err(StatusPageError::NotAStatusPage { found });
        }
        let found = page.about().version.load(Ordering::Relaxed);
        if found != LAYOUT_VERSION {
            return Err(StatusPageError::OtherVersion { found, expected: LAYOUT_VERSION });
        }
        Ok(page)
    }

    /// The descriptor to hand to the manager.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    /// Which life of the manager this page belongs to.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.about().generation.load(Ordering::Relaxed)
    }

    /// The manager's process; 0 until it has said so.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.about().pid.load(Ordering::Relaxed)
    }

    /// Says which process the manager is.
    pub fn set_pid(&self, pid: u32) {
        self.about().pid.store(pid, Ordering::Relaxed);
    }

    /// The threads that last as long as the manager's process, by their numbers; 0 for those that have not said so.
    #[must_use]
    pub fn witnesses(&self) -> [u32; Self::WITNESSES] {
        self.about().witnesses.each_ref().map(|thread| thread.load(Ordering::Relaxed))
    }

    /// Says that a thread lasts as long as the manager's process.
    ///
    /// # Panics
    /// When `index` is not less than [`StatusPage::WITNESSES`].
    pub fn set_witness(&self, index: usize, thread: u32) {
        self.about().witnesses[index].store(thread, Ordering::Relaxed);
    }

    /// The code of the state the manager is in. Everything written before it was set is visible.
    #[must_use]
    pub fn state_code(&self) -> u32 {
        self.about().state.load(Ordering::Acquire)
    }

    /// Sets the state.
    pub fn set_state_code(&self, code: u32) {
        self.about().state.store(code, Ordering::Release);
    }

    /// Moves from one state to another unless somebody else has moved meanwhile, and says which state it was in.
    ///
    /// # Errors
    /// The code of the state it is in, when that is not `from`; nothing was changed.
    pub fn change_state_code(&self, from: u32, to: u32) -> Result<u32, u32> {
        self.about().state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// The manager takes an envelope: call it right before the handler. Once this has returned, a coordinator that
    /// finds the manager dead knows that the command may have run. `now_ns` is of [`monotonic_ns`].
    pub fn begin(&self, ordinal: u64, command: u64, allowance_ns: Option<u64>, now_ns: u64) {
        let words = self.activity_words();
        words.taken.store(ordinal, Ordering::Relaxed);
        // Who sees one of the words below sees `taken` too: see `activity`.
        fence(Ordering::Release);
        words.current_command.store(command, Ordering::Relaxed);
        words.allowance_ns.store(allowance_ns.unwrap_or(0), Ordering::Relaxed);
        words.busy_since_ns.store(now_ns, Ordering::Release);
        // A release store lets later instructions move before it; nothing of the handler may. Whoever looks at the page of
        // the dead sees all that they have stored: it need not wait until others could see it now.
        fence(Ordering::AcqRel);
    }

    /// The handler has returned.
    pub fn finish(&self, ordinal: u64) {
        let words = self.activity_words();
        // Release: nothing of the handler may move behind it.
        words.done.store(ordinal, Ordering::Release);
        words.busy_since_ns.store(0, Ordering::Release);
    }

    /// The manager begins something that is no command, such as a timer; its code is the business of the floors
    /// above, and not 0. Whether the coordinator watches: when not, it is to be told.
    #[must_use]
    pub fn begin_step(&self, code: u64, allowance_ns: Option<u64>) -> bool {
        let words = self.activity_words();
        words.step.store(code, Ordering::Relaxed);
        words.allowance_ns.store(allowance_ns.unwrap_or(0), Ordering::Relaxed);
        words.steps.store(words.steps.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        words.busy_since_ns.store(monotonic_ns(), Ordering::Release);
        // Either the coordinator, which ceases to watch, sees the new step, or it is seen here that it has ceased.
        fence(Ordering::SeqCst);
        self.is_watched()
    }

    /// The step has ended.
    pub fn finish_step(&self) {
        let words = self.activity_words();
        words.busy_since_ns.store(0, Ordering::Release);
        words.step.store(0, Ordering::Release);
    }

    /// Whether the coordinator looks at this page again and again.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.requests().is_watched.load(Ordering::Relaxed) != 0
    }

    /// The coordinator begins or ceases to look. One that ceases looks once more, at the steps and the busy
    /// time: who began meanwhile may not tell it.
    pub fn set_watched(&self, is_watched: bool) {
        self.requests().is_watched.store(u64::from(is_watched), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Whether the manager is in its safe state, as far as it has said.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.activity_words().is_safe.load(Ordering::Acquire) != 0
    }

    /// The manager has entered its safe state, or leaves it.
    pub fn set_safe(&self, is_safe: bool) {
        self.activity_words().is_safe.store(u64::from(is_safe), Ordering::Release);
    }

    /// Sets how long the running handler may take, counted from its beginning.
    pub fn set_allowance(&self, allowance_ns: Option<u64>) {
        self.activity_words().allowance_ns.store(allowance_ns.unwrap_or(0), Ordering::Relaxed);
    }

    /// What the manager is doing. The words belong to one and the same envelope, unless the manager takes envelopes so
    /// fast that no look succeeds; then it certainly does not hang. Exact when the manager is dead.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let mut seen = self.look();
        for _ in 0..LOOKS {
            fence(Ordering::Acquire);
            if self.activity_words().taken.load(Ordering::Relaxed) == seen.taken {
                break;
            }
            seen = self.look();
        }
        seen
    }

    /// How many envelopes the manager has taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.activity_words().taken.load(Ordering::Acquire)
    }

    /// How many handlers have returned.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.activity_words().done.load(Ordering::Acquire)
    }

    fn look(&self) -> Activity {
        let words = self.activity_words();
        let (taken, done) = (self.taken(), self.done());
        let since = words.busy_since_ns.load(Ordering::Acquire);
        let allowance = words.allowance_ns.load(Ordering::Relaxed);
        Activity {
            taken,
            done,
            current_command: words.current_command.load(Ordering::Relaxed),
            busy_since_ns: (since != 0).then_some(since),
            allowance_ns: (allowance != 0).then_some(allowance),
            step: words.step.load(Ordering::Acquire),
            steps: words.steps.load(Ordering::Acquire),
        }
    }

    /// Whatever the manager is at is to give up, because it ends; for good. A manager looks by itself when a handler
    /// has returned.
    pub fn give_up(&self) {
        self.requests().gives_up.store(1, Ordering::Release);
    }

    /// Whether whatever the manager is at is to give up.
    pub fn is_to_give_up(&self) -> bool {
        self.requests().gives_up.load(Ordering::Acquire) != 0
    }

    /// The coordinator asks for something urgent, on top of what it has asked for; ring the manager's bell afterwards.
    /// Argument words that were set before are visible to whoever sees the request.
    pub fn raise(&self, requests: Urgent) {
        self.requests().urgent.fetch_or(requests.bits(), Ordering::AcqRel);
    }

    /// What is asked for and has not been taken.
    #[must_use]
    pub fn urgent(&self) -> Urgent {
        Urgent(self.requests().urgent.load(Ordering::Acquire))
    }

    /// The manager takes all requests at once; one raised at the same time is either in them or still to be taken.
    #[must_use]
    pub fn take_urgent(&self) -> Urgent {
        Urgent(self.requests().urgent.swap(0, Ordering::AcqRel))
    }

    /// The coordinator posts a command to be cancelled, by the number of its call; says whether there was room.
    /// Only one thread at a time may do so. Raise [`Urgent::CANCEL`] and ring the manager's bell afterwards.
    #[must_use]
    pub fn post_cancel(&self, call: u64) -> bool {
        self.words().cancels.0.put(call)
    }

    /// Whether a command that is to be cancelled waits to be taken, or is being taken.
    pub fn has_cancels(&self) -> bool {
        self.words().cancels.0.has_any()
    }

    /// The manager takes the oldest command that is to be cancelled, when it has heeded that, and is told whether
    /// there was one. Only one thread at a time may do so.
    pub fn take_cancel(&self, heed: impl FnOnce(u64)) -> bool {
        self.words().cancels.0.take(heed)
    }

    /// An argument of an urgent request.
    ///
    /// # Panics
    /// When `index` is not less than [`StatusPage::ARGUMENTS`].
    #[must_use]
    pub fn argument(&self, index: usize) -> u64 {
        self.requests().arguments[index].load(Ordering::Acquire)
    }

    /// Sets an argument; do it before raising the request.
    ///
    /// # Panics
    /// When `index` is not less than [`StatusPage::ARGUMENTS`].
    pub fn set_argument(&self, index: usize, value: u64) {
        self.requests().arguments[index].store(value, Ordering::Release);
    }

    /// Until when the coordinator vouches for being alive, in nanoseconds of [`super::monotonic_ns`]; 0 before the
    /// first lease.
    #[must_use]
    pub fn lease_until_ns(&self) -> u64 {
        self.requests().lease_until_ns.load(Ordering::Acquire)
    }

    /// Renews the lease.
    pub fn set_lease_until_ns(&self, until: u64) {
        self.requests().lease_until_ns.store(until, Ordering::Release);
    }

    /// One of the manager's counters.
    ///
    /// # Panics
    /// When `index` is not less than [`StatusPage::COUNTERS`].
    #[must_use]
    pub fn counter(&self, index: usize) -> u64 {
        self.words().counters.0[index].load(Ordering::Relaxed)
    }

    /// Adds to a counter. Only one thread may add to the same counter.
    ///
    /// # Panics
    /// When `index` is not less than [`StatusPage::COUNTERS`].
    pub fn count(&self, index: usize, more: u64) {
        add(&self.words().counters.0[index], more);
    }

    fn about(&self) -> &AboutWords {
        &self.words().about.0
    }

    fn activity_words(&self) -> &ActivityWords {
        &self.words().activity.0
    }

    fn requests(&self) -> &RequestWords {
        &self.words().requests.0
    }

    fn words(&self) -> &StatusWords {
        self.memory.view(0)
    }
}
