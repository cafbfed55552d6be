//! Sleeping until a set of signals is published again, without polling.
//!
//! Whoever goes to sleep says so, looks once more, and sleeps on a word of the page. A publisher looks after each
//! publication whether somebody sleeps, and only then changes that word and wakes. What is said is taken back by the
//! publisher alone, so that a sleeper that was killed costs one wake in vain.

use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::Instant;

use rustix::io::Errno;
use rustix::thread::futex;

use super::signal_page::{SignalPage, Standing};
use super::wait::WaitError;

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roused {
    /// Something newer is there.
    News,
    /// The publisher has ended.
    Ended,
    /// The sleeper was told to give up.
    Stopped,
    /// Its time is over.
    TimedOut,
}

impl SignalPage {
    /// Sleeps until a set is published that is newer than its publication `seen` (0: than none), its publisher ends,
    /// the time comes (never, when none is given), or `is_to_stop`: whoever changes what that says calls
    /// [`rouse`](Self::rouse) afterwards.
    ///
    /// # Errors
    /// [`WaitError`] when the system does not let it sleep.
    pub fn wait(
        &self,
        set: usize,
        seen: u64,
        until: Option<Instant>,
        is_to_stop: &dyn Fn() -> bool,
    ) -> Result<Roused, WaitError> {
        if self.count(set) != seen {
            // Nobody is to be woken for it.
            return Ok(Roused::News);
        }
        let look = || {
            // In this order: once the end is seen, nothing more is published.
            let has_ended = self.standing() != Standing::Open;
            fence(Ordering::Acquire);
            if self.count(set) != seen { Some(Roused::News) } else { has_ended.then_some(Roused::Ended) }
        };
        self.sleep_until(set, look, until, is_to_stop)
    }

    /// Sleeps until the publisher's next life has a page of its own, as [`wait`](Self::wait) does for a publication.
    ///
    /// # Errors
    /// [`WaitError`] when the system does not let it sleep.
    pub fn wait_for_next_life(
        &self,
        until: Option<Instant>,
        is_to_stop: &dyn Fn() -> bool,
    ) -> Result<Roused, WaitError> {
        let look = || (self.standing() == Standing::Superseded).then_some(Roused::News);
        self.sleep_until(0, look, until, is_to_stop)
    }

    /// Sleeps at the bell of a region until there is what is looked for.
    fn sleep_until(
        &self,
        region: usize,
        look: impl Fn() -> Option<Roused>,
        until: Option<Instant>,
        is_to_stop: &dyn Fn() -> bool,
    ) -> Result<Roused, WaitError> {
        let [sleeps, bell] = self.bell(region) else { return Ok(Roused::Stopped) };
        loop {
            // Acquire: who sees the bell as it was rung sees also why, and that nobody is said to sleep any more.
            let rung = bell.load(Ordering::Acquire);
            sleeps.store(1, Ordering::Relaxed);
            // Either the publisher sees that somebody sleeps, or what it has published is seen here.
            fence(Ordering::SeqCst);
            if let Some(roused) = look() {
                return Ok(roused);
            }
            if is_to_stop() {
                return Ok(Roused::Stopped);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Roused::TimedOut);
            }
            sleep_on(bell, rung, left)?;
        }
    }

    /// Whoever sleeps here, in whichever process, looks again.
    pub fn rouse(&self) {
        (0..self.regions()).for_each(|set| self.ring_for_all(set));
    }

    /// After a publication: wakes those who sleep, if anybody does.
    #[inline]
    pub(super) fn ring(&self, set: usize) {
        fence(Ordering::SeqCst);
        if self.bell(set)[0].load(Ordering::Relaxed) != 0 {
            self.ring_for_all(set);
        }
    }

    #[cold]
    fn ring_for_all(&self, set: usize) {
        let [sleeps, bell] = self.bell(set) else { return };
        sleeps.store(0, Ordering::Relaxed);
        // Release: whoever goes to sleep on what the bell says now says so after it was taken back.
        bell.fetch_add(1, Ordering::Release);
        // Nothing can be wrong with a word of this process's own memory, and there is nobody to tell.
        let _ = futex::wake(bell, futex::Flags::empty(), i32::MAX as u32);
    }
}

/// Sleeps as long as the bell is as it was.
fn sleep_on(bell: &AtomicU32, rung: u32, left: Option<std::time::Duration>) -> Result<(), WaitError> {
    let timeout = left.map(|left| rustix::fs::Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    });
    match futex::wait(bell, futex::Flags::empty(), rung, timeout.as_ref()) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
        Err(errno) => Err(WaitError::Poll { errno }),
    }
}
