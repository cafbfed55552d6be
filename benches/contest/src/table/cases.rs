//! What is measured with whom, and what labrig is to reach.

use super::target::{AtLeast, AtMost, Target};

/// One table: a work, done in one way by several contestants.
pub(super) struct Case {
    /// By which it is asked for on the command line.
    pub(super) work: &'static str,
    pub(super) title: &'static str,
    /// `PEERS_PIN`.
    pub(super) pin: &'static str,
    pub(super) options: &'static str,
    pub(super) repeats: Repeats,
    pub(super) runs: &'static [Run],
    /// Whom all others are held against; nobody where there is but one.
    pub(super) reference: Option<&'static str>,
    /// What is shown; the ratio is that of the first.
    pub(super) metrics: &'static [Metric],
    pub(super) targets: &'static [Target],
}

/// How often a case is run.
pub(super) enum Repeats {
    /// As often as asked for.
    AsAsked,
    /// At least so often.
    AtLeast(u32),
    /// What it gives hardly changes.
    Once,
}

/// One contestant in it.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) peer: &'static str,
    /// Its word for the work, as it may differ from the others'.
    pub(super) verb: &'static str,
}

/// A metric's name in reports, and in tables.
pub(super) type Metric = (&'static str, &'static str);

impl Case {
    pub(super) fn repeats(&self, asked: u32) -> u32 {
        match self.repeats {
            Repeats::AsAsked => asked,
            Repeats::AtLeast(least) => asked.max(least),
            Repeats::Once => 1,
        }
    }
}

const HAND: &str = "hand-seqpacket";

const fn run(peer: &'static str, verb: &'static str) -> Run {
    Run { peer, verb }
}

/// Everybody who waits without spinning alone.
const fn all(verb: &'static str) -> [Run; 5] {
    [
        run("labrig", verb),
        run(HAND, verb),
        run("hand-ring-yield", verb),
        run("ipc-channel", verb),
        run("iceoryx2-event", verb),
    ]
}

const fn with([a, b, c, d, e]: [Run; 5], f: Run) -> [Run; 6] {
    [a, b, c, d, e, f]
}

const W1_RUNS: &[Run] = &all("W1");
const W1_RUNS_SPLIT: &[Run] = &with(all("W1"), run("iceoryx2-poll", "W1"));
const W1M_RUNS: &[Run] = &[run("labrig", "W1M"), run(HAND, "W1")];
const W2_RUNS: &[Run] = &with(all("W2"), run("hand-stream-batch", "W2"));
const W3_RUNS: &[Run] = &all("W3");
const W4_RUNS: &[Run] = &with(all("W4"), run("limit-memory", "W4"));
const W5_RUNS: &[Run] = &with(all("W5"), run("limit-spawn", "W5"));
const W6_RUNS: &[Run] = &all("W6");
const ROUTE_RUNS: &[Run] = &[run("labrig", "route")];
const MEMORY_RUNS: &[Run] = &[run("labrig", "memory")];

const LATENCY: &[Metric] = &[
    ("p50_us", "p50 µs"),
    ("p99_us", "p99 µs"),
    ("p999_us", "p99.9 µs"),
    ("mean_us", "mean µs"),
    ("per_s", "per s"),
    ("cpu_us_op", "CPU µs"),
];
const RATE: &[Metric] = &[("per_s", "per s"), ("cpu_us_op", "CPU µs")];
const FRAMES: &[Metric] = &[
    ("gib_s", "GiB/s"),
    ("fps", "frames/s"),
    ("p50_us", "hand-off p50 µs"),
    ("p99_us", "p99 µs"),
    ("cpu_us_op", "CPU µs"),
];
const IDLE: &[Metric] = &[
    ("wakeups_per_s", "wake-ups/s"),
    ("cpu_per_s", "CPU s/s"),
    ("coord_cpu_per_s", "coordinator's CPU s/s"),
];

const P50: Target = Target::of("p50_us").against(HAND);
const W3: &[Target] =
    &[P50.is(AtMost(1.2)).aim(0.6), Target::of("p50_us").against("ipc-channel").is(AtMost(1.0))];
