//! `sharer`: writes shared objects as it is told; `follower`: reads those of another manager, and says what it saw.

use std::time::Duration;

use labrig::prelude::*;
use labrig::registry::ShareError;

use crate::commands::TestError;

/// Values of which the others follow from the first.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The number that the others follow from.
    pub count: u64,
    /// Half of it.
    #[schema(unit = "um")]
    pub half_um: f64,
    /// Less than nothing by that much.
    pub below: i64,
}

impl Step {
    /// All that follows from a number.
    pub fn to(count: u64) -> Self {
        Self { count, half_um: count as f64 / 2.0, below: -(count as i64) }
    }
}

/// What has no fixed size.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Note {
    /// A text.
    pub text: String,
    /// As many numbers as the text has bytes.
    pub numbers: Vec<u32>,
}

impl Note {
    /// All that follows from a text.
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), numbers: (0..text.len() as u32).collect() }
    }
}

/// What is counted.
#[derive(Signals, Schema, Debug, Clone, Copy)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Others.
    pub others: u64,
}

/// What is to be written.
#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub enum Writing {
    /// So many rows more.
    Rows(u64),
    /// A value.
    Value(String),
    /// A row of the table.
    Row(u32, u64),
    /// No row of that key.
    NoRow(u32),
    /// The table without holes.
    Compact,
    /// So many records more.
    Records(u64),
    /// What was appended is to be seen.
    Commit,
    /// What was appended is to be taken back.
    RollBack,
    /// The dataset is complete.
    Finish,
    /// The dataset begins anew.
    Anew,
}

/// Writes something; replied to with how many there are then.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct Write {
    /// What.
    pub what: Writing,
}

/// Asks for writers that there are not; answered with what it is told.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<String>)]
pub struct ShareInVain {}

/// Writes what it is told.
pub struct Sharer {
    steps: RowRing<Step>,
    note: LatestValue<Note>,
    places: VersionedTable<u32, Step>,
    scan: AppendDataset<Step>,
    rows: Counter,
    others: Counter,
}

impl Manager for Sharer {
    type Config = ();

    fn setup(_: (), context: &mut Context) -> Result<Self, SetupError> {
        let counts: Counters<Counts> = context.share("counts")?;
        let counter = |name: &str| counts.counter(name).ok_or("there is no such counter");
        Ok(Self {
            steps: context.share("steps")?,
            note: context.share("note")?,
            places: context.share("places")?,
            scan: context.share("scan")?,
            rows: counter("rows")?,
            others: counter("others")?,
        })
    }
}

#[manager(
    kind = "sharer",
    shares(
        steps = RowRing::<Step>::declare(1000),
        note = LatestValue::<Note>::declare(256),
        places = VersionedTable::<u32, Step>::declare(8),
        scan = AppendDataset::<Step>::declare(10_000),
        counts = Counters::<Counts>::declare(),
    )
)]
impl Sharer {
    #[ipc_command]
    fn write(&mut self, command: Write) -> Result<u64, TestError> {
        let failed = |error: String| TestError::NoAnswer { why: error };
        if !matches!(command.what, Writing::Rows(_)) {
            self.others.add(1);
        }
        Ok(match command.what {
            Writing::Rows(rows) => {
                let last = self.steps.appended();
                (last + 1..=last + rows).for_each(|count| self.steps.append(&Step::to(count)));
                self.rows.add(rows);
                self.steps.appended()
            }
            Writing::Value(text) => {
                self.note.publish(&Note::of(&text)).map_err(|error| failed(error.to_string()))?;
                1
            }
            Writing::Row(key, count) => {
                self.places.put(key, &Step::to(count)).map_err(|error| failed(error.to_string()))?
            }
            Writing::NoRow(key) => u64::from(self.places.remove(&key)),
            Writing::Compact => self.places.compact() as u64,
            Writing::Records(records) => {
                let last = self.scan.appended();
                let mut more = (last..last + records).map(|count| self.scan.append(&Step::to(count)));
                more.try_for_each(|it| it).map_err(|error| failed(error.to_string()))?;
                self.scan.appended()
            }
            Writing::Commit => self.scan.commit(),
            Writing::RollBack => self.scan.roll_back(),
            Writing::Finish => self.scan.finish().map_err(|error| failed(error.to_string()))?,
            Writing::Anew => {
                self.scan.begin_anew();
                0
            }
        })
    }

