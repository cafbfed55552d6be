//! What it costs to write shared objects, and to read them in another process.
//!
//! As for signals, each duration is that of a lot of a thousand: its µs are the ns of one.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use labrig::Topology;
use labrig::prelude::*;

use crate::figures::{Figures, SAMPLES, Sample, nanoseconds};
use crate::rigs::{BenchRig, PATIENCE};

/// How many operations one duration stands for.
const LOT: u64 = 1000;

/// How many rows the table has.
const ROWS: u32 = 256;

const CONFIG: &str = "schema = 1\n[rig]\nname = \"shared\"\n[managers.depot]\nkind = \"depot\"\n";

/// As many columns as the tracker's rows have.
#[derive(Signals, Schema, Debug, Clone, Copy)]
pub(crate) struct Wide {
    readings: f64,
    a: f64,
    b: f64,
    c: f64,
    d: f64,
    e: f64,
    f: f64,
    g: f64,
}

#[derive(Signals, Schema, Debug, Clone, Copy)]
pub(crate) struct Tally {
    all: u64,
}

/// What is to be written.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy)]
pub(crate) enum What {
    Row,
    RowAtKnownTime,
    TableRow,
    Record,
    Value,
    Count,
}

/// Writes so many lots; replied to with the ns that each took.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<u64>)]
pub(crate) struct WriteLots {
    lots: u64,
    what: What,
}

pub(crate) struct Depot {
    rows: RowRing<Wide>,
    table: VersionedTable<u32, Wide>,
    set: AppendDataset<Wide>,
    value: LatestValue<Vec<f64>>,
    all: Counter,
}

fn wide(first: u64) -> Wide {
    Wide { readings: first as f64, a: 1.0, b: 2.0, c: 3.0, d: 4.0, e: 5.0, f: 6.0, g: 7.0 }
}

impl Manager for Depot {
    type Config = ();

    fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
        let tally: Counters<Tally> = context.share("tally")?;
        let mut table: VersionedTable<u32, Wide> = context.share("table")?;
        (0..ROWS).try_for_each(|key| table.put(key, &wide(0)).map(drop))?;
        let all = tally.counter("all").ok_or("it is declared")?;
        let (rows, set, value) = (context.share("rows")?, context.share("set")?, context.share("value")?);
        Ok(Self { rows, table, set, value, all })
    }
}

#[manager(
    kind = "depot",
    shares(
        rows = RowRing::<Wide>::declare(1 << 16),
        table = VersionedTable::<u32, Wide>::declare(256),
        set = AppendDataset::<Wide>::declare(LOT),
        value = LatestValue::<Vec<f64>>::declare(1024),
        tally = Counters::<Tally>::declare(),
    )
)]
impl Depot {
    #[ipc_command]
    fn write_lots(&mut self, command: WriteLots) -> Result<Vec<u64>, String> {
        (0..command.lots).map(|_| self.time_lot(command.what)).collect()
    }

    fn time_lot(&mut self, what: What) -> Result<u64, String> {
        let values = vec![0.5; 64];
        self.set.begin_anew();
        let begun = Instant::now();
        for index in 0..LOT {
            match what {
                What::Row => self.rows.append(&wide(index)),
                What::RowAtKnownTime => {
                    self.rows.append_at(u64::MAX / 2, &[wide(index)]).map_err(|error| error.to_string())?;
                }
                What::TableRow => {
                    let put = self.table.put(index as u32 % ROWS, &wide(index));
                    black_box(put.map_err(|error| error.to_string())?);
                }
                What::Record => self.set.append(&wide(index)).map_err(|error| error.to_string())?,
                What::Value => self.value.publish(&values).map_err(|error| error.to_string())?,
                What::Count => self.all.add(1),
            }
        }
        if let What::Record = what {
            self.set.commit();
        }
        Ok(nanoseconds(begun.elapsed()))
    }
}

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("shared");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let mut rig = None;
    let mut scope = || {
        let rig = rig.get_or_insert_with(|| BenchRig::launch(Topology::from_toml(CONFIG)));
        rig.scope.without_deadline()
    };
    for (name, what) in [
        ("append_row", What::Row),
        ("append_row_at_known_time", What::RowAtKnownTime),
        ("put_table_row", What::TableRow),
        ("append_record", What::Record),
        ("publish_value_of_512_bytes", What::Value),
        ("count", What::Count),
    ] {
        figures.bench(&mut group, ("shared", name), LOT, |lots| {
            let asked = scope().request(WriteLots { lots, what }).expect("accepted");
            (Sample::of_durations(asked.wait(PATIENCE).expect("done")), None)
        });
    }
    read(&mut group, figures, &mut scope);
    group.finish();
}

/// Reads in this process what another one has written.
fn read(group: &mut BenchmarkGroup<'_, WallTime>, figures: &mut Figures, scope: &mut dyn FnMut() -> Scope) {
    let mut rows = None;
    figures.bench(group, ("shared", "read_row"), LOT, |lots| {
        let rows = rows.get_or_insert_with(|| {
            let asked = scope().request(WriteLots { lots: 70, what: What::Row }).expect("accepted");
            asked.wait(PATIENCE).expect("done");
            scope().rows("depot.rows").expect("it is shared")
        });
        let lot = |_| {
            let batch = rows.latest(LOT).expect("they are there");
            assert_eq!(black_box(batch.len() as u64), LOT);
        };
        (Sample::of(lots, lot), None)
    });
    let mut table = None;
    figures.bench(group, ("shared", "get_table_row"), LOT, |lots| {
        let table = table.get_or_insert_with(|| scope().table::<u32, Wide>("depot.table").expect("shared"));
        let lot = |_| {
            for index in 0..LOT as u32 {
                black_box(table.get(&(index % ROWS)).expect("it is at rest"));
            }
        };
        (Sample::of(lots, lot), None)
    });
    let mut value = None;
    figures.bench(group, ("shared", "read_value_of_512_bytes"), LOT, |lots| {
        let value =
            value.get_or_insert_with(|| scope().latest_value::<Vec<f64>>("depot.value").expect("shared"));
        let lot = |_| {
            for _ in 0..LOT {
                black_box(value.read().expect("it was published"));
            }
        };
        (Sample::of(lots, lot), None)
    });
}
