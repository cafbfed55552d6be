//! Everything the testbed's managers can be told.

use labrig::prelude::*;

/// Adds two numbers.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = i64, scriptable)]
pub struct Add {
    /// The first.
    pub a: i64,
    /// The second.
    pub b: i64,
}

/// Remembers a number; nobody waits.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scriptable)]
pub struct Note {
    /// The number.
    pub number: u64,
}

/// Asks for the numbers remembered, in the order in which they came.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<u64>)]
pub struct Notes {}

/// A position to aim at: only the newest matters.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(keep_latest)]
pub struct Aim {
    /// Where.
    pub at: u64,
}

/// A sample to append: the oldest may go.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(drop_oldest)]
pub struct Sample {
    /// Which.
    pub number: u64,
}

/// Fails with a typed error.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Fail {
    /// The error's code.
    pub code: u32,
}

/// Fails with an error that is only text, with a cause.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct FailAsText {}

/// Panics.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Panic {
    /// With these words.
    pub words: String,
}

/// Sleeps without looking up.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Sleep {
    /// How long.
    pub duration_ms: u64,
}

/// Ends its process at once.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Exit {
    /// The exit code.
    pub code: i32,
}

/// Prints lines and logs records.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Print {
    /// What.
    pub text: String,
    /// How often.
    pub times: u32,
}

/// Tells about its process.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Process)]
pub struct Describe {}

/// What a manager knows of its process.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The group it is in.
    pub group: u32,
    /// What its open descriptors are.
    pub descriptors: Vec<String>,
    /// The variable `TESTBED`, if it is set.
    pub variable: Option<String>,
    /// The folder it runs in.
    pub folder: String,
    /// How many of its timer's ticks came before this command, and after the rig had begun.
    pub ticks: u64,
}

/// Asks another manager to add, and answers what that one answered.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = i64)]
pub struct AskToAdd {
    /// Whom to ask; empty for whoever serves it.
    pub whom: String,
    /// The first number.
    pub a: i64,
    /// The second number.
    pub b: i64,
}

/// Asks a thread of its own to ask another manager, while this handler sleeps.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = i64)]
pub struct AskFromThread {
    /// Whom to ask.
    pub whom: String,
    /// How long the handler sleeps meanwhile.
    pub sleep_ms: u64,
}

/// Calls the next in a row of managers until `left` is 0; answers how many calls led there.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u32)]
pub struct Descend {
    /// How many calls to go.
    pub left: u32,
    /// The managers, in the order in which they call each other.
    pub row: Vec<String>,
}

/// Sends itself a note.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct NoteToSelf {
    /// The number.
    pub number: u64,
}

/// Asks for that many zeros.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<u8>)]
pub struct FetchZeros {
    /// How many.
    pub count: u32,
}

/// Writes raw bytes into its own pipe.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct SendGarbage {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many zeros follow them.
    pub zeros: u32,
}

/// Sends many notes to another manager as fast as it can.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct Flood {
    /// To whom.
    pub whom: String,
    /// How many.
    pub count: u64,
}

/// Asks the rig to quit.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct QuitRig {}

/// Sets a mode everywhere; a `listener` refuses 13.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = u32, scriptable)]
pub struct SetMode {
    /// Which.
    pub mode: u32,
}

/// Broadcasts a mode; answers who heard it.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<String>)]
pub struct Shout {
    /// Which mode.
    pub mode: u32,
}

/// Keeps a note in the coordinator.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = u64)]
pub struct KeepNote {
    /// The text.
    pub text: String,
}

/// Lets the scope ask a worker.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = i64)]
pub struct ScopeAsks {
    /// Whom.
    pub whom: String,
}

/// Why a testbed manager did not do as told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
pub enum TestError {
    /// Told to fail with this code.
    Told {
        /// The code.
        code: u32,
    },
    /// Somebody asked did not answer.
    NoAnswer {
        /// What was said instead.
        why: String,
    },
    /// The mode is not known.
    UnknownMode {
        /// Which.
        mode: u32,
    },
}

impl std::fmt::Display for TestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Told { code } => write!(f, "told to fail with code {code}"),
            Self::NoAnswer { why } => write!(f, "no answer: {why}"),
            Self::UnknownMode { mode } => write!(f, "mode {mode} is not known"),
        }
    }
}
