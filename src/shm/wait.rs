//! Sleeping on doorbells, after a moment of looking.
//!
//! A wait looks for at most [`SPIN_LIMIT`] before it sleeps, and gives the processor away while it looks: on one core
//! a wait that does not yield burns the very slice the other side needs.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long a wait looks for news before it sleeps, unless told otherwise.
pub const SPIN_LIMIT: Duration = Duration::from_micros(20);

/// How many looks pass at most between two offers of the processor, and between two glances at the clock. It begins with
/// one: on one processor the other side runs only when this one has offered it, and 32 looks, each of which pauses, are as
/// long as a small command takes. While the other side runs elsewhere, offers cost more than looks.
const LOOKS_PER_YIELD: u32 = 32;

/// Why a wait could not sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The system refused to poll, for want of memory or because of its limits; nothing was lost.
    #[error("cannot sleep on a doorbell: {errno}")]
    Poll {
        /// What the system answered.
        errno: Errno,
    },
}

/// How long somebody is ready to wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Does not wait.
    None,
    /// Waits until then.
    Until { end: Instant, whole: Duration },
    /// Waits until it is woken.
    Endless,
}

impl Patience {
    /// Patience that ends `whole` from now; endless when the clock does not reach that far.
    pub(super) fn of(whole: Duration) -> Self {
        Instant::now().checked_add(whole).map_or(Self::Endless, |end| Self::Until { end, whole })
    }

    /// What is left of it; nothing, when it is endless.
    fn left(self) -> Option<Duration> {
        match self {
            Self::None => Some(Duration::ZERO),
            Self::Until { end, .. } => Some(end.saturating_duration_since(Instant::now())),
            Self::Endless => None,
        }
    }

    /// Whether it has run out.
    pub(super) fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}

/// Looks for at most `limit`, without sleeping, until `look` finds something.
pub(super) fn look_briefly<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    if limit.is_zero() {
        return None;
    }
    let began = Instant::now();
    let mut looks = 1;
    loop {
        for _ in 0..looks {
            let found = look();
            if found.is_some() {
                return found;
            }
            std::hint::spin_loop();
        }
        if began.elapsed() >= limit {
            return None;
        }
        rustix::thread::sched_yield();
        looks = LOOKS_PER_YIELD.min(2 * looks);
    }
}

/// Looks for a moment, without sleeping, until there is something; says whether there is.
pub fn look_for_a_moment(mut look: impl FnMut() -> bool) -> bool {
    look_briefly(SPIN_LIMIT, || look().then_some(())).is_some()
}

/// Sleeps until one of `bells` rings or `patience` is over. May return early, so the caller looks again in any case.
pub(super) fn sleep_on<const N: usize>(
    bells: [BorrowedFd<'_>; N],
    patience: Patience,
) -> Result<(), WaitError> {
    let mut polled = bells.map(|bell| PollFd::from_borrowed_fd(bell, PollFlags::IN));
    let left = patience.left().map(to_timespec);
    match poll(&mut polled, left.as_ref()) {
        // A signal is no reason to stop waiting: the caller looks again and comes back.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(WaitError::Poll { errno }),
    }
}

/// A time-out as the system wants it; one that is too long for the system is as good as the longest it knows.
fn to_timespec(left: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}
