//! An array of 16 MiB from one manager to another and back: how fast, beside a `memcpy` of the same size.
//!
//! Built in place it is not copied at all; out of a `Vec` it is copied once, by its sender. What is timed is the call, and
//! for a `Vec` the copy in it. The other side looks at each page before it gives the array back.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use labrig::Topology;
use labrig::payload::{Array, Loan, Shared};
use labrig::prelude::*;

use crate::figures::{Figures, SAMPLES, Sample, nanoseconds};
use crate::rigs::{BenchRig, PATIENCE};

const MIB: usize = 1 << 20;
const CONFIG: &str = "schema = 1\n[rig]\nname = \"arrays\"\n[managers.near]\nkind = \"porter\"\n\
                      [managers.far]\nkind = \"porter\"\n";

/// Gives an array back, and has looked at each of its pages.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Array<f32>)]
pub(crate) struct Return {
    load: Array<f32>,
}

/// Has another porter give an array back, so often; replied to with the ns of each.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<u64>)]
pub(crate) struct TimeReturns {
    whom: String,
    times: u64,
    bytes: u64,
    in_place: bool,
}

pub(crate) struct Porter;

impl Manager for Porter {
    type Config = ();

    fn setup((): (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "porter")]
impl Porter {
    #[ipc_command]
    fn give_back(&mut self, command: Return) -> Array<f32> {
        black_box(command.load.iter().step_by(1024).sum::<f32>());
        command.load
    }

    #[ipc_command]
    fn time_returns(&mut self, command: TimeReturns, context: &mut Context) -> Result<Vec<u64>, CallError> {
        let count = command.bytes as usize / size_of::<f32>();
        let time = || {
            let values: Shared<f32> = match command.in_place {
                true => {
                    let mut loan = Loan::new(count).expect("there is memory");
                    loan.fill(0.5);
                    loan.share()
                }
                false => vec![0.5; count].into(),
            };
            let load = Array::new([count], values).expect("it fits");
            let begun = Instant::now();
            let came = context.to(&command.whom).call(Return { load })?;
            let took = nanoseconds(begun.elapsed());
            assert_eq!(came.len(), count);
            Ok(took)
        };
        (0..command.times).map(|_| time()).collect()
    }
}

/// So many copies of that many bytes, from warm memory to warm memory.
fn copies(times: u64, bytes: usize) -> Sample {
    let from = vec![1_u8; bytes];
    let mut to = vec![0_u8; bytes];
    Sample::of(times, |_| black_box(&mut to).copy_from_slice(black_box(&from)))
}

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("arrays");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let mut rig = None;
    for (name, mib, in_place) in [
        ("echo_16_mib_in_place", 16, true),
        ("echo_16_mib_copied", 16, false),
        ("echo_1_mib_in_place", 1, true),
    ] {
        let (mut returns, mut copied) = (Duration::ZERO, Duration::ZERO);
        let mut count = 0;
        figures.bench(&mut group, ("arrays", name), 1, |times| {
            let rig = rig.get_or_insert_with(|| BenchRig::launch(Topology::from_toml(CONFIG)));
            let bytes = (mib * MIB) as u64;
            let asked = TimeReturns { whom: "far".to_owned(), times, bytes, in_place };
            let asked = rig.scope.without_deadline().to("near").request(asked).expect("accepted");
            let each = asked.wait(PATIENCE).expect("done");
            returns += Duration::from_nanos(each.iter().sum());
            let begun = Instant::now();
            let by_hand = copies(times, mib * MIB);
            copied += begun.elapsed();
            count += times;
            (Sample::of_durations(each), Some(by_hand))
        });
        if count > 0 {
            let gib = (count as usize * mib) as f64 / 1024.0;
            let (returns, copied) = (gib / returns.as_secs_f64(), gib / copied.as_secs_f64());
            println!("arrays/{name}: {returns:.2} GiB/s there and back, memcpy {copied:.2} GiB/s");
        }
    }
    group.finish();
}