const AGAINST_ICEORYX: Target = Target::of("p50_us").against("iceoryx2-event");
const GIB_S: Target = Target::of("gib_s");
const W4_SMALL: &[Target] = &[
    GIB_S.against(HAND).is(AtLeast(1.0)),
    GIB_S.against("iceoryx2-event").is(AtLeast(1.0)),
    P50.is(AtMost(1.0)),
    AGAINST_ICEORYX.is(AtMost(1.0)),
    Target::of("p50_us").is(AtMost(f64::INFINITY)).aim(6.0),
];
const W4_LARGE: &[Target] = &[
    GIB_S.against(HAND).is(AtLeast(1.0)),
    GIB_S.against("iceoryx2-event").is(AtLeast(1.0)),
    P50.is(AtMost(1.0)),
    AGAINST_ICEORYX.is(AtMost(1.0)),
    GIB_S.against("limit-memory").is(AtLeast(0.85)).aim(0.95),
];
const SAME: &[Target] = &[P50.is(AtMost(1.25)).aim(1.0)];
const APART: &[Target] = &[P50.is(AtMost(0.5)).aim(0.1)];
const SPARSE: &[Target] = &[P50.is(AtMost(1.1)).aim(0.6).missed_by_the_lower_quartile()];
const BETWEEN_SAME: &[Target] = &[P50.twice().is(AtMost(1.3))];
const BETWEEN: &[Target] = &[P50.twice().is(AtMost(0.8)).aim(0.3)];
const W2: &[Target] = &[Target::of("per_s").against(HAND).is(AtLeast(5.0)).aim(12.0)];
const W5: &[Target] = &[Target::of("ms").against(HAND).is(AtMost(2.0)).aim(1.3)];
const W6: &[Target] = &[Target::of("wakeups_per_s").is(AtMost(0.0))];
const ROUTING: &[Target] = &[Target::of("growth").is(AtMost(1.05))];
const MEMORY: &[Target] = &[Target::of("rss_mib").is(AtMost(16.0)).aim(8.0)];

const fn latency(title: &'static str, pin: &'static str, targets: &'static [Target]) -> Case {
    Case {
        work: "W1",
        title,
        pin,
        options: "--n 20000",
        repeats: Repeats::AsAsked,
        runs: W1_RUNS,
        reference: Some(HAND),
        metrics: LATENCY,
        targets,
    }
}

const fn between(title: &'static str, pin: &'static str, targets: &'static [Target]) -> Case {
    Case { work: "W1M", runs: W1M_RUNS, ..latency(title, pin, targets) }
}

const fn broadcast(title: &'static str, options: &'static str) -> Case {
    Case { work: "W3", options, runs: W3_RUNS, ..latency(title, "none", W3) }
}

const fn frames(title: &'static str, options: &'static str, targets: &'static [Target]) -> Case {
    Case { work: "W4", options, runs: W4_RUNS, metrics: FRAMES, ..latency(title, "none", targets) }
}

/// Everything, in the order in which it is printed.
pub(super) const CASES: &[Case] = &[
    latency("W1 same: a command and its answer, on one processor", "same", SAME),
    Case { runs: W1_RUNS_SPLIT, ..latency("W1 split: on two processors", "split", APART) },
    latency("W1 unpinned: left to the scheduler", "none", APART),
    Case {
        options: "--n 300 --gap 2000",
        repeats: Repeats::AtLeast(15),
        ..latency("W1 sparse: 2 ms before each command", "none", SPARSE)
    },
    between("W1M same: from one manager to another, on one processor", "same", BETWEEN_SAME),
    between("W1M unpinned", "none", BETWEEN),
    Case {
        work: "W2",
        options: "--n 200000",
        runs: W2_RUNS,
        metrics: RATE,
        ..latency("W2: one-way commands of 64 bytes", "none", W2)
    },
    broadcast("W3 with 1: one command to all, until all have answered", "--children 1 --n 10000"),
    broadcast("W3 with 4", "--children 4 --n 4000"),
    broadcast("W3 with 16", "--children 16 --n 1000"),
    broadcast("W3 with 64", "--children 64 --n 300"),
    frames("W4 of 1 MiB: frames from one process to another", "--n 1000 --size 1048576", W4_SMALL),
    frames("W4 of 4 MiB", "--n 300 --size 4194304", W4_LARGE),
    Case {
        work: "W5",
        options: "--children 8",
        // One start takes little time and differs much from the next.
        repeats: Repeats::AtLeast(9),
        runs: W5_RUNS,
        metrics: &[("ms", "ms")],
        ..latency("W5: from nothing until 8 children have answered", "none", W5)
    },
    Case {
        work: "W6",
        options: "--children 3",
        repeats: Repeats::Once,
        runs: W6_RUNS,
        reference: None,
        metrics: IDLE,
        ..latency("W6: nothing to do, coordinator and 3 children, 5 s", "none", W6)
    },
    Case {
        work: "routing",
        title: "Routing: instructions of the router per command and its answer, to the last of N managers",
        pin: "same",
        options: "",
        repeats: Repeats::Once,
        runs: ROUTE_RUNS,
        reference: None,
        metrics: &[("growth", "64 over 1"), ("with_1", "with 1"), ("with_64", "with 64")],
        targets: ROUTING,
    },
    Case {
        work: "memory",
        title: "Memory: of the coordinator in RAM, with 64 managers",
        pin: "none",
        options: "--children 64",
        repeats: Repeats::Once,
        runs: MEMORY_RUNS,
        reference: None,
        metrics: &[("rss_mib", "MiB"), ("rss_anon_mib", "of its own")],
        targets: MEMORY,
    },
];
