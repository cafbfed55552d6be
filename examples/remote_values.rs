//! A value that stays where it was made, and is used from elsewhere by a handle.
//!
//! The archive loads a look-up table, which is not sent to anybody: the program and a second manager call its methods
//! where it is. The second manager is also handed a value of the program itself, and tells it how far it is.
//!
//! `cargo run --example remote_values`

use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;
use labrig::{CallErrorKind, Refusal};

const CONFIG: &str = "
schema = 1
[rig]
name = \"archive\"
[managers.archive]
kind = \"archive\"
[managers.plotter]
kind = \"plotter\"
";

/// Heights by brightness, too many of them to send around.
struct LookupTable {
    heights_um: Vec<f64>,
}

// Whatever stands here can be called from elsewhere, and nothing else of the type.
#[remote]
impl LookupTable {
    /// The height at that brightness.
    fn height(&self, brightness: u32) -> Option<f64> {
        self.heights_um.get(brightness as usize).copied()
    }

    /// Adds a height, and gives their number. Read-only handles do not get this far.
    #[remote(write)]
    fn append(&mut self, height_um: f64) -> u32 {
        self.heights_um.push(height_um);
        self.heights_um.len() as u32
    }
}

impl Drop for LookupTable {
    fn drop(&mut self) {
        log::info!("nobody has a handle to the table any longer");
    }
}

/// How far somebody is.
#[derive(Default)]
struct Tally {
    points: u32,
}

#[remote]
impl Tally {
    /// So many points more.
    #[remote(write)]
    fn count(&mut self, points: u32) {
        self.points += points;
    }

    /// How many points there are.
    fn points(&self) -> u32 {
        self.points
    }
}

/// Loads the table.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = RemoteRef<LookupTable>)]
struct LoadTable {}

struct Archive;

impl Manager for Archive {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "archive")]
impl Archive {
    #[ipc_command]
    fn load_table(&mut self, _: LoadTable) -> Remote<LookupTable> {
        Remote::new(LookupTable { heights_um: (0..256).map(|step| 0.5 * f64::from(step)).collect() })
    }
}

/// Plots a table, and says how far it is while it does; replies the height of the plot.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = f64)]
struct Plot {
    table: RemoteRef<LookupTable>,
    tally: RemoteRef<Tally>,
}

struct Plotter;

impl Manager for Plotter {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "plotter")]
impl Plotter {
    #[ipc_command]
    fn plot(&mut self, command: Plot) -> Result<f64, CallError> {
        let mut highest = 0.0_f64;
        for brightness in [0, 100, 200] {
            highest = highest.max(command.table.height(brightness)?.unwrap_or_default());
            command.tally.count(1)?;
        }
        Ok(highest)
    }
}

fn use_the_table(scope: Scope) -> Result<(), CallError> {
    let table = scope.call(LoadTable {})?;
    println!("{table} has {:?} µm at 100", table.height(100)?);
    // Or without waiting for it.
    let pending = table.start_append(200.0)?;
    println!("it has {} heights", pending.wait(Duration::from_secs(5))?);

    let readable = table.read_only();
    if let Err(CallError::Refused(refusal @ Refusal::ReadOnlyHandle { .. })) = readable.append(1.0) {
        println!("{refusal}");
    }

    let tally = scope.remote(Tally::default()).expect("there is room for one value");
    let highest = scope.call(Plot { table: readable, tally: tally.clone() })?;
    println!("plotted up to {highest} µm, {} points", tally.points()?);

    scope.restart("archive")?.wait(Duration::from_secs(30))?;
    let gone = table.height(100).expect_err("the table was in another life of the archive");
    println!("after a restart: {gone}");
    assert_eq!(gone.kind(), CallErrorKind::StaleHandle);
    Ok(())
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(use_the_table)
}
