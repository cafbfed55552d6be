//! What a procedure costs: until its first step begins, for each step with its checkpoint, and to be asked about.
//!
//! By hand: a line of the same length is appended to a file and flushed, which is the least that a checkpoint can be. What a
//! step costs without the disk is that of a store in memory.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use labrig::Topology;
use labrig::prelude::*;
use labrig::shm::monotonic_ns;

use crate::figures::{Figures, SAMPLES, Sample};
use crate::rigs::{BenchRig, PATIENCE};

const CONFIG: &str =
    "schema = 1\n[rig]\nname = \"procedures\"\n[managers.runner]\nkind = \"labrig.procedures\"\n";

/// As many bytes as the state of a modest procedure.
const STATE_BYTES: usize = 200;
/// How many procedures there are when one of them is asked about.
const CROWD: usize = 100;

/// Notes when its steps begin.
#[derive(Serialize, Deserialize, Schema)]
pub(crate) struct Stopwatch {
    load: Vec<u8>,
    last_ns: u64,
}

/// How often it looks at the clock.
#[derive(Serialize, Deserialize, Schema)]
pub(crate) struct Laps {
    steps: u64,
    /// Whether it sleeps for an hour first.
    sleeps: bool,
}

/// The moment of its first step, and how long after it the last one was.
#[derive(Serialize, Deserialize, Schema)]
pub(crate) struct Lapped {
    first_ns: u64,
    last_ns: u64,
}

#[procedure(kind = "stopwatch")]
impl Procedure for Stopwatch {
    type Inputs = Laps;
    type Output = Lapped;

    fn begin(_: &Laps, _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self { load: vec![7; STATE_BYTES], last_ns: 0 })
    }

    fn step(&mut self, inputs: &Laps, context: &mut StepContext) -> Result<Step<Lapped>, StepError> {
        let now_ns = monotonic_ns();
        if context.step() == 1 {
            self.last_ns = now_ns;
            if inputs.sleeps {
                return Ok(Step::Sleep(Duration::from_secs(3600)));
            }
        }
        let done = Lapped { first_ns: self.last_ns, last_ns: now_ns };
        Ok(if context.step() > inputs.steps { Step::Done(done) } else { Step::next() })
    }
}

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("procedures");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let mut rig = None;
    let mut procedures = || {
        let rig = rig.get_or_insert_with(|| BenchRig::launch(Topology::from_toml(CONFIG)));
        rig.scope.procedures()
    };
    let mut lapped = |steps| -> (u64, Lapped) {
        let begun_ns = monotonic_ns();
        let laps = Laps { steps, sleeps: false };
        (begun_ns, procedures().execute("stopwatch", &laps, PATIENCE).expect("it finishes"))
    };
    figures.bench(&mut group, ("procedures", "launch_to_first_step"), 1, |count| {
        let each = (0..count).map(|_| lapped(0)).map(|(begun_ns, laps)| laps.first_ns - begun_ns);
        (Sample::of_durations(each.collect::<Vec<_>>()), None)
    });
    figures.bench(&mut group, ("procedures", "step_with_checkpoint"), 1, |count| {
        let (_, laps) = lapped(count);
        let each = (laps.last_ns - laps.first_ns) / count.max(1);
        (Sample::of_durations((0..count).map(|_| each)), Some(flushed_by_hand(count)))
    });
    let mut unkept = None;
    figures.bench(&mut group, ("procedures", "step_in_memory"), 1, |count| {
        let rig = unkept.get_or_insert_with(|| BenchRig::launch(Topology::from_toml(in_memory())));
        let laps = Laps { steps: count, sleeps: false };
        let laps: Lapped = rig.scope.procedures().execute("stopwatch", &laps, PATIENCE).expect("it finishes");
        let each = (laps.last_ns - laps.first_ns) / count.max(1);
        (Sample::of_durations((0..count).map(|_| each)), None)
    });
    drop(unkept);
    let mut last = None;
    figures.bench(&mut group, ("procedures", "status_among_100"), 1, |count| {
        let procedures = procedures();
        let id = last.get_or_insert_with(|| {
            let launch =
                |_| procedures.launch("stopwatch", &Laps { steps: 1, sleeps: true }).expect("accepted");
            let ids = (0..CROWD).map(launch).map(|asked| asked.wait(PATIENCE).expect("launched"));
            ids.collect::<Vec<_>>().pop().expect("there are some")
        });
        let status = |_| {
            procedures.status(id).expect("accepted").wait(PATIENCE).expect("it is there");
        };
        (Sample::of(count, status), None)
    });
    group.finish();
}

/// A rig whose store nothing is flushed for.
fn in_memory() -> String {
    let store = format!("/dev/shm/labrig-bench-{}", std::process::id());
    let (rig, runner) = ("[rig]\nname = \"unkept\"", "[managers.runner]\nkind = \"labrig.procedures\"");
    format!("schema = 1\n{rig}\n{runner}\nconfig.store = \"{store}/store.sqlite\"\n")
}

/// As many lines, each of which is on the disk before the next.
fn flushed_by_hand(count: u64) -> Sample {
    let folder = std::env::temp_dir().join(format!("labrig-bench-{}", std::process::id()));
    let mut file = File::create(&folder).expect("a file");
    let line = vec![b'x'; STATE_BYTES];
    let sample = Sample::of(count, |_| {
        file.write_all(&line).expect("there is room");
        file.sync_data().expect("it is flushed");
    });
    std::fs::remove_file(&folder).expect("it is there");
    sample
}
