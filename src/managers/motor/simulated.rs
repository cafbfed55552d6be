//! The simulated axis: it moves at one speed and knows where it is at any time.

use std::time::{Duration, Instant};

/// An axis between two ends.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    speed_um_per_s: f64,
    from_um: f64,
    to_um: f64,
    begun: Instant,
}

impl Axis {
    /// An axis at rest.
    pub(super) fn at(height_um: f64, speed_um_per_s: f64, now: Instant) -> Self {
        Self { speed_um_per_s, from_um: height_um, to_um: height_um, begun: now }
    }

    /// Begins to move; says how long it will take.
    pub(super) fn drive_to(&mut self, height_um: f64, now: Instant) -> Duration {
        *self = Self { from_um: self.height_um(now), to_um: height_um, begun: now, ..*self };
        Duration::from_secs_f64((self.to_um - self.from_um).abs() / self.speed_um_per_s)
    }

    /// Stays where it is.
    pub(super) fn stop(&mut self, now: Instant) {
        let height_um = self.height_um(now);
        *self = Self::at(height_um, self.speed_um_per_s, now);
    }

    /// Where it is.
    pub(super) fn height_um(&self, now: Instant) -> f64 {
        let moved = now.saturating_duration_since(self.begun).as_secs_f64() * self.speed_um_per_s;
        let whole = self.to_um - self.from_um;
        if moved >= whole.abs() { self.to_um } else { self.from_um + moved.copysign(whole) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_height(from_um: f64, to_um: f64, after_ms: u64, expected_um: f64) {
        let now = Instant::now();
        let mut axis = Axis::at(from_um, 100.0, now);
        axis.drive_to(to_um, now);
        let height_um = axis.height_um(now + Duration::from_millis(after_ms));
        assert!((height_um - expected_um).abs() < 1e-9, "{height_um} µm");
    }

    #[test]
    fn an_axis_moves_at_its_speed_and_stops_at_its_goal() {
        check_height(0.0, 50.0, 100, 10.0);
        check_height(50.0, 0.0, 100, 40.0);
        check_height(0.0, 50.0, 10_000, 50.0);
        check_height(7.0, 7.0, 5, 7.0);
    }

    #[test]
    fn a_stopped_axis_stays_where_it_is() {
        let now = Instant::now();
        let mut axis = Axis::at(0.0, 100.0, now);
        let duration = axis.drive_to(50.0, now);
        assert_eq!(duration, Duration::from_millis(500));
        axis.stop(now + Duration::from_millis(100));
        assert!((axis.height_um(now + Duration::from_secs(9)) - 10.0).abs() < 1e-9);
    }
}
