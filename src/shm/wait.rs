//! Sleeping on doorbells, after a moment of looking.
//!
//! A wait looks for at most [`SPIN_LIMIT`] before it sleeps, and gives the processor away while it looks: on one core
//! a wait that does not yield burns the very slice the other side needs.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::clock::monotonic_ns;

/// How long a wait looks for news before it sleeps, unless told otherwise.
pub const SPIN_LIMIT: Duration = Duration::from_micros(20);

/// How many looks pass at most between two offers of the processor, and between two glances at the clock. It begins with
/// one: on one processor the other side runs only when this one has offered it, and 32 looks, each of which pauses, are as
/// long as a small command takes. While the other side runs elsewhere, offers cost more than looks.
const LOOKS_PER_YIELD: u32 = 32;

/// How many times the processor is offered at least before a wait sleeps, however long that takes: when it comes back late,
/// others had something to do, and when they are done there may be something for this one. A great many managers that are
/// asked for something one after the other pass the processors on among themselves so, and none of them need be woken.
const LEAST_OFFERS: u32 = 6;

/// How long that may take at most, in ns: whoever keeps the processor longer than this is not passing it on.
const LONGEST_LOOK_NS: u64 = 1_000_000;

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

/// Whether others want the processors so much that offering one costs a time slice of theirs. Whoever waits sleeps at
/// once then: a sleeper that is woken goes before those who never sleep, one that has offered its processor goes after.
struct Crowd {
    /// In ns of the machine's clock.
    until_ns: AtomicU64,
}

/// Of this process.
static CROWD: Crowd = Crowd { until_ns: AtomicU64::new(0) };

impl Crowd {
    /// An offer that takes so long was accepted by somebody who did not give the processor back. All managers of a large
    /// rig that look for a moment take less.
    const LONG_NS: u64 = 2_500_000;
    /// How long it is believed. Trying again costs a time slice.
    const BELIEVED_NS: u64 = 250_000_000;

    fn is_there(&self, now_ns: u64) -> bool {
        now_ns < self.until_ns.load(Ordering::Relaxed)
    }

    /// The processor was offered at that time, and came back at this.
    fn note_offer(&self, offered_ns: u64, back_ns: u64) {
        if back_ns.saturating_sub(offered_ns) >= Self::LONG_NS {
            self.until_ns.store(back_ns + Self::BELIEVED_NS, Ordering::Relaxed);
        }
    }
}

/// Looks for about `limit`, without sleeping, until `look` finds something.
pub(super) fn look_briefly<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    if limit.is_zero() {
        return None;
    }
    let began_ns = monotonic_ns();
    if CROWD.is_there(began_ns) {
        return look();
    }
    let until_ns = began_ns.saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
    let longest_ns = until_ns.max(began_ns.saturating_add(LONGEST_LOOK_NS));
    let (mut looks, mut offers) = (1, 0);
    loop {
        for _ in 0..looks {
            let found = look();
            if found.is_some() {
                return found;
            }
            std::hint::spin_loop();
        }
        let now_ns = monotonic_ns();
        if now_ns >= longest_ns || (now_ns >= until_ns && offers >= LEAST_OFFERS) {
            return None;
        }
        rustix::thread::sched_yield();
        CROWD.note_offer(now_ns, monotonic_ns());
        offers += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check_crowded(offer_took_ns: u64, later_ns: u64, expected: bool) {
        let crowd = Crowd { until_ns: AtomicU64::new(0) };
        crowd.note_offer(1_000, 1_000 + offer_took_ns);
        assert_eq!(crowd.is_there(1_000 + offer_took_ns + later_ns), expected, "{offer_took_ns} {later_ns}");
    }

    #[test]
    fn an_offer_that_costs_a_time_slice_is_not_repeated_for_a_while() {
        check_crowded(200, 0, false);
        check_crowded(1_500_000, 0, false);
        check_crowded(4_000_000, 0, true);
        check_crowded(4_000_000, Crowd::BELIEVED_NS - 1, true);
        check_crowded(4_000_000, Crowd::BELIEVED_NS, false);
    }
}
