//! `carrier`: takes arrays and gives them back, keeps them, or passes them on.

use std::fs;
use std::time::Duration;

use labrig::payload::{Array, FrameCopy, Payload, Shared, Table};
use labrig::prelude::*;

use crate::commands::TestError;

/// Gives an array back.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Array<f32>, scriptable)]
pub struct Carry {
    /// The array.
    pub load: Array<f32>,
}

/// As [`Carry`], for every carrier.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = Shared<u8>)]
pub struct CarryAll {
    /// The bytes.
    pub load: Shared<u8>,
}

/// Builds so many numbers in place: 0, 1, 2 …
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Shared<u64>)]
pub struct Build {
    /// How many.
    pub count: u64,
}

/// Keeps a list, and forgets the one before; one way.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Keep {
    /// The list.
    pub load: Shared<u8>,
}

/// The sum of what is kept.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct SumUp {}

/// Has another carrier give the array back.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Array<f32>)]
pub struct PassOn {
    /// Which.
    pub whom: String,
    /// The array.
    pub load: Array<f32>,
}

/// Asks every carrier, and says how many gave how many bytes back; for the others, why not.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<String>)]
pub struct AskAll {
    /// The bytes.
    pub load: Shared<u8>,
}

/// So many arrays of so many numbers, one after the other.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ReplyStream<Shared<u64>>)]
pub struct Roll {
    /// How many arrays.
    pub arrays: u64,
    /// How many numbers each has.
    pub count: u64,
}

/// Gives anything back.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Payload)]
pub struct CarryAny {
    /// What.
    pub load: Payload,
}

/// Gives a table back.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Table)]
pub struct CarryTable {
    /// The table.
    pub load: Table,
}

/// An array and an image.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Luggage {
    /// The array.
    pub array: Array<f32>,
    /// The image.
    pub image: FrameCopy,
}

/// Gives an image back.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = FrameCopy)]
pub struct CarryImage {
    /// The image.
    pub load: FrameCopy,
}

/// Has the coordinator give both back.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = Luggage)]
pub struct CarryHome {
    /// Both.
    pub load: Luggage,
}

/// Has a carrier ask for that.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Luggage)]
pub struct SendHome {
    /// Both.
    pub load: Luggage,
}

/// Builds an array so often, and has another carrier give it back.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct SendMany {
    /// Which.
    pub whom: String,
    /// How often.
    pub times: u32,
    /// How large.
    pub bytes: u64,
}

/// Tells what its process has.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Weight)]
pub struct Weigh {}

/// What a process has.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy)]
pub struct Weight {
    /// Open descriptors.
    pub descriptors: u64,
    /// Resident memory, shared memory among it.
    pub resident_kb: u64,
}

/// What this process has.
pub fn weight() -> Weight {
    let descriptors =
        fs::read_dir("/proc/self/fd").expect("the list of descriptors can be read").count() as u64;
    let status = fs::read_to_string("/proc/self/status").expect("the status can be read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says so");
    let resident_kb = line.trim().trim_end_matches(" kB").parse().expect("a number");
    Weight { descriptors, resident_kb }
}

/// See the module's words.
#[derive(Default)]
pub struct Carrier {
    kept: Shared<u8>,
}

impl Manager for Carrier {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self::default())
    }
}

fn numbers(count: u64) -> Shared<u64> {
    let build =
        Shared::build(count as usize, |to| to.iter_mut().zip(0..).for_each(|(it, number)| *it = number));
    build.expect("there is memory")
}

#[manager(kind = "carrier")]
impl Carrier {
    #[ipc_command]
    fn carry(&mut self, command: Carry) -> Array<f32> {
        command.load
    }

    #[ipc_command]
    fn carry_all(&mut self, command: CarryAll) -> Shared<u8> {
        command.load
    }

    #[ipc_command]
    fn carry_any(&mut self, command: CarryAny) -> Payload {
        command.load
    }

    #[ipc_command]
    fn carry_image(&mut self, command: CarryImage) -> FrameCopy {
        command.load
    }

    #[ipc_command]
    fn carry_table(&mut self, command: CarryTable) -> Table {
        command.load
    }

    #[ipc_command]
    fn send_home(&mut self, command: SendHome, context: &mut Context) -> Result<Luggage, TestError> {
        let asked = context.call(CarryHome { load: command.load });
        asked.map_err(|error| TestError::NoAnswer { why: error.to_string() })
    }

    #[ipc_command]
    fn build(&mut self, command: Build) -> Shared<u64> {
        numbers(command.count)
    }

    #[ipc_command]
    fn roll(&mut self, command: Roll) -> ReplyStream<Shared<u64>> {
        ReplyStream::new((0..command.arrays).map(move |_| numbers(command.count)))
    }

    #[ipc_command]
    fn keep(&mut self, command: Keep) {
        self.kept = command.load;
    }

    #[ipc_command]
    fn sum_up(&mut self, _: SumUp) -> u64 {
        self.kept.iter().map(|byte| u64::from(*byte)).sum()
    }

    #[ipc_command]
    fn pass_on(&mut self, command: PassOn, context: &mut Context) -> Result<Array<f32>, TestError> {
        let asked = context.to(&command.whom).call(Carry { load: command.load });
        asked.map_err(|error| TestError::NoAnswer { why: error.to_string() })
    }

    #[ipc_command]
    fn send_many(&mut self, command: SendMany, context: &mut Context) -> Result<(), TestError> {
        for _ in 0..command.times {
            let built = Shared::build(command.bytes as usize / 4, |values| values[7] = 7.0);
            let load = Array::new([command.bytes as usize / 4], built.expect("there is memory"));
            let carried = context.to(&command.whom).call(Carry { load: load.expect("it fits") });
            let carried = carried.map_err(|error| TestError::NoAnswer { why: error.to_string() })?;
            assert_eq!(carried[7], 7.0);
        }
        Ok(())
    }

    #[ipc_command]
    fn weigh(&mut self, _: Weigh) -> Weight {
        weight()
    }
}

/// A carrier in the coordinator.
#[derive(Default)]
pub struct Depot;

#[scope]
impl Depot {
    #[ipc_command]
    fn carry_home(&mut self, command: CarryHome) -> Luggage {
        command.load
    }
}

/// Asks carriers, and is none itself.
pub struct Asker;

impl Manager for Asker {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "asker")]
impl Asker {
    #[ipc_command]
    fn ask_all(&mut self, command: AskAll, context: &mut Context) -> Result<Vec<String>, TestError> {
        let asked = context.broadcast(CarryAll { load: command.load }).map_err(CallError::from);
        let report = asked.and_then(|pending| pending.wait(Duration::from_secs(20)));
        let report = report.map_err(|error| TestError::NoAnswer { why: error.to_string() })?;
        let told = report.outcomes.into_iter().map(|one| match one.outcome {
            Ok(load) => format!("{}: {} bytes", one.manager, load.len()),
            Err(error) => format!("{}: {error}", one.manager),
        });
        Ok(told.collect())
    }
}
