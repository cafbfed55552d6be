//! When the main loop wakes by itself.

use std::time::{Duration, Instant};

/// How long after it was armed for the first time the loop looks whether that is over already.
const SETTLING: Duration = Duration::from_millis(250);

/// When the loop wakes by itself, if it was to wake at `before`, others have armed it for `armed`, and something is
/// `due` at the earliest.
///
/// What it was armed for is mostly over long before its time: a call is answered, and what was sent is done. So it looks
/// once, soon, and an idle rig sleeps for ever from then on. Until then it stays armed: the next call expires later, and
/// need not wake this loop only to arm it again.
pub(super) fn wake_up(
    now: Instant,
    before: Option<Instant>,
    armed: Option<Instant>,
    due: Option<Instant>,
) -> Option<Instant> {
    let earliest = |at: Option<Instant>| due.into_iter().chain(at).min();
    match before {
        Some(at) if at <= now => due,
        Some(_) => earliest(before),
        None => earliest(armed.filter(|at| *at > now)).map(|at| at.min(now + SETTLING)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In milliseconds from some moment; it is 1000 now.
    fn check_wake_up(
        before: Option<u64>,
        armed: Option<u64>,
        due: impl Into<Option<u64>>,
        expected: impl Into<Option<u64>>,
    ) {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let found = wake_up(at(1000), before.map(at), armed.map(at), due.into().map(at));
        assert_eq!(found.map(|at| (at - begun).as_millis() as u64), expected.into(), "{before:?} {armed:?}");
    }

    #[test]
    fn a_loop_that_slept_for_ever_looks_soon_whether_what_it_was_armed_for_is_over() {
        check_wake_up(None, None, None, None);
        check_wake_up(None, Some(6000), 6000, 1250);
        check_wake_up(None, Some(6000), None, 1250);
        check_wake_up(None, Some(1100), 1100, 1100);
        check_wake_up(None, Some(900), None, None);
    }

    #[test]
    fn until_then_it_stays_armed_and_then_it_sleeps_as_long_as_it_can() {
        check_wake_up(Some(1250), Some(1250), None, 1250);
        check_wake_up(Some(1250), Some(1250), 6000, 1250);
        check_wake_up(Some(1250), Some(1250), 1100, 1100);
        check_wake_up(Some(1000), Some(1000), 6000, 6000);
        check_wake_up(Some(1000), Some(1000), None, None);
    }
}
