//! How much a manager may say in a second: a bucket of envelopes and one of bytes.

use std::time::{Duration, Instant};

use super::router::Moment;
use crate::config::RateLimits;

/// Fills at the allowed rate up to one second's worth, and empties with what arrives.
#[derive(Debug)]
pub(crate) struct Bucket {
    limits: RateLimits,
    envelopes: f64,
    bytes: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn new(limits: RateLimits, now: Instant) -> Self {
        Self {
            limits,
            envelopes: limits.envelopes_per_s as f64,
            bytes: limits.bytes_per_s as f64,
            filled_at: now,
        }
    }

    /// Takes one envelope out; says how long to leave the pipe unread when too much has come.
    pub(crate) fn take(&mut self, bytes: usize, now: &Moment) -> Option<Duration> {
        self.envelopes -= 1.0;
        self.bytes -= bytes as f64;
        if self.envelopes >= 0.0 && self.bytes >= 0.0 {
            return None;
        }
        self.fill(now.get());
        let missing = |level: f64, per_s: u64| (-level).max(0.0) / per_s as f64;
        let wait = missing(self.envelopes, self.limits.envelopes_per_s)
            .max(missing(self.bytes, self.limits.bytes_per_s));
        // A little more than needed: a wait for every single envelope would cost more than it saves.
        (wait > 0.0).then(|| Duration::from_secs_f64(wait + 0.01))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        let filled = |level: f64, per_s: u64| (level + passed * per_s as f64).min(per_s as f64);
        self.envelopes = filled(self.envelopes, self.limits.envelopes_per_s);
        self.bytes = filled(self.bytes, self.limits.bytes_per_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_waits(limits: RateLimits, bytes: usize, count: usize) -> usize {
        let now = Instant::now();
        let mut bucket = Bucket::new(limits, now);
        (0..count).filter(|_| bucket.take(bytes, &Moment::at(now)).is_some()).count()
    }

    #[test]
    fn a_second_s_worth_passes_at_once_and_the_rest_waits() {
        let limits = RateLimits { envelopes_per_s: 10, bytes_per_s: 1_000_000 };
        assert_eq!(check_waits(limits, 10, 10), 0);
        assert_eq!(check_waits(limits, 10, 13), 3);
    }

    #[test]
    fn bytes_count_as_well_as_envelopes() {
        let limits = RateLimits { envelopes_per_s: 1_000, bytes_per_s: 1_000 };
        assert_eq!(check_waits(limits, 100, 12), 2);
    }

    #[test]
    fn time_fills_the_bucket_again() {
        let now = Instant::now();
        let mut bucket = Bucket::new(RateLimits { envelopes_per_s: 1, bytes_per_s: 1_000 }, now);
        assert!(bucket.take(1, &Moment::at(now)).is_none());
        let wait = bucket.take(1, &Moment::at(now)).expect("the bucket is empty");
        assert!(bucket.take(1, &Moment::at(now + wait + Duration::from_secs(2))).is_none());
    }
}
