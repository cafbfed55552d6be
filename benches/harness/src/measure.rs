//! The works, done with any contestant: warm-up, measurement, the checks, the report.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use signal_hook::consts::SIGTERM;

use crate::contestant::{About, Contestant, Setup};
use crate::figures::percentile;
use crate::payload::{Datum, Exchange};
use crate::processes::{cpu_ns, own_and_children};
use crate::report::Report;
use crate::work::{Options, Work};

type Params = BTreeMap<String, Value>;
type Metrics = BTreeMap<String, f64>;

/// Does a work and prints the report.
pub(crate) fn run<C: Contestant>(work: Work, options: &Options, about: &About) {
    let setup = options.setup(work);
    let _place = setup.placement.take();
    let count = options.count(work);
    let params = params(&setup, options, count, about);
    let report = |metrics, idle_pids| {
        let (peer, work) = (about.peer.to_owned(), work.to_string());
        println!("{}", Report { peer, work, params, metrics, idle_pids }.line());
        std::io::stdout().flush().expect("somebody reads what is printed");
    };
    match work {
        Work::W5 => report(cold_start::<C>(&setup), Vec::new()),
        Work::W6 => idle::<C>(&setup, |pids| report(Metrics::new(), pids)),
        _ => {
            let mut contestant = C::start(&setup);
            let metrics = match work {
                Work::W1 => exchanges(&mut contestant, count, options.gap()),
                Work::W1M => between(&mut contestant, count, options.gap()),
                Work::W2 => sends(&mut contestant, count),
                Work::W3 => broadcasts(&mut contestant, count, setup.children),
                _ => frames(&mut contestant, count, setup.frame_bytes),
            };
            contestant.end();
            report(metrics, Vec::new());
        }
    }
}

fn params(setup: &Setup, options: &Options, count: u64, about: &About) -> Params {
    let mut params = Params::new();
    let mut add = |name: &str, value: Value| params.insert(name.to_owned(), value);
    match setup.work {
        Work::W1 | Work::W1M => {
            add("pin", setup.placement.pin().into());
            add("gap", options.gap.into());
        }
        Work::W3 | Work::W5 | Work::W6 => {
            add("children", setup.children.into());
        }
        Work::W4 => {
            add("size", setup.frame_bytes.into());
            add("copies", about.copies.into());
        }
        Work::W2 => {}
    }
    if !matches!(setup.work, Work::W5 | Work::W6) {
        add("n", count.into());
    }
    params
}

/// The part of the work that is done before the clock runs.
fn warm_up(count: u64) -> u64 {
    count.div_ceil(20)
}

/// Processor time and elapsed time of a stretch of work.
struct Stretch {
    pids: Vec<i32>,
    cpu_ns: u64,
    begun: Instant,
}

impl Stretch {
    fn begin() -> Self {
        let pids = own_and_children();
        Self { cpu_ns: cpu_ns(&pids), pids, begun: Instant::now() }
    }

