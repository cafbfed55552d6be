//! What a manager shares beyond signals: a time series, a value of any type, a table, a dataset and counters, each read
//! elsewhere out of shared memory.
//!
//! `cargo run --example shared`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"roof\"
[managers.station]
kind = \"station\"
";

/// What is measured every 5 ms.
#[derive(Signals, Schema, Debug, Clone, Copy)]
struct Wind {
    #[schema(unit = "m/s")]
    speed_m_s: f64,
    #[schema(unit = "deg")]
    from_deg: f64,
}

/// The strongest wind of one direction.
#[derive(Signals, Schema, Debug, Clone, Copy)]
struct Gust {
    #[schema(unit = "m/s")]
    speed_m_s: f64,
}

/// Where it is measured.
#[derive(Serialize, Deserialize, Schema, Debug)]
struct Mast {
    name: String,
    heights_m: Vec<f64>,
}

#[derive(Signals, Schema, Debug, Clone, Copy)]
struct Counts {
    readings: u64,
    gusts: u64,
}

struct Station {
    wind: RowRing<Wind>,
    gusts: VersionedTable<u32, Gust>,
    minute: AppendDataset<Wind>,
    readings: Counter,
    gusts_seen: Counter,
}

impl Manager for Station {
    type Config = ();

    fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
        let mut mast: LatestValue<Mast> = context.share("mast")?;
        mast.publish(&Mast { name: "north".to_owned(), heights_m: vec![2.0, 10.0] })?;
        let counts: Counters<Counts> = context.share("counts")?;
        Ok(Self {
            wind: context.share("wind")?,
            gusts: context.share("gusts")?,
            minute: context.share("minute")?,
            readings: counts.counter("readings").ok_or("it is declared")?,
            gusts_seen: counts.counter("gusts").ok_or("it is declared")?,
        })
    }
}

#[manager(
    kind = "station",
    shares(
        wind = RowRing::<Wind>::declare(1000),
        mast = LatestValue::<Mast>::declare(1024),
        gusts = VersionedTable::<u32, Gust>::declare(8),
        minute = AppendDataset::<Wind>::declare(40),
        counts = Counters::<Counts>::declare(),
    )
)]
impl Station {
    #[every(milliseconds = 5)]
    fn measure(&mut self) -> Result<(), TableFull> {
        let turn = self.readings.get() as f64;
        let wind = Wind { speed_m_s: 5.0 + 4.0 * (turn / 7.0).sin(), from_deg: (turn * 11.0) % 360.0 };
        self.wind.append(&wind);
        self.readings.add(1);
        if wind.speed_m_s > 8.0 {
            self.gusts.put((wind.from_deg / 45.0) as u32, &Gust { speed_m_s: wind.speed_m_s })?;
            self.gusts_seen.add(1);
        }
        self.note(&wind);
        Ok(())
    }

    /// Ten readings are seen together, and the last ten of them complete the set.
    fn note(&mut self, wind: &Wind) {
        let is_open = self.minute.append(wind).is_ok();
        match self.minute.appended() {
            40 if is_open => drop(self.minute.finish()),
            appended if appended.is_multiple_of(10) => drop(self.minute.commit()),
            _ => {}
        }
    }
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| look(&scope))
}

fn look(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let patience = Duration::from_secs(10);
    let mut wind = scope.rows("station.wind")?;
    let columns: Vec<_> = wind.columns().iter().map(|it| it.name.clone()).collect();
    println!("{columns:?}");
    let mut seen = 0;
    while seen < 20 {
        // Nobody polls: the station wakes whoever waits for its rows.
        wind.wait(patience)?;
        let rows = wind.read()?;
        seen += rows.len();
        for row in rows.iter().filter(|row| row.number() % 10 == 0) {
            println!("row {}: {:.1?}", row.number(), row.values().collect::<Vec<_>>());
        }
    }
    println!("{} rows gave way unread", wind.lost());

    let mast = scope.latest_value::<Mast>("station.mast")?.read()?.value;
    println!("mast {} measures at {:?} m", mast.name, mast.heights_m);

    let gusts = scope.table::<u32, Gust>("station.gusts")?.wait_for_change(0, patience)?;
    println!("there were gusts from some direction: {}", !gusts.rows.is_empty());

    let mut minute = scope.dataset::<Wind>("station.minute")?;
    let mut records = minute.read()?;
    while records.state == DatasetState::Filling {
        minute.wait(patience)?;
        records = minute.read()?;
    }
    println!("the set is {:?}, with {} readings", records.state, records.committed);

    let mut counts = scope.counters("station.counts")?;
    println!("the station counts its readings: {}", counts.get("readings")?.is_some_and(|count| count >= 40));
    Ok(())
}
