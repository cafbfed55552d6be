//! `shelf` and `borrower`: values that stay where they are, and managers that use them from elsewhere.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use labrig::KeepError;
use labrig::prelude::*;
use labrig::registry::ResolveError;

/// What has become of the tables of this process, in order.
static DIARY: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(what: String) {
    DIARY.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(what);
}

/// A table that stays where it was loaded.
pub struct Table {
    name: String,
    heights: Vec<f64>,
}

/// Why a table has no such height.
#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
pub enum TableError {
    /// It is shorter.
    TooShort {
        /// The row asked for.
        row: u64,
        /// How many there are.
        rows: u64,
    },
}

#[remote]
impl Table {
    /// The height in a row.
    fn height(&self, row: u64) -> Result<f64, TableError> {
        let rows = self.heights.len() as u64;
        self.heights.get(row as usize).copied().ok_or(TableError::TooShort { row, rows })
    }

    /// Adds a row, and gives their number.
    #[remote(write)]
    fn append(&mut self, height: f64) -> u64 {
        self.heights.push(height);
        self.heights.len() as u64
    }

    /// Takes until it is cancelled.
    fn study(&self, context: &mut Context) -> Result<(), Cancelled> {
        context.progress(0.0, 1.0, "studying");
        context.sleep(Duration::from_secs(1000))
    }

    /// Takes no longer than this.
    #[remote(deadline_ms = 20)]
    fn glance(&self, context: &mut Context) -> Result<(), Cancelled> {
        context.sleep(Duration::from_secs(1000))
    }

    /// Falls over.
    fn topple(&self) {
        panic!("{} has fallen over", self.name);
    }

    /// Another table, of its first rows, at the same place.
    fn beginning(&self, rows: u64) -> Remote<Table> {
        let heights = self.heights.iter().take(rows as usize).copied().collect();
        Remote::new(Table { name: format!("{} again", self.name), heights })
    }

    /// The sum of a table's heights, wherever that is, and its own.
    fn total_with(&self, other: RemoteRef<Other>) -> Result<f64, CallError> {
        Ok(self.heights.iter().sum::<f64>() + other.total()?)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        note(format!("{} dropped", self.name));
    }
}

/// A value that wants to know who has it.
pub struct Watched {
    name: String,
}

#[remote]
impl Watched {
    /// Its name.
    fn name(&self) -> String {
        self.name.clone()
    }

    #[remote(connected)]
    fn held_by(&mut self, holder: &str) {
        note(format!("{} held by {holder}", self.name));
    }

    #[remote(disconnected)]
    fn let_go_by(&mut self, holder: &str) {
        note(format!("{} let go by {holder}", self.name));
    }
}

/// A value of another type.
pub struct Other {
    total: f64,
}

impl Other {
    /// One with that sum.
    pub fn new(total: f64) -> Self {
        Self { total }
    }
}

#[remote]
impl Other {
    /// The sum of it.
    fn total(&self) -> f64 {
        self.total
    }

    /// Adds to it, and gives the sum.
    #[remote(write)]
    fn add(&mut self, more: f64) -> f64 {
        self.total += more;
        self.total
    }
}

/// Loads a table.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = RemoteRef<Table>)]
pub struct LoadTable {
    /// Its name in the diary.
    pub name: String,
    /// Its rows.
    pub heights: Vec<f64>,
}

/// Loads a table, or fails.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = RemoteRef<Watched>)]
pub struct LoadWatched {
    /// Its name in the diary.
    pub name: String,
    /// Whether it fails instead.
    pub fails: bool,
}

/// Loads that many tables, which are called by their numbers.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<RemoteRef<Table>>)]
pub struct LoadTables {
    /// How many.
    pub count: u32,
}

/// How many rows a table has that is this manager's own.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct CountRows {
    /// Which.
    pub table: RemoteRef<Table>,
}

/// What has become of this manager's tables.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<String>)]
pub struct ReadDiary {}

/// A manager that has tables.
pub struct Shelf;

impl Manager for Shelf {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "shelf")]
impl Shelf {
    #[ipc_command]
    fn load_table(&mut self, command: LoadTable) -> Remote<Table> {
        Remote::new(Table { name: command.name, heights: command.heights })
    }

    #[ipc_command]
    fn load_watched(&mut self, command: LoadWatched) -> Result<Remote<Watched>, TableError> {
        match command.fails {
            true => Err(TableError::TooShort { row: 1, rows: 0 }),
            false => Ok(Remote::new(Watched { name: command.name })),
        }
    }

    #[ipc_command]
    fn load_tables(
        &mut self,
        command: LoadTables,
        context: &mut Context,
    ) -> Result<Vec<RemoteRef<Table>>, KeepError> {
        let table = |number: u32| Table { name: number.to_string(), heights: vec![f64::from(number)] };
        (0..command.count).map(|number| context.remote(table(number))).collect()
    }

    #[ipc_command]
    fn count_rows(&mut self, command: CountRows, context: &mut Context) -> Result<u64, ResolveError> {
        Ok(context.resolve(&command.table)?.heights.len() as u64)
    }

    #[ipc_command]
    fn read_diary(&mut self, _: ReadDiary) -> Vec<String> {
        DIARY.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// Tables in everything that can hold one.
#[derive(Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Bundle {
    /// Some.
    pub several: Vec<RemoteRef<Table>>,
    /// One, or none.
    pub perhaps: Option<RemoteRef<Table>>,
    /// By name.
    pub by_name: BTreeMap<String, RemoteRef<Table>>,
}

impl Bundle {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &RemoteRef<Table>> {
        self.several.iter().chain(&self.perhaps).chain(self.by_name.values())
    }
}

/// Has a borrower add up a row of each table, which it asks for.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = f64)]
pub struct AddUp {
    /// The tables.
    pub bundle: Bundle,
    /// Which row.
    pub row: u64,
}

/// Has a borrower keep tables until it is told to forget them; it gives them back as it holds them.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Bundle)]
pub struct Keep {
    /// The tables.
    pub bundle: Bundle,
}

/// Has a borrower forget all that it keeps.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Forget {}

/// Has a borrower call back: it adds that much to a value, wherever that is.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = f64)]
pub struct CallBack {
    /// The value.
    pub other: RemoteRef<Other>,
    /// How much.
    pub more: f64,
}

/// Why a borrower is of no use, with what it was to use.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub enum BorrowError {
    /// It gives the table back with its error.
    GivenBack {
        /// The table.
        table: RemoteRef<Table>,
    },
}

/// Has a borrower fail, with the table in its error.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct GiveBackAsError {
    /// The table.
    pub table: RemoteRef<Table>,
}

/// A manager that uses tables of others.
#[derive(Default)]
pub struct Borrower {
    kept: Vec<Bundle>,
}

impl Manager for Borrower {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self::default())
    }
}

#[manager(kind = "borrower")]
impl Borrower {
    #[ipc_command]
    fn add_up(&mut self, command: AddUp) -> Result<f64, CallError> {
        command.bundle.all().map(|table| table.height(command.row)).sum()
    }

    #[ipc_command]
    fn keep(&mut self, command: Keep) -> Bundle {
        self.kept.push(command.bundle.clone());
        command.bundle
    }

    #[ipc_command]
    fn forget(&mut self, _: Forget) {
        self.kept.clear();
    }

    #[ipc_command]
    fn call_back(&mut self, command: CallBack) -> Result<f64, CallError> {
        command.other.add(command.more)
    }

    #[ipc_command]
    fn give_back_as_error(&mut self, command: GiveBackAsError) -> Result<(), BorrowError> {
        Err(BorrowError::GivenBack { table: command.table })
    }
}
