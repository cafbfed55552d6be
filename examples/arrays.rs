//! Arrays and tables in commands and replies: what is large travels in shared memory, without a copy.
//!
//! `cargo run --example arrays`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use labrig::payload::{Array, Column, Shared, Table};
use labrig::prelude::*;

const CONFIG: &str = "
schema = 1
[rig]
name = \"darkroom\"
[managers.imager]
kind = \"imager\"
[managers.analyst]
kind = \"analyst\"
";

/// What the handlers fail with: their callers are told in words.
type Fault = Box<dyn Error + Send + Sync>;

/// Takes a picture of so many rows and columns.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = Array<f32>)]
struct TakePicture {
    #[schema(min = 1, max = 10_000)]
    side: u32,
}

struct Imager;

impl Manager for Imager {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "imager")]
impl Imager {
    #[ipc_command]
    fn take_picture(&mut self, command: TakePicture, context: &mut Context) -> Result<Array<f32>, Fault> {
        let side = command.side as usize;
        // Filled in place, in memory that the caller will read: nothing is copied on the way.
        let mut pixels = context.loan::<f32>(side * side)?;
        for (row, line) in pixels.chunks_exact_mut(side).enumerate() {
            line.fill(row as f32);
        }
        Ok(Array::new([side, side], pixels.share())?)
    }
}

/// Looks at every row of a picture.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = Table)]
struct Analyse {
    picture: Array<f32>,
}

struct Analyst;

impl Manager for Analyst {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "analyst")]
impl Analyst {
    #[ipc_command]
    fn analyse(&mut self, command: Analyse) -> Result<Table, Fault> {
        let picture = command.picture;
        let rows = picture.chunks_exact(picture.shape()[1]);
        let mean = |row: &[f32]| f64::from(row.iter().sum::<f32>()) / row.len() as f64;
        let means: Shared<f64> = rows.map(mean).collect();
        let numbers: Vec<u64> = (0..means.len() as u64).collect();
        Ok(Table::new([Column::new("row", "", numbers), Column::new("mean", "counts", means)])?)
    }
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| look(&scope))
}

fn look(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let patience = Duration::from_secs(10);
    let picture = scope.request(TakePicture { side: 1024 })?.wait(patience)?;
    println!(
        "a picture of {:?}, in shared memory: {}",
        picture.shape(),
        picture.values().is_in_shared_memory()
    );

    // Passed on as it is: the second manager reads what the first one wrote.
    let table = scope.request(Analyse { picture: picture.clone() })?.wait(patience)?;
    let means = table.f64("mean").ok_or("there is such a column")?;
    println!("{} rows, the last one with a mean of {}", table.rows(), means[means.len() - 1]);

    // A view with other strides is packed when it is sent.
    let upright = picture.view().transposed().reversed(0).every(0, 4).to_array();
    let table = scope.request(Analyse { picture: upright })?.wait(patience)?;
    println!("turned and thinned out: {} rows", table.rows());
    Ok(())
}
