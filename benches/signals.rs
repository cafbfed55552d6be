//! What it costs to publish a signal, to read one in another process, and to be woken by one.
//!
//! Single operations are shorter than a look at the clock, so each duration is that of a lot of a thousand: its µs are
//! the ns of one.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use labrig::Topology;
use labrig::prelude::*;
use labrig::shm::monotonic_ns;

use crate::figures::{Figures, SAMPLES, Sample, nanoseconds};
use crate::rigs::{BenchRig, PATIENCE};

/// How many operations one duration stands for.
const LOT: u64 = 1000;

const CONFIG: &str = "schema = 1\n[rig]\nname = \"signals\"\n[managers.beacon]\nkind = \"beacon\"\n";

/// Two values, as most sets have.
#[derive(Signals, Schema, Debug, Clone, Copy)]
pub(crate) struct Place {
    #[schema(unit = "um")]
    height_um: f64,
    is_moving: bool,
}

/// Many values.
#[derive(Signals, Schema, Debug, Clone, Copy)]
pub(crate) struct Panel {
    readings: [f64; 16],
}

/// What is to be published.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy)]
pub(crate) enum What {
    Place,
    PlaceAtKnownTime,
    Panel,
    /// Nothing, but the time is looked at.
    Clock,
}

/// Publishes so many lots; replied to with the ns that each took.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<u64>)]
pub(crate) struct PublishLots {
    lots: u64,
    what: What,
}

/// Publishes until it is cancelled.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub(crate) struct PublishOnAndOn {}

pub(crate) struct Beacon {
    place: Publisher<Place>,
    panel: Publisher<Panel>,
}

impl Manager for Beacon {
    type Config = ();

    fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
        let place = context.signals(Place { height_um: 0.0, is_moving: false })?;
        Ok(Self { place, panel: context.signals(Panel { readings: [0.0; 16] })? })
    }
}

#[manager(kind = "beacon", signals(Place, Panel))]
impl Beacon {
    #[ipc_command]
    fn publish_lots(&mut self, command: PublishLots) -> Vec<u64> {
        (0..command.lots).map(|_| self.time_lot(command.what)).collect()
    }

    #[ipc_command]
    fn publish_on_and_on(&mut self, command: PublishOnAndOn, context: &mut Context) {
        let PublishOnAndOn {} = command;
        context.progress(0.0, 0.0, "publishes");
        while !context.is_cancelled() {
            self.time_lot(What::Place);
        }
    }

    fn time_lot(&mut self, what: What) -> u64 {
        let begun = Instant::now();
        for index in 0..LOT {
            let place = Place { height_um: index as f64, is_moving: true };
            match what {
                What::Place => self.place.publish(place),
                What::PlaceAtKnownTime => self.place.publish_at(place, index),
                What::Panel => self.panel.publish(Panel { readings: [index as f64; 16] }),
                What::Clock => drop(black_box(monotonic_ns())),
            }
        }
        nanoseconds(begun.elapsed())
    }
}

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("signals");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let mut rig = None;
    let mut rig = || {
        let rig = rig.get_or_insert_with(|| BenchRig::launch(Topology::from_toml(CONFIG)));
        rig.scope.without_deadline()
    };
    read(&mut group, figures, "read", || rig().signal::<f64>("beacon.height_um").expect("it is published"));
    read(&mut group, figures, "read_set_of_16", || {
        rig().signals::<Panel>("beacon").expect("it is published")
    });
    let mut publishing = None;
    read(&mut group, figures, "read_while_published", || {
        publishing.get_or_insert_with(|| rig().request(PublishOnAndOn {}).expect("accepted"));
        rig().signal::<f64>("beacon.height_um").expect("it is published")
    });
    if let Some(publishing) = publishing {
        publishing.cancel();
        drop(publishing.wait(PATIENCE));
    }
    for (name, what) in [
        ("publish", What::Place),
        ("publish_at_known_time", What::PlaceAtKnownTime),
        ("publish_set_of_16", What::Panel),
        ("clock", What::Clock),
    ] {
        figures.bench(&mut group, ("signals", name), LOT, |lots| {
            let asked = rig().request(PublishLots { lots, what }).expect("accepted");
            (Sample::of_durations(asked.wait(PATIENCE).expect("done")), None)
        });
    }
    wake(&mut group, figures, &mut rig);
    group.finish();
}

/// Reads in this process what another one publishes.
fn read<T: SignalValue>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    figures: &mut Figures,
    name: &str,
    mut find: impl FnMut() -> SignalReader<T>,
) {
    let mut reader = None;
    figures.bench(group, ("signals", name), LOT, |lots| {
        let reader = reader.get_or_insert_with(&mut find);
        let lot = |_| {
            for _ in 0..LOT {
                black_box(reader.read().expect("it is published"));
            }
        };
        (Sample::of(lots, lot), None)
    });
}

/// From a publication to whoever sleeps until it comes, in another process; single ones, in µs.
fn wake(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures, rig: &mut dyn FnMut() -> Scope) {
    let mut reader = None;
    figures.bench(group, ("signals", "wake"), 1, |count| {
        let scope = rig();
        let reader =
            reader.get_or_insert_with(|| scope.signal::<f64>("beacon.height_um").expect("published"));
        let woken = (0..count).map(|_| {
            let seen = reader.read().expect("it is published").sequence;
            std::thread::scope(|threads| {
                let mut sleeper = reader.clone();
                let sleeper = threads.spawn(move || {
                    let reading = sleeper.wait_for_next(PATIENCE).expect("it comes");
                    (monotonic_ns() - reading.at_ns, reading.sequence)
                });
                // Long enough for it to have fallen asleep.
                std::thread::sleep(Duration::from_millis(1));
                let asked = scope.request(PublishLots { lots: 1, what: What::Place }).expect("accepted");
                asked.wait(PATIENCE).expect("done");
                let (took_ns, sequence) = sleeper.join().expect("it does not panic");
                assert!(sequence > seen, "what is woken by is newer");
                took_ns
            })
        });
        (Sample::of_durations(woken.collect::<Vec<_>>()), None)
    });
}
