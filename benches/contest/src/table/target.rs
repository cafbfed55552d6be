//! What labrig is to reach, and whether it has.

use harness::figures::{Quartiles, short};

/// A bound on one of labrig's metrics, or on its ratio to somebody else's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) metric: &'static str,
    /// Whose metric is the unit; nobody's: the number itself is bounded.
    pub(super) against: Option<&'static str>,
    /// How many of those are the unit.
    times: f64,
    bound: Bound,
    /// What is to be reached after that.
    aim: Option<f64>,
    /// A noisy work is missed only when three quarters of the repeats have missed it.
    by_lower_quartile: bool,
}

/// Which side is the good one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

pub(super) use Bound::{AtLeast, AtMost};

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Missed,
    Met,
    /// And what comes after it too.
    AimMet,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            AtMost(bound) => value <= bound,
            AtLeast(bound) => value >= bound,
        }
    }

    fn moved_to(self, bound: f64) -> Self {
        match self {
            AtMost(_) => AtMost(bound),
            AtLeast(_) => AtLeast(bound),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            AtMost(_) => "≤",
            AtLeast(_) => "≥",
        }
    }

    fn value(self) -> f64 {
        match self {
            AtMost(bound) | AtLeast(bound) => bound,
        }
    }
}

impl Target {
    pub(super) const fn of(metric: &'static str) -> Self {
        let bound = AtMost(0.0);
        Self { metric, against: None, times: 1.0, bound, aim: None, by_lower_quartile: false }
    }

    pub(super) const fn against(self, peer: &'static str) -> Self {
        Self { against: Some(peer), ..self }
    }

    pub(super) const fn twice(self) -> Self {
        Self { times: 2.0, ..self }
    }

    pub(super) const fn is(self, bound: Bound) -> Self {
        Self { bound, ..self }
    }

    pub(super) const fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    pub(super) const fn missed_by_the_lower_quartile(self) -> Self {
        Self { by_lower_quartile: true, ..self }
    }

    /// What is bounded: labrig's metric in each repeat, in units of the other's in the same repeat.
    pub(super) fn values(&self, ours: &[f64], theirs: &[f64]) -> Vec<f64> {
        match self.against {
            None => ours.to_vec(),
            Some(_) => ours.iter().zip(theirs).map(|(ours, theirs)| ours / (self.times * theirs)).collect(),
        }
    }

    pub(super) fn judge(&self, measured: Quartiles) -> Verdict {
        let value = match (self.by_lower_quartile, self.bound) {
            (false, _) => measured.median,
            (true, AtMost(_)) => measured.lower,
            (true, AtLeast(_)) => measured.upper,
        };
        let aim_holds = |aim| self.bound.moved_to(aim).holds(measured.median);
        match (self.bound.holds(value), self.aim.is_some_and(aim_holds)) {
            (false, _) => Verdict::Missed,
            (true, false) => Verdict::Met,
            (true, true) => Verdict::AimMet,
        }
    }

    /// What was to be reached, in words; `metric` as tables call it.
    pub(super) fn describe(&self, metric: &str) -> String {
        let unit = match (self.against, self.times) {
            (None, _) => String::new(),
            (Some(peer), 1.0) => format!(" × {peer}"),
            (Some(peer), times) => format!(" × {times} {peer}"),
        };
        let aim = self.aim.map(|aim| format!("aim {} {aim}", self.bound.sign()));
        if self.bound.value().is_infinite() {
            return format!("{metric}: {}", aim.unwrap_or_default());
        }
        let aim = aim.map(|aim| format!(", {aim}")).unwrap_or_default();
        format!("{metric} {} {}{unit}{aim}", self.bound.sign(), self.bound.value())
    }

    /// Whether there is nothing to miss, only an aim.
    pub(super) fn is_aim_alone(&self) -> bool {
        self.bound.value().is_infinite()
    }
}

impl Verdict {
    pub(super) fn words(self, target: &Target, measured: Quartiles) -> String {
        let verdict = match self {
            Self::Missed => "missed",
            Self::Met if target.is_aim_alone() => "aim missed",
            Self::Met => "met",
            Self::AimMet => "aim met",
        };
        let Quartiles { lower, median, upper } = measured;
        format!("{verdict}: {} ({} to {})", short(median), short(lower), short(upper))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target = Target::of("p50_us").against("hand").is(AtMost(1.25)).aim(1.0);

    fn all_at(value: f64) -> Quartiles {
        Quartiles { lower: value, median: value, upper: value }
    }

    #[test]
    fn ratios_are_taken_within_a_repeat() {
        assert_eq!(TARGET.values(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
        assert_eq!(TARGET.twice().values(&[2.0, 9.0], &[1.0, 3.0]), [1.0, 1.5]);
        assert_eq!(Target::of("ms").values(&[2.0, 9.0], &[]), [2.0, 9.0]);
    }

    #[test]
    fn a_bound_that_is_reached_exactly_is_met() {
        assert_eq!(TARGET.judge(all_at(1.25)), Verdict::Met);
        assert_eq!(TARGET.judge(all_at(1.26)), Verdict::Missed);
        assert_eq!(TARGET.judge(all_at(1.0)), Verdict::AimMet);
    }

    #[test]
    fn what_is_to_be_large_is_missed_from_below() {
        let target = TARGET.is(AtLeast(5.0)).aim(12.0);
        let verdicts = [4.9, 5.0, 12.5].map(|value| target.judge(all_at(value)));
        assert_eq!(verdicts, [Verdict::Missed, Verdict::Met, Verdict::AimMet]);
    }

    #[test]
    fn a_noisy_work_is_missed_only_if_its_better_quartile_is_beyond_the_bound() {
        let noisy = TARGET.missed_by_the_lower_quartile();
        let measured = Quartiles { lower: 1.2, median: 1.4, upper: 2.0 };
        assert_eq!((TARGET.judge(measured), noisy.judge(measured)), (Verdict::Missed, Verdict::Met));
        assert_eq!(noisy.judge(Quartiles { lower: 1.3, ..measured }), Verdict::Missed);
    }

    #[test]
    fn a_target_says_what_it_demands_and_a_verdict_what_was_found() {
        let target = TARGET.twice();
        assert_eq!(target.describe("p50 µs"), "p50 µs ≤ 1.25 × 2 hand, aim ≤ 1");
        let measured = Quartiles { lower: 1.1, median: 1.2, upper: 1.3 };
        assert_eq!(target.judge(measured).words(&target, measured), "met: 1.20 (1.10 to 1.30)");
        let aim = Target::of("p50_us").is(AtMost(f64::INFINITY)).aim(6.0);
        assert_eq!(aim.describe("p50 µs"), "p50 µs: aim ≤ 6");
        assert!(aim.judge(all_at(7.0)).words(&aim, all_at(7.0)).starts_with("aim missed"));
    }
}
