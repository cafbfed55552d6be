//! What the repeats of one case have given.

use std::collections::BTreeMap;

use harness::figures::Quartiles;

use super::cases::{Case, Metric};
use super::target::{Target, Verdict};

/// The metrics of one run, by name.
pub(super) type Metrics = BTreeMap<String, f64>;

/// Why a run gave nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// This machine cannot do it.
    Skipped(String),
    /// Something is wrong.
    Failed(String),
}

impl From<String> for Trouble {
    fn from(error: String) -> Self {
        Self::Failed(error)
    }
}

/// All repeats of a case.
pub(super) struct Outcome {
    pub(super) case: &'static Case,
    /// Per contestant, in the case's order, one entry per repeat; none where it failed.
    repeats: Vec<Vec<Option<Metrics>>>,
    pub(super) failures: Vec<String>,
    pub(super) skipped: Vec<String>,
    /// The processors' time that went to others, and all of it.
    others: [u64; 2],
}

/// A target, and what became of it.
pub(super) struct Judged {
    pub(super) target: Target,
    pub(super) measured: Option<(Quartiles, Verdict)>,
}

impl Outcome {
    pub(super) fn new(case: &'static Case) -> Self {
        let repeats = case.runs.iter().map(|_| Vec::new()).collect();
        Self { case, repeats, failures: Vec::new(), skipped: Vec::new(), others: [0; 2] }
    }

    /// Keeps what a run has given.
    pub(super) fn keep(&mut self, run: usize, measured: Result<Metrics, Trouble>) {
        let peer = self.case.runs[run].peer;
        match &measured {
            Ok(_) => {}
            Err(Trouble::Skipped(why)) => self.skipped.push(format!("{peer}: {why}")),
            Err(Trouble::Failed(error)) => self.failures.push(format!("{peer}: {error}")),
        }
        self.repeats[run].push(measured.ok());
    }

    pub(super) fn add_others(&mut self, [others, whole]: [u64; 2]) {
        self.others = [self.others[0] + others, self.others[1] + whole];
    }

    pub(super) fn others_percent(&self) -> f64 {
        100.0 * self.others[0] as f64 / self.others[1].max(1) as f64
    }

    /// How often a contestant has done it.
    pub(super) fn count(&self, run: usize) -> usize {
        self.repeats[run].iter().flatten().count()
    }

    /// A metric of a contestant over the repeats; none where it has no such metric.
    pub(super) fn quartiles(&self, run: usize, metric: &str) -> Option<Quartiles> {
        Quartiles::of(self.repeats[run].iter().flatten().filter_map(|metrics| metrics.get(metric).copied()))
    }

    /// A contestant's first metric in units of the reference's, repeat by repeat.
    pub(super) fn ratios(&self, run: usize) -> Option<Quartiles> {
        let (metric, _) = self.case.metrics[0];
        let target = Target::of(metric).against(self.case.reference?);
        let (ours, theirs) = self.pairs(run, self.run_of(self.case.reference?)?, metric);
        Quartiles::of(target.values(&ours, &theirs))
    }

    /// What became of labrig's targets; labrig is the first of every case.
    pub(super) fn judged(&self) -> impl Iterator<Item = Judged> {
        self.case.targets.iter().map(|target| {
            let other = target.against.map_or(Some(0), |peer| self.run_of(peer));
            let measured = other.and_then(|other| {
                let (ours, theirs) = self.pairs(0, other, target.metric);
                let measured = Quartiles::of(target.values(&ours, &theirs))?;
                Some((measured, target.judge(measured)))
            });
            Judged { target: *target, measured }
        })
    }

    /// What tables call a metric.
    pub(super) fn heading(&self, metric: &str) -> &'static str {
        let found = self.case.metrics.iter().find(|(name, _): &&Metric| *name == metric);
        found.map_or("", |(_, heading)| heading)
    }

    fn run_of(&self, peer: &str) -> Option<usize> {
        self.case.runs.iter().position(|run| run.peer == peer)
    }

    /// A metric of two contestants in the repeats in which both have it.
    fn pairs(&self, one: usize, other: usize, metric: &str) -> (Vec<f64>, Vec<f64>) {
        let of = |metrics: &Option<Metrics>| metrics.as_ref()?.get(metric).copied();
        let repeats = self.repeats[one].iter().zip(&self.repeats[other]);
        repeats.filter_map(|(one, other)| Some((of(one)?, of(other)?))).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::*;

    fn outcome_of(repeats: &[[f64; 2]]) -> Outcome {
        // W1 on one processor: labrig first, then its reference.
        let mut outcome = Outcome::new(&CASES[0]);
        for repeat in repeats {
            for (run, p50_us) in repeat.iter().enumerate() {
                outcome.keep(run, Ok(Metrics::from([("p50_us".to_owned(), *p50_us)])));
            }
        }
        outcome
    }

    #[test]
    fn the_median_of_ratios_is_not_the_ratio_of_medians() {
        let outcome = outcome_of(&[[1.0, 1.0], [20.0, 10.0], [30.0, 5.0]]);
        assert_eq!(outcome.ratios(0).map(|it| it.median), Some(2.0));
        assert_eq!(outcome.quartiles(0, "p50_us").map(|it| it.median), Some(20.0));
        assert_eq!(outcome.judged().next().and_then(|it| it.measured).map(|it| it.1), Some(Verdict::Missed));
    }

    #[test]
    fn a_repeat_in_which_one_failed_gives_no_ratio() {
        let mut outcome = outcome_of(&[[2.0, 1.0]]);
        outcome.keep(0, Err("it hung".to_owned().into()));
        outcome.keep(1, Ok(Metrics::from([("p50_us".to_owned(), 100.0)])));
        assert_eq!(outcome.ratios(0).map(|it| it.median), Some(2.0));
        assert_eq!(outcome.failures, ["labrig: it hung"]);
        assert_eq!((outcome.count(0), outcome.count(1)), (1, 2));
    }

    #[test]
    fn what_this_machine_cannot_do_is_no_failure() {
        let mut outcome = outcome_of(&[]);
        outcome.keep(0, Err(Trouble::Skipped("no valgrind".to_owned())));
        assert_eq!(
            (outcome.failures.len(), outcome.skipped.as_slice()),
            (0, &["labrig: no valgrind".to_owned()][..])
        );
    }

    #[test]
    fn what_could_not_be_measured_has_no_verdict() {
        let outcome = outcome_of(&[]);
        assert!(outcome.judged().all(|judged| judged.measured.is_none()));
    }

    #[test]
    fn labrig_comes_first_in_every_case_and_every_target_names_who_is_there() {
        for case in CASES {
            assert_eq!(case.runs[0].peer, "labrig", "{}", case.title);
            let is_there = |peer: &str| case.runs.iter().any(|run| run.peer == peer);
            let named = case.targets.iter().filter_map(|target| target.against).chain(case.reference);
            assert!(named.into_iter().all(is_there), "{}", case.title);
            let is_shown = |target: &Target| case.metrics.iter().any(|(name, _)| *name == target.metric);
            assert!(case.targets.iter().all(is_shown), "{}", case.title);
        }
    }
}
