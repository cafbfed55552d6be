//! Every duration that was measured, and the table at the end: percentiles, and ratios within one run.
//!
//! criterion's own figures are means of whole samples, and it never sees two contestants at once. Here each
//! sample of labrig is taken right beside one of a reference, and the ratio is that of the two. The reference
//! is hand-written code, or labrig itself doing the same in another way.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;

/// How many samples criterion takes unless a benchmark says otherwise. Only that many are kept: what came
/// before was warm-up.
pub(crate) const SAMPLES: usize = 50;

/// The durations of one sample of one contestant.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    each_ns: Vec<u64>,
}

impl Sample {
    /// Times every call.
    pub(crate) fn of(count: u64, mut act: impl FnMut(u64)) -> Self {
        let time = |index| {
            let begin = Instant::now();
            act(index);
            nanoseconds(begin.elapsed())
        };
        Self { each_ns: (0..count).map(time).collect() }
    }

    /// A sample of durations measured elsewhere.
    pub(crate) fn of_durations(each_ns: impl IntoIterator<Item = u64>) -> Self {
        Self { each_ns: each_ns.into_iter().collect() }
    }

    /// Several samples as one.
    pub(crate) fn joined(samples: impl IntoIterator<Item = Self>) -> Self {
        Self { each_ns: samples.into_iter().flat_map(|sample| sample.each_ns).collect() }
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.each_ns.iter().sum())
    }

    fn median(&self) -> f64 {
        let mut sorted = self.each_ns.clone();
        sorted.sort_unstable();
        percentile(&sorted, 0.5) as f64
    }
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// One benchmark of the table.
struct Row {
    name: String,
    /// How many things one duration stands for.
    per_duration: u64,
    samples: VecDeque<Pair>,
}

/// A sample, with the one of the reference that was taken beside it.
pub(crate) type Pair = (Sample, Option<Sample>);

/// A table, all of whose rows have the same kind of reference.
pub(crate) struct Figures {
    reference: &'static str,
    rows: Vec<Row>,
}

impl Figures {
    /// An empty table; `reference`: what samples are compared with, in a word or two.
    pub(crate) fn beside(reference: &'static str) -> Self {
        Self { reference, rows: Vec::new() }
    }

    /// Whether nothing was measured, as when benchmarks are only listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Runs a benchmark under criterion: `take` gets a count and gives a sample of that many durations, and one
    /// of the reference if there is such a thing. `per_duration`: how many things one duration stands for.
    pub(crate) fn bench(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: (&str, &str),
        per_duration: u64,
        mut take: impl FnMut(u64) -> Pair,
    ) {
        self.bench_parts(group, name, [""], per_duration, |count| [take(count)]);
    }

    /// As [`bench`](Self::bench), of something that is measured at several points, each of which gets a row: its
    /// name is the benchmark's, and a part's. criterion looks at the first.
    pub(crate) fn bench_parts<const N: usize>(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: (&str, &str),
        parts: [&str; N],
        per_duration: u64,
        mut take: impl FnMut(u64) -> [Pair; N],
    ) {
        let mut samples = [const { VecDeque::new() }; N];
        group.bench_function(name.1, |bencher| {
            bencher.iter_custom(|count| {
                let taken = take(count);
                let total = taken[0].0.total();
                for (samples, pair) in samples.iter_mut().zip(taken) {
                    samples.push_back(pair);
                    samples.drain(..samples.len().saturating_sub(SAMPLES));
                }
                total
            });
        });
        for (part, samples) in parts.into_iter().zip(samples) {
            self.keep(format!("{}/{}{part}", name.0, name.1), per_duration, samples);
        }
    }

    fn keep(&mut self, name: String, per_duration: u64, mut samples: VecDeque<Pair>) {
        // The first ones were short, to find out how long it takes.
        let longest = samples.iter().map(|(ours, _)| ours.each_ns.len()).max();
        samples.retain(|(ours, _)| longest.is_some_and(|longest| ours.each_ns.len() * 4 >= longest));
        // A single one is no measurement: under `--test` everything runs once.
        if samples.len() > 1 {
            self.rows.push(Row { name, per_duration, samples });
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = self.reference;
        write!(f, "| benchmark | p50 µs | p99 µs | max µs | per s | {reference} p50 µs | p99 µs ")?;
        writeln!(f, "| × {reference} (10 % to 90 %) |\n|---|--:|--:|--:|--:|--:|--:|--:|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = percentiles(self.samples.iter().map(|(ours, _)| ours));
        let per_s = 1e6 * self.per_duration as f64 / p50;
        write!(f, "| {} | {} | {} | {} | {}", self.name, short(p50), short(p99), short(max), short(per_s))?;
        if self.samples.iter().all(|(_, reference)| reference.is_none()) {
            return write!(f, " | – | – | – |");
        }
        let references = self.samples.iter().filter_map(|(_, reference)| reference.as_ref());
        let [reference_p50, reference_p99, _] = percentiles(references);
        let [low, middle, high] = self.ratios();
        write!(f, " | {} | {}", short(reference_p50), short(reference_p99))?;
        write!(f, " | {middle:.2} ({low:.2} to {high:.2}) |")
    }
}

impl Row {
    /// The ratio to the reference, sample by sample: a tenth of them below, the middle, a tenth above.
    fn ratios(&self) -> [f64; 3] {
        let pairs = self.samples.iter().filter_map(|(ours, reference)| Some((ours, reference.as_ref()?)));
        let mut ratios: Vec<f64> =
            pairs.map(|(ours, reference)| ours.median() / reference.median()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        [0.1, 0.5, 0.9].map(|part| percentile(&ratios, part))
    }
}

/// The median, the 99th percentile and the greatest of all durations, in µs.
fn percentiles<'a>(samples: impl Iterator<Item = &'a Sample>) -> [f64; 3] {
    let mut all: Vec<u64> = samples.flat_map(|sample| &sample.each_ns).copied().collect();
    all.sort_unstable();
    [0.5, 0.99, 1.0].map(|part| percentile(&all, part) as f64 / 1e3)
}

/// The element below or at which that part of a sorted list lies.
fn percentile<T: Copy + Default>(sorted: &[T], part: f64) -> T {
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

/// A number with three digits that count.
fn short(value: f64) -> String {
    match value {
        1000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.1}"),
        10.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
