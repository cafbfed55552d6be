//! What a manager's worker says of itself on its status page: what it is at, and how long that may take.
//!
//! The coordinator reads it and judges; nothing here does. A handler pushes its own limit when it gives a sign of life,
//! and time that it waits inside labrig does not count. In the coordinator's own process there is no page, and
//! nothing is said.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::shm::{StatusPage, monotonic_ns};

/// Something that a worker is at that is no command. Timers and frame handlers are known by their place among those of
/// their manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    SetUp,
    Timer(usize),
    Frame(usize),
    SafeState,
}

impl Step {
    /// How many bits of a code tell the sort of step.
    const SORT_BITS: u32 = 8;

    /// The step as a word of a status page; never 0.
    pub(crate) fn code(self) -> u64 {
        let (sort, place) = match self {
            Self::SetUp => (1, 0),
            Self::Timer(place) => (2, place as u64),
            Self::Frame(place) => (3, place as u64),
            Self::SafeState => (4, 0),
        };
        sort | place << Self::SORT_BITS
    }

    /// The step with that code, as far as it makes sense: a page is written by others.
    pub(crate) fn of_code(code: u64) -> Option<Self> {
        let place = usize::try_from(code >> Self::SORT_BITS).ok()?;
        match code & ((1 << Self::SORT_BITS) - 1) {
            1 => Some(Self::SetUp),
            2 => Some(Self::Timer(place)),
            3 => Some(Self::Frame(place)),
            4 => Some(Self::SafeState),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetUp => f.write_str("its set-up"),
            Self::Timer(place) => write!(f, "timer {}", place + 1),
            Self::Frame(place) => write!(f, "frame handler {}", place + 1),
            Self::SafeState => f.write_str("entering its safe state"),
        }
    }
}

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    signs: OnceLock<Signs>,
    /// When the coordinator was told last that a step has begun which it does not watch.
    told_at_ns: AtomicU64,
}

#[derive(Debug)]
struct Signs {
    page: Arc<StatusPage>,
    watchdog_ns: Option<u64>,
    worker: ThreadId,
}

impl Vitals {
    /// From now on this thread's doings are said on that page. Without a time for the watchdog (0) each may take as
    /// long as it likes.
    pub(crate) fn attach(&self, page: Arc<StatusPage>, watchdog_ms: u64) {
        let watchdog_ns = (watchdog_ms > 0).then(|| watchdog_ms.saturating_mul(1_000_000));
        let signs = Signs { page, watchdog_ns, worker: thread::current().id() };
        if self.signs.set(signs).is_err() {
            log::warn!("this worker has a status page already");
        }
    }

    /// How long a handler may take as long as it gives no sign of life.
    pub(crate) fn allowance_ns(&self) -> Option<u64> {
        self.signs.get().and_then(|signs| signs.watchdog_ns)
    }

    /// A step begins. When nobody watches and somebody is to, `tell` says so to the coordinator, and whether it was
    /// possible: a coordinator that was told watches for the whole of the watchdog's time, so it need not hear
    /// of each.
    pub(crate) fn begin_step(&self, step: Step, tell: impl FnOnce() -> bool) {
        let Some(signs) = self.signs.get() else { return };
        // The deadline of the start covers set-up.
        let allowance = signs.watchdog_ns.filter(|_| step != Step::SetUp);
        let is_watched = signs.page.begin_step(step.code(), allowance);
        if let Some(allowance) = allowance
            && !is_watched
            && self.is_to_be_told(allowance)
            && tell()
        {
            self.told_at_ns.store(monotonic_ns(), Ordering::Relaxed);
        }
    }

    fn is_to_be_told(&self, watchdog_ns: u64) -> bool {
        let told_at = self.told_at_ns.load(Ordering::Relaxed);
        told_at == 0 || monotonic_ns().saturating_sub(told_at) >= watchdog_ns
    }

    /// The step has ended.
    pub(crate) fn finish_step(&self) {
        if let Some(signs) = self.signs.get() {
            signs.page.finish_step();
        }
    }

    /// A sign of life: from now on what runs may take as long as it might when it began.
    pub(crate) fn push(&self) {
        if let Some(signs) = self.signs.get()
            && let Some(watchdog) = signs.watchdog_ns
        {
            signs.grant(watchdog);
        }
    }

