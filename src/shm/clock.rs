//! The clock that all processes of one machine share.

use std::sync::OnceLock;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`: comparable between the processes of one machine, meaningless after a reboot.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The monotonic clock counts up from the boot: neither part is ever negative.
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// The same for a moment that this process has read off its clock, without looking at the clock again.
#[must_use]
pub fn monotonic_ns_of(moment: Instant) -> u64 {
    static BASE: OnceLock<(Instant, u64)> = OnceLock::new();
    let (base, base_ns) = BASE.get_or_init(|| {
        // In this order: a moment may be told as too early by what lay between the two, never as still to come.
        let base_ns = monotonic_ns();
        (Instant::now(), base_ns)
    });
    let ns = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match moment.checked_duration_since(*base) {
        Some(after) => base_ns.saturating_add(ns(after)),
        None => base_ns.saturating_sub(ns(base.duration_since(moment))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_far_apart_as_their_nanoseconds_and_never_still_to_come() {
        let (first, second) = (Instant::now(), Instant::now());
        let apart = monotonic_ns_of(second) - monotonic_ns_of(first);
        assert_eq!(u128::from(apart), (second - first).as_nanos());
        assert!(monotonic_ns_of(second) <= monotonic_ns());
    }
}