    /// What `count` operations took of the clock and of the processors, each.
    fn end(self, count: u64, metrics: &mut Metrics) {
        let elapsed = self.begun.elapsed();
        let cpu_ns = cpu_ns(&self.pids).saturating_sub(self.cpu_ns);
        metrics.insert("per_s".to_owned(), count as f64 / elapsed.as_secs_f64());
        metrics.insert("cpu_us_op".to_owned(), cpu_ns as f64 / 1e3 / count as f64);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Percentiles and mean of durations in nanoseconds.
fn add_latencies(mut each_ns: Vec<u64>, metrics: &mut Metrics) {
    each_ns.sort_unstable();
    for (name, part) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
        metrics.insert(name.to_owned(), percentile(&each_ns, part) as f64 / 1e3);
    }
    let sum: u64 = each_ns.iter().sum();
    metrics.insert("mean_us".to_owned(), sum as f64 / 1e3 / each_ns.len().max(1) as f64);
}

/// Times each call, after a pause if there is to be one.
fn timed(count: u64, gap: Option<Duration>, mut act: impl FnMut(u64)) -> Vec<u64> {
    let one = |id| {
        gap.into_iter().for_each(thread::sleep);
        let begun = Instant::now();
        act(id);
        nanoseconds(begun.elapsed())
    };
    (0..count).map(one).collect()
}

fn exchanges(contestant: &mut impl Contestant, count: u64, gap: Option<Duration>) -> Metrics {
    let mut act = |id| contestant.exchange(Exchange::new(id)).check(id);
    timed(warm_up(count), gap, &mut act);
    let mut metrics = Metrics::new();
    let stretch = Stretch::begin();
    let each_ns = timed(count, gap, &mut act);
    stretch.end(count, &mut metrics);
    add_latencies(each_ns, &mut metrics);
    metrics
}

fn between(contestant: &mut impl Contestant, count: u64, gap: Option<Duration>) -> Metrics {
    contestant.exchange_between(warm_up(count), gap);
    let mut metrics = Metrics::new();
    let stretch = Stretch::begin();
    let each_ns = contestant.exchange_between(count, gap);
    stretch.end(count, &mut metrics);
    assert_eq!(each_ns.len() as u64, count, "as many answers as commands");
    add_latencies(each_ns, &mut metrics);
    metrics
}

fn sends(contestant: &mut impl Contestant, count: u64) -> Metrics {
    let mut lot = |count| {
        (0..count).for_each(|id| contestant.send(&Datum::new(id)));
        assert_eq!(contestant.how_many(), count, "every one-way command arrives once");
    };
    lot(warm_up(count));
    let mut metrics = Metrics::new();
    let stretch = Stretch::begin();
    lot(count);
    stretch.end(count, &mut metrics);
    metrics
}

fn broadcasts(contestant: &mut impl Contestant, count: u64, children: usize) -> Metrics {
    let mut act = |id| ask_all(contestant, id, children);
    timed(warm_up(count), None, &mut act);
    let mut metrics = Metrics::new();
    let stretch = Stretch::begin();
    let each_ns = timed(count, None, &mut act);
    stretch.end(count, &mut metrics);
    add_latencies(each_ns, &mut metrics);
    metrics
}

fn ask_all(contestant: &mut impl Contestant, id: u64, children: usize) {
    let answers = contestant.exchange_with_all(&Exchange::new(id));
    assert_eq!(answers.len(), children, "every child answers once");
    answers.iter().for_each(|answer| answer.check(id));
}

fn frames(contestant: &mut impl Contestant, count: u64, bytes: usize) -> Metrics {
    contestant.hand_off(warm_up(count));
    let mut metrics = Metrics::new();
    let each_ns = contestant.hand_off(count);
    assert!(each_ns.is_empty() || each_ns.len() as u64 == count, "as many frames seen as were filled");
    // A contestant of one process hands nothing off.
    if !each_ns.is_empty() {
        add_latencies(each_ns, &mut metrics);
    }
    contestant.stream(warm_up(count));
    let stretch = Stretch::begin();
    let elapsed = contestant.stream(count);
    stretch.end(count, &mut metrics);
    let fps = count as f64 / elapsed.as_secs_f64();
    metrics.insert("fps".to_owned(), fps);
    metrics.insert("gib_s".to_owned(), fps * bytes as f64 / (1_u64 << 30) as f64);
    metrics.remove("per_s");
    metrics
}

fn cold_start<C: Contestant>(setup: &Setup) -> Metrics {
    let begun = Instant::now();
    let mut contestant = C::start(setup);
    ask_all(&mut contestant, 7, setup.children);
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    contestant.end();
    Metrics::from([("ms".to_owned(), ms)])
}

/// Waits for SIGTERM. Nothing in here runs meanwhile.
fn idle<C: Contestant>(setup: &Setup, report: impl FnOnce(Vec<i32>)) {
    let (mut told, tell) = UnixStream::pair().expect("a pair of sockets can be made");
    signal_hook::low_level::pipe::register(SIGTERM, tell).expect("SIGTERM can be caught");
    let mut contestant = C::start(setup);
    ask_all(&mut contestant, 7, setup.children);
    report(own_and_children());
    told.read_exact(&mut [0]).expect("the signal's end of the pair stays open");
    contestant.end();
}