    #[ipc_command]
    fn share_in_vain(&mut self, command: ShareInVain, context: &mut Context) -> Vec<String> {
        let ShareInVain {} = command;
        let told = |outcome: Result<RowRing<Step>, ShareError>| outcome.expect_err("in vain").to_string();
        let mut answers = vec![told(context.share("stpes")), told(context.share("steps"))];
        answers.push(told(context.share("note")));
        answers
    }
}

/// Follows the rows of a ring until that row, each of which must be whole and follow the one before it; replied to with
/// how many were lost.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct FollowRows {
    /// Which ring.
    pub name: String,
    /// Until which row.
    pub last: u64,
    /// How long to wait for each, in ms.
    pub patience_ms: u64,
}

/// Reads everything that a sharer shares.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Shared)]
pub struct ReadShared {
    /// The manager.
    pub manager: String,
}

/// What was read.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Shared {
    /// Of the latest row of the ring, its number.
    pub last_row: Option<u64>,
    /// The text of the value.
    pub text: Option<String>,
    /// Keys and counts of the table, sorted.
    pub places: Vec<(u32, u64)>,
    /// How many records are committed.
    pub committed: u64,
    /// How the dataset stands.
    pub state: String,
    /// The counters.
    pub counts: Vec<(String, u64)>,
    /// Which life was read.
    pub generation: u32,
}

impl Shared {
    /// All that a manager shares, read here and now.
    pub fn read(scope: &Scope, manager: &str) -> Result<Self, SharedError> {
        let name = |object: &str| format!("{manager}.{object}");
        let mut rows = scope.rows(&name("steps"))?;
        let last_row = rows.latest(1)?.iter().next().map(|row| row.number());
        let text = match scope.latest_value::<Note>(&name("note"))?.read() {
            Ok(reading) => Some(reading.value.text),
            Err(SharedError::NotPublished { .. }) => None,
            Err(error) => return Err(error),
        };
        let snapshot = scope.table::<u32, Step>(&name("places"))?.snapshot()?;
        let mut places: Vec<_> = snapshot.rows.iter().map(|(key, it)| (*key, it.row.count)).collect();
        places.sort_unstable();
        let records = scope.dataset::<Step>(&name("scan"))?.read()?;
        let mut counts = scope.counters(&name("counts"))?;
        Ok(Self {
            last_row,
            text,
            places,
            committed: records.committed,
            state: format!("{:?}", records.state),
            counts: counts.read()?,
            generation: rows.generation(),
        })
    }
}

/// Reads what others share.
pub struct Follower;

impl Manager for Follower {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "follower")]
impl Follower {
    #[ipc_command]
    fn follow_rows(&mut self, command: FollowRows, context: &mut Context) -> Result<u64, SharedError> {
        let mut rows = context.scope().rows(&command.name)?;
        context.progress(0.0, 1.0, "begun");
        follow(&mut rows, command.last, Duration::from_millis(command.patience_ms))
    }

    #[ipc_command]
    fn read_shared(&mut self, command: ReadShared, context: &mut Context) -> Result<Shared, SharedError> {
        Shared::read(&context.scope(), &command.manager)
    }
}

/// Follows rows until that one, of which each must be whole and follow the one before it; says how many were lost.
pub fn follow(rows: &mut RowReader, last: u64, patience: Duration) -> Result<u64, SharedError> {
    let mut seen = None;
    while seen.is_none_or(|seen| seen < last) {
        rows.wait(patience)?;
        let batch = rows.read()?;
        let steps = batch.to::<Step>()?;
        for (row, step) in batch.iter().zip(steps) {
            assert_eq!(step, Step::to(row.number()), "torn");
            assert!(seen.is_none_or(|seen| row.number() > seen), "{} after {seen:?}", row.number());
            seen = Some(row.number());
        }
    }
    Ok(rows.lost())
}