    /// What runs may take so long from now on.
    pub(crate) fn extend(&self, duration: Duration) {
        if let Some(signs) = self.signs.get() {
            signs.grant(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Whether this is the thread whose doings are said there.
    pub(crate) fn is_worker(&self) -> bool {
        self.signs.get().is_some_and(|signs| signs.worker == thread::current().id())
    }

    /// The worker waits inside labrig until what is returned is dropped: that time does not count. On other threads
    /// nothing changes, as they are not watched.
    pub(crate) fn pause(&self) -> Pause<'_> {
        let signs = self.signs.get().filter(|signs| signs.worker == thread::current().id());
        let paused = signs.and_then(|signs| {
            let allowance_ns = signs.page.activity().allowance_ns?;
            signs.page.set_allowance(None);
            Some((signs, allowance_ns))
        });
        Pause(paused)
    }
}

impl Signs {
    /// Pushes the limit of what runs, if it has one, to `more_ns` from now. Never pulls it.
    fn grant(&self, more_ns: u64) {
        if let Some(allowance) = self.page.activity().allowance_ns {
            self.set_at_least(allowance, more_ns);
        }
    }

    fn set_at_least(&self, allowance_ns: u64, more_ns: u64) {
        let since = self.page.activity().busy_since_ns;
        let elapsed = since.map_or(0, |since| monotonic_ns().saturating_sub(since));
        self.page.set_allowance(Some(allowance_ns.max(elapsed.saturating_add(more_ns))));
    }
}

/// A wait that does not count. One inside another one is part of it.
pub(crate) struct Pause<'a>(Option<(&'a Signs, u64)>);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        if let Some((signs, allowance_ns)) = self.0 {
            signs.set_at_least(allowance_ns, signs.watchdog_ns.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCHDOG_MS: u64 = 2_000;
    const WATCHDOG_NS: u64 = 2_000_000_000;
    const HOUR: Duration = Duration::from_secs(3600);

    fn vitals(watchdog_ms: u64) -> (Arc<StatusPage>, Vitals) {
        let page = Arc::new(StatusPage::create(1).expect("memory can be had"));
        let vitals = Vitals::default();
        vitals.attach(Arc::clone(&page), watchdog_ms);
        (page, vitals)
    }

    fn allowance(page: &StatusPage) -> Option<u64> {
        page.activity().allowance_ns
    }

    #[test]
    fn every_step_has_a_code_of_its_own() {
        for step in [Step::SetUp, Step::Timer(0), Step::Timer(3), Step::Frame(0), Step::SafeState] {
            assert_eq!(Step::of_code(step.code()), Some(step), "{step}");
        }
        assert_eq!((Step::of_code(0), Step::of_code(200)), (None, None));
    }

    #[test]
    fn a_sign_of_life_pushes_the_limit_and_never_pulls_it() {
        let (page, vitals) = vitals(WATCHDOG_MS);
        page.begin(1, 7, vitals.allowance_ns(), monotonic_ns());
        assert_eq!(allowance(&page), Some(WATCHDOG_NS));
        vitals.push();
        assert!(allowance(&page) > Some(WATCHDOG_NS));
        vitals.extend(HOUR);
        let pushed = allowance(&page);
        assert!(pushed >= Some(3_600_000_000_000));
        vitals.push();
        vitals.extend(Duration::ZERO);
        assert_eq!(allowance(&page), pushed);
        vitals.extend(Duration::MAX);
        assert_eq!(allowance(&page), Some(u64::MAX));
    }

    #[test]
    fn what_has_no_limit_is_given_none() {
        for watchdog_ms in [0, WATCHDOG_MS] {
            let (page, vitals) = vitals(watchdog_ms);
            page.begin(1, 7, None, monotonic_ns());
            vitals.push();
            vitals.extend(HOUR);
            drop(vitals.pause());
            assert_eq!(allowance(&page), None);
        }
    }

    #[test]
    fn time_that_is_waited_does_not_count() {
        let (page, vitals) = vitals(WATCHDOG_MS);
        page.begin(1, 7, vitals.allowance_ns(), monotonic_ns());
        let outer = vitals.pause();
        let inner = vitals.pause();
        assert_eq!(allowance(&page), None);
        drop(inner);
        assert_eq!(allowance(&page), None, "the outer wait goes on");
        drop(outer);
        assert!(allowance(&page) > Some(WATCHDOG_NS));
    }

    #[test]
    fn the_waits_of_other_threads_change_nothing() {
        let (page, vitals) = vitals(WATCHDOG_MS);
        page.begin(1, 7, vitals.allowance_ns(), monotonic_ns());
        let seen = thread::scope(|threads| {
            let other = threads.spawn(|| {
                let _paused = vitals.pause();
                allowance(&page)
            });
            other.join().expect("it does not panic")
        });
        assert_eq!(seen, Some(WATCHDOG_NS));
    }

    /// How often the coordinator is told of three steps one right after the other.
    fn check_told(watchdog_ms: u64, is_watched: bool, is_told: bool, expected: u32) {
        let (page, vitals) = vitals(watchdog_ms);
        page.set_watched(is_watched);
        let mut times = 0;
        for place in 0..3 {
            vitals.begin_step(Step::Timer(place), || {
                times += 1;
                is_told
            });
            assert_eq!(page.activity().step, Step::Timer(place).code());
            vitals.finish_step();
        }
        assert_eq!((times, page.activity().step, page.activity().busy_since_ns), (expected, 0, None));
    }

    #[test]
    fn a_coordinator_that_does_not_watch_is_told_once_in_the_watchdogs_time() {
        check_told(WATCHDOG_MS, false, true, 1);
        // There was no room: the next one tries again.
        check_told(WATCHDOG_MS, false, false, 3);
        check_told(WATCHDOG_MS, true, true, 0);
        check_told(0, false, true, 0);
        let (_, hasty) = vitals(1);
        let mut times = 0;
        while times < 2 {
            hasty.begin_step(Step::Timer(0), || {
                times += 1;
                true
            });
        }
    }

    #[test]
    fn set_up_is_a_step_without_a_limit() {
        let (page, vitals) = vitals(WATCHDOG_MS);
        vitals.begin_step(Step::SetUp, || panic!("its start is watched"));
        assert_eq!((page.activity().step, allowance(&page)), (Step::SetUp.code(), None));
    }

    #[test]
    fn without_a_page_nothing_is_said() {
        let vitals = Vitals::default();
        vitals.begin_step(Step::Timer(0), || panic!("nobody is to be told"));
        vitals.push();
        vitals.extend(HOUR);
        drop(vitals.pause());
        vitals.finish_step();
        assert_eq!(vitals.allowance_ns(), None);
    }
}
